"""`interpolate_consistently` of a tile as four quick products, rounds of back-projection included.

A round acts on the LR grid as one matrix per axis. In the basis of their eigenvectors every round
is a multiplication, and so is the sum of all rounds; the way back is joined with interpolation.
(The matrices are close to symmetric: eigenvalues are real, and nothing is lost on the way.)
"""

from functools import cache, lru_cache
from typing import Final

import numpy as np
import torch

from hsisr.models.back_projection import ROUNDS
from hsisr.models.interpolation import KERNELS, interpolate
from hsisr.models.onednn import linear

_BASE: Final = KERNELS["bicubic"]

Axis = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Into the eigenvectors' basis, from it to HR pixels, and the eigenvalues."""


def agreeing_base(
    lr: torch.Tensor, scale: int, less: torch.Tensor | None = None, rounds: int = ROUNDS
) -> torch.Tensor:
    """Bicubic interpolation that agrees with the observed pixels; without gradients.

    Args:
        lr: Shape (..., rows, cols), float32.
        scale: HR pixels per LR pixel along a side.
        less: Taken away from all HR pixels of an LR pixel, shape as `lr`.
        rounds: Rounds of back-projection.

    Returns:
        Shape (..., rows * scale, cols * scale), contiguous.
    """
    axis = _axis_for_good if lr.device.type == "cuda" else _axis
    rows, cols = (axis(n, scale, lr.device) for n in lr.shape[-2:])
    factors = _sum_of_rounds(cols[2][:, None] * rows[2], rounds)
    turned = linear(lr, cols[0]).transpose(-2, -1).contiguous()
    turned = linear(turned, rows[0]).mul_(factors)
    down = linear(turned, rows[1]).transpose(-2, -1).contiguous()
    if less is None:
        return linear(down, cols[1])
    # the same product takes it away: its rows are repeated here, its columns by the matrix
    nearest = torch.eye(lr.shape[-1], device=lr.device).repeat_interleave(scale, 0)
    repeated = less.float().repeat_interleave(scale, -2)
    return linear(torch.cat((down, repeated), -1), torch.cat((cols[1], -nearest), -1))


def _sum_of_rounds(seen: torch.Tensor, rounds: int) -> torch.Tensor:
    """The sum of (1 - seen)^k for k = 0 ... rounds."""
    total = torch.ones_like(seen)
    for _ in range(rounds):
        total = 1 + (1 - seen) * total
    return total


@lru_cache(maxsize=32)
def _axis(length: int, scale: int, device: torch.device) -> Axis:
    """For an axis of so many LR pixels."""
    with torch.inference_mode(mode=False), torch.no_grad():
        impulses = torch.eye(length, dtype=torch.float64)[:, None]
        finer = interpolate(impulses, _BASE, scale)[:, 0].T.numpy()
        values, vectors = np.linalg.eig(finer.reshape(length, scale, length).mean(1))
        found = np.linalg.inv(vectors).real, finer @ vectors.real, values.real
        into, out, seen = (torch.from_numpy(x.copy()).float().to(device) for x in found)
        return into, out, seen


@cache
def _axis_for_good(length: int, scale: int, device: torch.device) -> Axis:
    """Never forgotten: a CUDA graph reads these where they lie for as long as it lives."""
    return _axis(length, scale, device)
