"""Centred interpolation by separable kernels, alone or in agreement with the LR pixels.

Kernels are nearest, cubic convolution and Lanczos. Cubic convolution has a = -0.5 (Keys, "Cubic
convolution interpolation for digital image processing", IEEE TASSP 29(6), 1981), as GDAL and MATLAB
have it; Lanczos has three lobes and weights divided by their sum, as in GDAL. Pixels are areas: the
centre of LR pixel i lies at (i + 0.5) * scale - 0.5 on the HR grid, so nothing moves. Beyond the
sides the outermost pixel is repeated.

Agreement is that of back-projection (Irani and Peleg, "Improving resolution by image registration",
CVGIP 53(3), 1991), which adds the interpolated difference between the observed and the averaged
result, a few rounds long. Averaging after interpolating acts on the LR grid alone, as one small
symmetric filter per axis, so all rounds are done there and interpolated once.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar, TypeVarTuple, runtime_checkable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hsisr.models.fast.onednn import linear


@dataclass(frozen=True, slots=True)
class Kernel:
    """An interpolation kernel on the LR grid."""

    name: str
    radius: int
    """LR pixels it reaches to either side."""
    weight: Callable[[float], float]
    """Weight of a pixel at a distance in LR pixels."""
    rounds: int = 5
    """Rounds of back-projection where the result is to agree with the LR pixels."""


@dataclass(frozen=True, slots=True)
class Trim:
    """LR pixels at each side of a window that are context only and have no output."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


def _nearest(distance: float) -> float:
    return 1.0 if -0.5 <= distance < 0.5 else 0.0


def _cubic(distance: float) -> float:
    """Keys 1981, equation 15: a = -0.5."""
    d = abs(distance)
    if d <= 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def _lanczos(distance: float) -> float:
    if abs(distance) >= 3:
        return 0.0
    if distance == 0:
        return 1.0
    x = math.pi * distance
    return 3 * math.sin(x) * math.sin(x / 3) / x**2


KERNELS: Final = {
    kernel.name: kernel
    for kernel in (
        Kernel("nearest", 0, _nearest),
        Kernel("bicubic", 2, _cubic),
        Kernel("lanczos", 3, _lanczos),
        Kernel("baseline", 2, _cubic, rounds=10),
    )
}
"""Interpolations by name. baseline: bicubic that agrees with the LR pixels, by ten rounds of
back-projection and a constant per LR pixel; gains of networks are stated over it, because it learns
nothing and every network's result is made to agree in the same way."""


@functools.cache
def phase_weights(kernel: Kernel, scale: int) -> tuple[tuple[float, ...], ...]:
    """For each of the `scale` HR pixels in an LR pixel, its 2 * radius + 1 LR weights; sums are 1.

    >>> phase_weights(KERNELS["nearest"], 2)
    ((1.0,), (1.0,))
    >>> phase_weights(KERNELS["bicubic"], 2)[0]
    (-0.0234375, 0.2265625, 0.8671875, -0.0703125, 0.0)
    """
    phases = []
    for phase in range(scale):
        centre = (phase + 0.5) / scale - 0.5
        taps = range(-kernel.radius, kernel.radius + 1)
        weights = [kernel.weight(centre - tap) for tap in taps]
        phases.append(tuple(w / math.fsum(weights) for w in weights))
    return tuple(phases)


