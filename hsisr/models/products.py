"""Products of matrices on a processor, by the quicker of the two libraries that torch brings."""

from typing import Final

import torch
from torch.nn import functional

ONEDNN_LINEAR: Final = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
"""Not part of torch's public interface; without it nothing changes but the time taken."""


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """`functional.linear(x, weight, bias)`, without gradients; in float32 by oneDNN.

    Torch takes MKL for float32, which leaves the wide registers of other makers' processors unused
    and takes more than twice as long there. In half precision torch itself takes oneDNN.

    Args:
        x: Shape (..., features).
        weight: Shape (features out, features).
        bias: Shape (features out,).

    >>> linear(torch.ones(1, 2), torch.ones(3, 2)).tolist()
    [[2.0, 2.0, 2.0]]
    """
    plain = x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_grad_enabled()
    plain = plain or torch.is_autocast_enabled("cpu")  # which would choose half precision
    if plain or ONEDNN_LINEAR is None or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return functional.linear(x, weight, bias)
    product: torch.Tensor = ONEDNN_LINEAR(x, weight, bias, "none", [], "")
    return product
