"""`interpolate_consistently` of a tile as four matrix products, with all back-projection rounds.

On the LR grid a round of back-projection is one matrix per axis. In the basis of its eigenvectors a
round is an elementwise product, and so is the sum of all rounds; the inverse transform is merged
with the interpolation. (The matrices are close to symmetric, so that eigenvalues are real.) What a
network adds to that interpolation is `DetailOf`.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar, TypeVarTuple

import numpy as np
import torch
from torch import nn

from hsisr.models.back_projection import ROUNDS, AddsDetail, without_block_means
from hsisr.models.fast.onednn import linear
from hsisr.models.interpolation import KERNELS, interpolate

_BASE: Final = KERNELS["bicubic"]

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")
_Build = Callable[..., _Result]


def _cached_per_device(
    build: Callable[[*_Arguments, torch.device], _Result],
) -> Callable[[*_Arguments, torch.device], _Result]:
    """Cache the tensors that `build` returns, for the last 32 sets of arguments, without gradients.

    On CUDA nothing is evicted: a CUDA graph reads a tensor at a fixed address. On the meta device
    nothing is cached, so that every memory estimate counts the same allocations.

    Args:
        build: Takes hashable arguments by position, the device as the last one.
    """

    def without_gradients(*given: *tuple[*_Arguments, torch.device]) -> _Result:
        with torch.inference_mode(mode=False), torch.no_grad():
            return build(*given)

    recent: _Build[_Result] = functools.lru_cache(maxsize=32)(without_gradients)
    caches: dict[str, _Build[_Result]] = {
        "cuda": functools.cache(without_gradients),
        "meta": without_gradients,
    }

    @functools.wraps(build)
    def cached(*given: *tuple[*_Arguments, torch.device]) -> _Result:
        return caches.get(given[-1].type, recent)(*given)

    return cached


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """Matrices for one axis, applied to the last one of a tensor."""

    into: torch.Tensor
    """To the basis of eigenvectors."""
    out: torch.Tensor
    """From that basis to HR pixels."""
    seen: torch.Tensor
    """Eigenvalues."""


def consistent_bicubic(lr: torch.Tensor, scale: int, rounds: int = ROUNDS) -> torch.Tensor:
    """Bicubic interpolation of float32 values (..., rows, cols) that agrees with them.

    Without gradients; the result is contiguous.
    """
    rows, cols = (_axis(length, scale, lr.device) for length in lr.shape[-2:])
    turned = linear(lr, cols.into).transpose(-2, -1).contiguous()
    factors = _factors(lr.shape[-2], lr.shape[-1], scale, rounds, lr.device)
    turned = linear(turned, rows.into).mul_(factors)
    down = linear(turned, rows.out).transpose(-2, -1).contiguous()
    return linear(down, cols.out)


@_cached_per_device
def _factors(rows: int, cols: int, scale: int, rounds: int, device: torch.device) -> torch.Tensor:
    """Factors of all rounds together, the sum of (1 - seen)^k; shape (cols, rows) in LR pixels."""
    seen = _axis(cols, scale, device).seen[:, None] * _axis(rows, scale, device).seen
    total = torch.ones_like(seen)
    for _ in range(rounds):
        total = 1 + (1 - seen) * total
    return total


@_cached_per_device
def _axis(length: int, scale: int, device: torch.device) -> _Axis:
    """Matrices for an axis of `length` LR pixels."""
    return _Axis(*(matrix.to(device) for matrix in _matrices(length, scale)))


@functools.lru_cache(maxsize=32)
def _matrices(length: int, scale: int) -> tuple[torch.Tensor, ...]:
    """The fields of `_Axis`, in order."""
    impulses = torch.eye(length, dtype=torch.float64)[:, None]
    finer = interpolate(impulses, _BASE, scale)[:, 0].T.numpy()
    values, vectors = np.linalg.eig(finer.reshape(length, scale, length).mean(1))
    out = finer @ vectors.real
    found = np.linalg.inv(vectors).real, out, values.real
    return tuple(torch.from_numpy(matrix.copy()).float() for matrix in found)


class DetailOf(nn.Module):
    """A network whose forward pass returns the detail alone.

    For a network that is no `AddsDetail` it is the difference from bicubic interpolation with
    agreement, less its mean over each LR pixel.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `AddsDetail.detail`."""
        if isinstance(self.network, AddsDetail):
            return self.network.detail(lr, zero)
        hr = self.network(lr, zero).float()
        scale = hr.shape[-1] // lr.shape[-1]
        return without_block_means(hr - consistent_bicubic(lr.float(), scale), scale)