def interpolate(
    lr: torch.Tensor,
    kernel: Kernel,
    scale: int,
    trim: Trim | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Values of shape (..., rows, cols) on a grid `scale` times finer, in `out` if it is given.

    What `trim` takes at the sides is context only, and gets no output.
    """
    trim = trim or Trim()
    planes = lr.reshape(-1, 1, *lr.shape[-2:])
    wide = _along_axis(planes, -1, kernel, scale, (trim.left, trim.right))
    fine = _along_axis(wide, -2, kernel, scale, (trim.top, trim.bottom), out)
    return fine.reshape(*lr.shape[:-2], *fine.shape[-2:])


def _along_axis(
    planes: torch.Tensor,
    axis: int,
    kernel: Kernel,
    scale: int,
    trim: tuple[int, int],
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Interpolate along the last axis or the one before it, phase by phase."""
    length = planes.shape[axis] - sum(trim)
    padded = replicate(planes, axis, kernel.radius)
    at = planes.ndim + axis
    shape = (*planes.shape[:at], length, scale, *planes.shape[at + 1 :])
    fine = planes.new_empty(shape) if out is None else out.view(shape)
    for phase, weights in enumerate(phase_weights(kernel, scale)):
        own = fine.select(at + 1, phase)
        if axis == -1:  # its samples are not neighbours: gathered first, spread once
            own.copy_(weighted_sum(padded, axis, weights, trim[0], length))
        else:
            weighted_sum(padded, axis, weights, trim[0], length, out=own)
    return fine.flatten(at, at + 1)


def replicate(planes: torch.Tensor, axis: int, radius: int) -> torch.Tensor:
    """The outermost pixels repeated `radius` times along one of the last two axes."""
    if radius == 0:
        return planes
    pad = (radius, radius, 0, 0) if axis == -1 else (0, 0, radius, radius)
    return functional.pad(planes, pad, mode="replicate")


def weighted_sum(
    padded: torch.Tensor,
    axis: int,
    weights: tuple[float, ...],
    start: int,
    length: int,
    *,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Sum of shifted windows of `length` samples, one per weight; zero weights cost nothing."""
    taps = [(tap, w) for tap, w in enumerate(weights) if w != 0]
    first, factor = taps[0]
    total = torch.mul(padded.narrow(axis, start + first, length), factor, out=out)
    for tap, weight in taps[1:]:
        total.add_(padded.narrow(axis, start + tap, length), alpha=weight)
    return total


ROUNDS = 5
"""Rounds of back-projection."""


def context_lr_px(kernel: Kernel, rounds: int = ROUNDS) -> int:
    """LR pixels around a pixel that affect it: the interpolation's own and each round's."""
    return kernel.radius * (rounds + 1)


def area_average(hr: torch.Tensor, scale: int) -> torch.Tensor:
    """Mean over each block of `scale` x `scale` pixels, shape (..., rows, cols).

    Raises:
        RuntimeError: A side is not a multiple of `scale` (a caller's bug).
    """
    *front, rows, cols = hr.shape
    # rows first: torch takes three times as long for both at once
    low = hr.reshape(*front, rows // scale, scale, cols).mean(dim=-2)
    return low.reshape(*front, rows // scale, cols // scale, scale).mean(dim=-1)


def repeat_pixels(lr: torch.Tensor, scale: int) -> torch.Tensor:
    """Each pixel as a block of `scale` x `scale` equal ones."""
    return lr.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)


def without_block_means(hr: torch.Tensor, scale: int) -> torch.Tensor:
    """Values less the mean over each block, shape (..., rows, cols)."""
    return hr - repeat_pixels(area_average(hr, scale), scale)


def back_projected(lr: torch.Tensor, kernel: Kernel, scale: int, rounds: int) -> torch.Tensor:
    """LR values whose interpolation agrees with `lr`, up to the residual after `rounds` rounds.

    With D the area average and U the interpolation, x[k+1] = x[k] + U(lr - D x[k]) from
    x[0] = U lr gives x[rounds] = U z with z the sum of (I - D U)^k lr for k = 0 ... rounds.

    Shape (..., rows, cols) in and out; no rounds give `lr`.
    """
    phases = phase_weights(kernel, scale)
    mean_weights = tuple(sum(taps) / scale for taps in zip(*phases, strict=True))
    left = lr.reshape(-1, 1, *lr.shape[-2:]).clone()
    total = left.clone()
    for _ in range(rounds):
        seen = left
        for axis in (-1, -2):
            padded = replicate(seen, axis, kernel.radius)
            seen = weighted_sum(padded, axis, mean_weights, 0, seen.shape[axis])
        left -= seen
        total += left
    return total.reshape(lr.shape)


def interpolate_consistently(
    lr: torch.Tensor, kernel: Kernel, scale: int, trim: Trim | None = None, rounds: int = ROUNDS
) -> torch.Tensor:
    """As `interpolate`, with back-projection."""
    near, rest = agreeing_lr(lr, kernel, scale, trim or Trim(), rounds)
    return interpolate(near, kernel, scale, rest)


def agreeing_lr(
    lr: torch.Tensor, kernel: Kernel, scale: int, trim: Trim, rounds: int = ROUNDS
) -> tuple[torch.Tensor, Trim]:
    """`back_projected`, cut to the context that interpolation needs; and what is left to trim."""
    lr = back_projected(lr, kernel, scale, rounds)
    sides = (trim.top, trim.bottom, trim.left, trim.right)
    far = [max(0, side - kernel.radius) for side in sides]
    rows, cols = lr.shape[-2:]
    near = lr[..., far[0] : rows - far[1], far[2] : cols - far[3]]
    rest = Trim(*(side - cut for side, cut in zip(sides, far, strict=True)))
    return near, rest


def back_project(
    hr: torch.Tensor, observed: torch.Tensor, kernel: Kernel, scale: int, rounds: int = ROUNDS
) -> torch.Tensor:
    """Back-project any result, shape (..., rows * scale, cols * scale), close to agreement.

    What it must agree with, `observed`, has shape (..., rows, cols); the kernel is for differences.
    """
    difference = observed - area_average(hr, scale)
    return hr + interpolate_consistently(difference, kernel, scale, rounds=rounds - 1)


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
    """`interpolate_consistently` of a tile (..., rows, cols) as four matrix products; bicubic.

    On the LR grid a round of back-projection is one matrix per axis. In the basis of its
    eigenvectors a round is an elementwise product, and so is the sum of all rounds; the inverse
    transform is merged with the interpolation. (The matrices are close to symmetric, so that
    eigenvalues are real.) Float32, without gradients; the result is contiguous.
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
    finer = interpolate(impulses, KERNELS["bicubic"], scale)[:, 0].T.numpy()
    values, vectors = np.linalg.eig(finer.reshape(length, scale, length).mean(1))
    out = finer @ vectors.real
    found = np.linalg.inv(vectors).real, out, values.real
    return tuple(torch.from_numpy(matrix.copy()).float() for matrix in found)


@runtime_checkable
class AddsDetail(Protocol):
    """A network whose result is bicubic interpolation with agreement, plus detail."""

    def detail(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """What `forward(lr, zero)` adds to `interpolate_consistently(lr)`.

        Args:
            lr: Normalised band groups, shape (n, bands, rows, cols).
            zero: The normalised value of a stored 0, shape (n or 1, bands, 1, 1); None: 0.

        Returns:
            Shape (n, bands, rows * scale, cols * scale), float32; its area average over each LR
            pixel is 0.
        """


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
