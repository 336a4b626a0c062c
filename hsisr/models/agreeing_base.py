"""`interpolate_consistently` of a tile as six quick products, rounds of back-projection included.

A round acts on the LR grid as one matrix per axis. In the basis of their eigenvectors every round
is a multiplication, and so is the sum of all rounds; what leads there and back is joined with
rounds' neighbours: the first product of an axis, and its interpolation.
"""

from functools import lru_cache
from typing import Final

import torch

from hsisr.models.back_projection import ROUNDS
from hsisr.models.interpolation import KERNELS, interpolate
from hsisr.models.products import linear

_BASE: Final = KERNELS["bicubic"]

Axis = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Into the eigenvectors' basis, from it to HR pixels, and the eigenvalues."""


def agreeing_base(lr: torch.Tensor, scale: int) -> torch.Tensor:
    """Bicubic interpolation that agrees with the observed pixels; without gradients.

    Args:
        lr: Shape (..., rows, cols), float32.
        scale: HR pixels per LR pixel along a side.

    Returns:
        Shape (..., rows * scale, cols * scale), contiguous.
    """
    rows, cols = (_axis(n, scale, lr.device) for n in lr.shape[-2:])
    factors = _sum_of_rounds(cols[2][:, None] * rows[2])
    turned = linear(lr, cols[0]).transpose(-2, -1).contiguous()
    turned = linear(turned, rows[0]).mul_(factors)
    down = linear(turned, rows[1]).transpose(-2, -1).contiguous()
    return linear(down, cols[1])


def _sum_of_rounds(seen: torch.Tensor) -> torch.Tensor:
    """The sum of (1 - seen)^k for k = 0 ... ROUNDS."""
    total = torch.ones_like(seen)
    for _ in range(ROUNDS):
        total = 1 + (1 - seen) * total
    return total


@lru_cache(maxsize=32)
def _axis(length: int, scale: int, device: torch.device) -> Axis:
    """For an axis of so many LR pixels."""
    with torch.inference_mode(mode=False), torch.no_grad():
        impulses = torch.eye(length, dtype=torch.float64)[:, None]
        finer = interpolate(impulses, _BASE, scale)[:, 0].T
        values, vectors = torch.linalg.eig(finer.reshape(length, scale, length).mean(1))
        found = torch.linalg.inv(vectors).real, finer @ vectors.real, values.real
        into, out, seen = (table.float().contiguous().to(device) for table in found)
        return into, out, seen
