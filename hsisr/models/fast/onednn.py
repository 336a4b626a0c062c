"""oneDNN layers on a CPU, with packed kernels and fused activations.

Torch uses these in compiled networks; they are not part of its public interface. Only this module
calls them: each is tried once on a few numbers, and where one is missing, takes other arguments or
returns other numbers than torch's public function, `available` is False and those are used.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn import functional

LINEAR: Final = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
CONVOLUTION: Final = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
BFLOAT16: Final = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
_PRECISIONS: Final = (torch.float32, torch.bfloat16)


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation as torch's function, which may work in place, and oneDNN's name and variant."""

    plain: Callable[[torch.Tensor], torch.Tensor]
    name: str
    algorithm: str = ""


NONE: Final = Activation(lambda x: x, "none")
GELU: Final = Activation(functional.gelu, "gelu", "none")


def available(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether this module's operations can be used with these."""
    if x.device.type != "cpu" or x.dtype != weight.dtype or x.dtype not in _PRECISIONS:
        return False
    if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
        return False
    if x.dtype is torch.bfloat16 and not (BFLOAT16 and BFLOAT16()):
        return False
    return _work(LINEAR, CONVOLUTION)  # last: an estimate on meta must not run it


@functools.cache
def _work(*operations: Any) -> bool:
    """Whether the private operations return what torch's public functions do; tried once."""
    if None in operations or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    with torch.inference_mode(mode=False), torch.no_grad(), torch.autocast("cpu", enabled=False):
        x, bias = torch.arange(32.0).reshape(1, 2, 4, 4), torch.ones(2)
        kernel, matrix = torch.ones(2, 2, 2, 2), torch.ones(2, 4)
        public = (functional.linear(x, matrix, bias), functional.conv2d(x, kernel, bias, padding=1))
        try:
            private = (
                _called(LINEAR, x, matrix, bias, *_of(NONE)),
                convolved(x, packed_kernel(kernel, 1, x.shape), bias, 1, NONE),
            )
        except (AttributeError, RuntimeError, TypeError):
            return False
        return all(map(torch.allclose, private, public))


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """`functional.linear(x, weight, bias)`, without gradients.

    For float32 torch itself calls MKL, which does not use AVX-512 on AMD processors and takes more
    than twice as long there.

    >>> linear(torch.ones(1, 2), torch.ones(3, 2)).tolist()
    [[2.0, 2.0, 2.0]]
    """
    if not available(x, weight):
        return functional.linear(x, weight, bias)
    return _called(LINEAR, x, weight, bias, *_of(NONE))


def convolved(
    x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor, padding: int, activation: Activation
) -> torch.Tensor:
    """`conv2d`, its kernel from `packed_kernel`."""
    side, one = [padding] * 2, [1, 1]
    return _called(CONVOLUTION, x, packed, bias, side, one, one, 1, *_of(activation))


def packed_kernel(weight: torch.Tensor, padding: int, shape: torch.Size) -> torch.Tensor:
    """A convolution's kernel in oneDNN's layout for inputs of that shape."""
    pack = torch.ops.mkldnn._reorder_convolution_weight  # noqa: SLF001
    return _called(pack, weight, [padding] * 2, [1, 1], [1, 1], 1, list(shape))


def _of(activation: Activation) -> tuple[str, list[float], str]:
    return activation.name, [], activation.algorithm


def _called(operation: Any, *given: Any) -> torch.Tensor:
    return operation(*given)
