"""Centred interpolation by separable kernels: nearest, cubic convolution, Lanczos.

Cubic convolution has a = -0.5 (Keys, "Cubic convolution interpolation for digital image
processing", IEEE TASSP 29(6), 1981), as GDAL and MATLAB have it; Lanczos has three lobes and
weights divided by their sum, as in GDAL. Pixels are areas: the centre of LR pixel i lies at
(i + 0.5) * scale - 0.5 on the HR grid, so nothing moves. Beyond the sides the outermost pixel is
repeated.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import torch
from torch.nn import functional


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


@cache
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
