"""`interpolate_consistently` of a tile as four quick products, rounds of back-projection included.

A round acts on the LR grid as one matrix per axis. In the basis of their eigenvectors every round
is a multiplication, and so is the sum of all rounds; the way back is joined with interpolation.
(The matrices are close to symmetric: eigenvalues are real, and nothing is lost on the way.)
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from hsisr.models.back_projection import ROUNDS
from hsisr.models.interpolation import KERNELS, interpolate
from hsisr.models.onednn import linear
from hsisr.models.remembered import remembered

_BASE: Final = KERNELS["bicubic"]


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """Matrices of both axes, applied to the last one of a tensor."""

    rows_into: torch.Tensor
    """Into the eigenvectors' basis."""
    rows_out: torch.Tensor
    """From it to HR pixels."""
    cols_into: torch.Tensor
    cols_out: torch.Tensor
    cols_out_less: torch.Tensor
    """`cols_out`; beside it what takes an LR pixel's value away from its HR pixels."""
    factors: torch.Tensor
    """Of all rounds together, shape (cols, rows)."""


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
    tables = _tables(lr.shape[-2], lr.shape[-1], scale, rounds, lr.device)
    turned = linear(lr, tables.cols_into).transpose(-2, -1).contiguous()
    turned = linear(turned, tables.rows_into).mul_(tables.factors)
    down = linear(turned, tables.rows_out).transpose(-2, -1).contiguous()
    if less is None:
        return linear(down, tables.cols_out)
    # the same product takes it away: its rows are repeated here, its columns by the matrix
    repeated = less.float().repeat_interleave(scale, -2)
    return linear(torch.cat((down, repeated), -1), tables.cols_out_less)


@remembered
def _tables(rows: int, cols: int, scale: int, rounds: int, device: torch.device) -> _Tables:
    """For tiles of so many LR pixels."""
    rows_into, rows_out, rows_seen = _axis(rows, scale)
    cols_into, cols_out, cols_seen = _axis(cols, scale)
    factors = _sum_of_rounds(cols_seen[:, None] * rows_seen, rounds)
    nearest = torch.eye(cols).repeat_interleave(scale, 0)
    less = torch.cat((cols_out, -nearest), -1)
    found = (rows_into, rows_out, cols_into, cols_out, less, factors)
    return _Tables(*(table.to(device) for table in found))


def _sum_of_rounds(seen: torch.Tensor, rounds: int) -> torch.Tensor:
    """The sum of (1 - seen)^k for k = 0 ... rounds."""
    total = torch.ones_like(seen)
    for _ in range(rounds):
        total = 1 + (1 - seen) * total
    return total


def _axis(length: int, scale: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Into the eigenvectors' basis, from it to HR pixels, and the eigenvalues."""
    impulses = torch.eye(length, dtype=torch.float64)[:, None]
    finer = interpolate(impulses, _BASE, scale)[:, 0].T.numpy()
    values, vectors = np.linalg.eig(finer.reshape(length, scale, length).mean(1))
    found = np.linalg.inv(vectors).real, finer @ vectors.real, values.real
    into, out, seen = (torch.from_numpy(x.copy()).float() for x in found)
    return into, out, seen
