"""Losses: distance of values, of spatial gradients, of true spectral gradients and of directions.

Source: Muhammad, Laaksonen, Mihaylova, arXiv 2506.05041, equations 17-19. Equation 18, the
spectral gradient, is taken as the paper says it: differences along the bands. (The published code
takes the gradient of a mean with respect to its own input, which is a constant on both sides, so
that the term is always 0.) The angle between spectra, which the paper only measures, is a term
of the project's own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from hsisr.models.interpolation import KERNELS, interpolate
from hsisr.training.feed import Tensors

Distance = Literal["l1", "mse"]
BANDS, ROWS, COLS = -3, -2, -1
"""Axes of (n, bands, rows, cols)."""
_LEAST_ERROR = 0.05
"""Added to bicubic's error in squares, in standard deviations: flat patches hold mostly noise."""
_DARK = 0.01
"""Spectra shorter than this share of the usual length hardly turn the loss: they are noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A weighted sum: values + spatial gradients + spectral gradients + spectral angles.

    >>> flat, bumpy = torch.zeros(1, 2, 1, 1), torch.tensor([[[[1.0]], [[3.0]]]])
    >>> Loss(distance="l1", spectral=0.5)(flat, bumpy).item()  # mean(1, 3) + 0.5 * |3 - 1|
    3.0
    """

    distance: Distance = "l1"
    """l1: mean of absolute differences; mse: mean of squares. Used for every term."""
    spatial: float = 0.0
    """Weight of the differences between neighbouring rows and columns (equation 19)."""
    spectral: float = 0.0
    """Weight of the differences between neighbouring bands (equation 18)."""
    angle: float = 0.0
    """Weight of the mean angle between spectra of stored numbers, in radians."""

    def __call__(
        self,
        estimate: torch.Tensor,
        reference: torch.Tensor,
        valid: torch.Tensor | None = None,
        mean: torch.Tensor | float = 0.0,
        deviation: torch.Tensor | float = 1.0,
    ) -> torch.Tensor:
        """The loss of a batch, a number, from estimate and reference (n, bands, rows, cols).

        Args:
            estimate: Normalised.
            reference: Alike.
            valid: Where the reference is data, broadcastable; a gradient counts where both its
                pixels do. None: everywhere.
            mean: Subtracted from stored numbers, of which angles are; broadcastable.
            deviation: By what they were then divided.
        """
        error = estimate - reference  # all terms are linear, so gradients of the error do
        total = self._mean(error, valid)
        if self.spatial:
            gradients = [_difference(error, valid, axis) for axis in (ROWS, COLS)]
            total = total + self.spatial * sum(self._mean(*g) for g in gradients)
        if self.spectral:
            total = total + self.spectral * self._mean(*_difference(error, valid, BANDS))
        if self.angle:
            one, other = (t * deviation + mean for t in (estimate, reference))
            total = total + self.angle * _mean_angle(one, other, valid)
        return total

    def _mean(self, error: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        if error.numel() == 0:  # one row, one column or one band has no neighbour
            return error.new_zeros(())
        distances = error.abs() if self.distance == "l1" else error.square()
        if valid is None:
            return distances.mean()
        counted = valid.expand_as(distances)
        return (distances * counted).sum() / counted.sum().clamp_min(1)


def in_unit(
    unit: str, estimate: torch.Tensor, batch: Tensors
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor]:
    """Estimate, reference, mask, mean and deviation for `Loss`, in a unit of `Recipe.loss_unit`.

    `estimate` is what the network made of the batch, normalised, shape (n, bands, rows, cols).
    """
    hr, mean, deviation = batch.hr, batch.mean, batch.deviation
    if unit == "normalised":
        return estimate, hr, batch.valid, mean, deviation
    if unit == "bicubic":
        error = _error_of_bicubic(batch)
        return estimate / error, hr / error, batch.valid, mean, deviation * error
    stored, reference = (torch.addcmul(mean, t, deviation) for t in (estimate, hr))
    factor = torch.ones_like(mean[:, :1])
    if unit == "peak":
        factor = reference.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-30)
    return stored / factor, reference / factor, batch.valid, torch.zeros_like(factor), factor


@torch.no_grad()
def _error_of_bicubic(batch: Tensors) -> torch.Tensor:
    """Root mean square over valid pixels, normalised, shape (n, bands, 1, 1)."""
    scale = batch.hr.shape[-1] // batch.lr.shape[-1]
    squares = (interpolate(batch.lr, KERNELS["bicubic"], scale) - batch.hr).square()
    valid = torch.ones_like(squares) if batch.valid is None else batch.valid.expand_as(squares)
    count = valid.sum((ROWS, COLS), keepdim=True).clamp_min(1)
    mean = (squares * valid).sum((ROWS, COLS), keepdim=True) / count
    return (mean + _LEAST_ERROR**2).sqrt()


def _mean_angle(
    estimate: torch.Tensor, reference: torch.Tensor, valid: torch.Tensor | None
) -> torch.Tensor:
    """Mean distance between the directions of spectra: the angle in radians where it is small."""
    usual = reference.square().mean(dim=(BANDS, ROWS, COLS), keepdim=True).clamp_min(1e-30).sqrt()
    one, other = estimate / usual, reference / usual
    least = _DARK**2 * reference.shape[BANDS]
    directions = [s / (s.square().sum(BANDS, keepdim=True) + least).sqrt() for s in (one, other)]
    apart = directions[0] - directions[1]
    angle = (apart.square().sum(BANDS, keepdim=True) + 1e-8).sqrt()
    if valid is None:
        return angle.mean()
    counted = valid.expand_as(angle)
    return (angle * counted).sum() / counted.sum().clamp_min(1)


def _difference(
    error: torch.Tensor, valid: torch.Tensor | None, axis: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Differences of neighbours along an axis, and where both are valid."""
    apart: torch.Tensor = _Neighbours.apply(error, axis)  # type: ignore[no-untyped-call]
    if valid is None or valid.shape[axis] == 1:  # None, or one mask for all along this axis
        return apart, valid
    last = valid.shape[axis] - 1
    return apart, valid.narrow(axis, 0, last) & valid.narrow(axis, 1, last)


class _Neighbours(torch.autograd.Function):
    """`torch.diff`, whose own gradient passes over three more tensors of the full size."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, axis: int) -> torch.Tensor:
        """Each sample minus the one before it."""
        ctx.axis = axis
        return values.diff(dim=axis)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """What each sample adds as the second of its pair, less what it adds as the first."""
        shape, last = list(gradient.shape), gradient.shape[ctx.axis]
        shape[ctx.axis] += 1
        whole = gradient.new_empty(shape)
        torch.neg(gradient, out=whole.narrow(ctx.axis, 0, last))
        whole.narrow(ctx.axis, last, 1).zero_()
        whole.narrow(ctx.axis, 1, last).add_(gradient)
        return whole, None


def squared_weights(parameters: Iterable[nn.Parameter]) -> torch.Tensor:
    """Sum of the squares of all weights: the penalty of equation 17.

    >>> squared_weights([nn.Parameter(torch.tensor([3.0, 4.0]))]).item()
    25.0
    """
    return torch.stack([p.square().sum() for p in parameters if p.requires_grad]).sum()
