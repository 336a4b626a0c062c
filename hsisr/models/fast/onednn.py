"""oneDNN layers on a CPU, with packed kernels and fused activations.

Torch uses these in compiled networks; they are not part of its public interface. Only this module
calls them: each is tried once on a few numbers, and where one is missing, takes other arguments or
returns other numbers than torch's public function, `available` is False and those are used.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch
from torch.nn import functional

LINEAR: Final = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
CONVOLUTION: Final = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
TRANSPOSED: Final = getattr(torch.ops.mkldnn, "_convolution_transpose_pointwise", None)
BFLOAT16: Final = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
_PRECISIONS: Final = (torch.float32, torch.bfloat16)


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation, for torch and for oneDNN.

    Args:
        plain: Torch's function; may work in place.
        name: oneDNN's name.
        scalars: oneDNN's parameters.
        algorithm: oneDNN's variant.
    """

    plain: Callable[[torch.Tensor], torch.Tensor]
    name: str
    scalars: tuple[float, ...] = ()
    algorithm: str = ""


NONE: Final = Activation(lambda x: x, "none")
SIGMOID: Final = Activation(torch.sigmoid_, "sigmoid")
GELU: Final = Activation(functional.gelu, "gelu", (), "none")


class Linear(Protocol):
    """Called as `linear` is."""

    def __call__(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        activation: Activation = NONE,
    ) -> torch.Tensor:
        """`activation` of the product and the bias."""
        ...


def leaky_relu(slope: float) -> Activation:
    """With that slope below 0."""
    return Activation(lambda x: functional.leaky_relu_(x, slope), "leaky_relu", (slope,))


def available(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether this module's operations can be used with these."""
    if x.device.type != "cpu" or x.dtype != weight.dtype or x.dtype not in _PRECISIONS:
        return False
    if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
        return False
    if x.dtype is torch.bfloat16 and not (BFLOAT16 and BFLOAT16()):
        return False
    return _work(LINEAR, CONVOLUTION, TRANSPOSED)  # last: an estimate on meta must not run it


@functools.cache
def _work(*operations: Any) -> bool:
    """Whether the private operations return what torch's public functions do; tried once."""
    if None in operations or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    with torch.inference_mode(mode=False), torch.no_grad(), torch.autocast("cpu", enabled=False):
        x, bias = torch.arange(32.0).reshape(1, 2, 4, 4), torch.ones(2)
        kernel, matrix = torch.ones(2, 2, 2, 2), torch.ones(2, 4)
        public = (
            functional.linear(x, matrix, bias),
            functional.conv2d(x, kernel, bias, padding=1),
            functional.conv_transpose2d(x, kernel, bias, stride=2, padding=1),
        )
        try:
            private = (
                _linear(x, matrix, bias),
                convolved(x, packed_kernel(kernel, 1, x.shape), bias, 1, NONE),
                upsampled(x, packed_transposed_kernel(kernel, 1, x.shape), bias, 1, NONE),
            )
        except (AttributeError, RuntimeError, TypeError):
            return False
        return all(map(torch.allclose, private, public))


def on_processor(x: torch.Tensor) -> bool:
    """Whether this is on the CPU, or on meta, where the CPU's memory is estimated."""
    return x.device.type in ("cpu", "meta")


def linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    activation: Activation = NONE,
) -> torch.Tensor:
    """`activation` of `functional.linear(x, weight, bias)`, without gradients.

    For float32 torch itself calls MKL, which does not use AVX-512 on AMD processors and takes more
    than twice as long there.

    Args:
        x: Shape (..., features).
        weight: Shape (features out, features).
        bias: Shape (features out,).
        activation: Of the sum.

    >>> linear(torch.ones(1, 2), torch.ones(3, 2)).tolist()
    [[2.0, 2.0, 2.0]]
    """
    return linear_for(x, weight)(x, weight, bias, activation)


def linear_for(x: torch.Tensor, weight: torch.Tensor) -> Linear:
    """`linear` for tensors like these, chosen once."""
    return _linear if available(x, weight) else _plain_linear


def convolved(
    x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor, padding: int, activation: Activation
) -> torch.Tensor:
    """`conv2d`, its kernel from `packed_kernel`."""
    side, one = [padding] * 2, [1, 1]
    return _called(CONVOLUTION, x, packed, bias, side, one, one, 1, *_of(activation))


def upsampled(
    x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor, padding: int, activation: Activation
) -> torch.Tensor:
    """`conv_transpose2d` with stride 2, its kernel from `packed_transposed_kernel`."""
    side = [padding] * 2
    return _called(TRANSPOSED, x, packed, bias, side, [0, 0], [2, 2], [1, 1], 1, *_of(activation))


def packed_kernel(weight: torch.Tensor, padding: int, shape: torch.Size) -> torch.Tensor:
    """A convolution's kernel in oneDNN's layout for inputs of that shape."""
    pack = torch.ops.mkldnn._reorder_convolution_weight  # noqa: SLF001
    return _called(pack, weight, [padding] * 2, [1, 1], [1, 1], 1, list(shape))


def packed_transposed_kernel(weight: torch.Tensor, padding: int, shape: torch.Size) -> torch.Tensor:
    """The same of a transposed convolution with stride 2."""
    pack = torch.ops.mkldnn._reorder_convolution_transpose_weight  # noqa: SLF001
    return _called(pack, weight, [padding] * 2, [0, 0], [2, 2], [1, 1], 1, list(shape))


def _linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    activation: Activation = NONE,
) -> torch.Tensor:
    return _called(LINEAR, x, weight, bias, *_of(activation))


def _plain_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    activation: Activation = NONE,
) -> torch.Tensor:
    return activation.plain(functional.linear(x, weight, bias))


def _of(activation: Activation) -> tuple[str, list[float], str]:
    return activation.name, list(activation.scalars), activation.algorithm


def _called(operation: Any, *given: Any) -> torch.Tensor:
    made: torch.Tensor = operation(*given)
    return made
