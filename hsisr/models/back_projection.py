"""Back-projection: interpolation that agrees with what was observed.

Back-projection (Irani and Peleg, "Improving resolution by image registration", CVGIP 53(3), 1991)
adds the interpolated difference between the observed and the averaged result, a few rounds long.
Averaging after interpolating acts on the LR grid alone, as one small symmetric filter per axis, so
all rounds are done there and interpolated once.
"""

from typing import Protocol, runtime_checkable

import torch

from hsisr.models.interpolation import (
    Kernel,
    Trim,
    interpolate,
    phase_weights,
    replicate,
    weighted_sum,
)

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
