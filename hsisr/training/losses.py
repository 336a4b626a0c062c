"""Losses: distance of values, of spatial gradients and of true spectral gradients.

Source: Muhammad, Laaksonen, Mihaylova, arXiv 2506.05041, equations 17-19. Equation 18, the
spectral gradient, is taken as the paper says it: differences along the bands. (The published code
takes the gradient of a mean with respect to its own input, which is a constant on both sides, so
that the term is always 0.)
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from hsisr.errors import UsageError

Distance = Literal["l1", "mse"]
BANDS, ROWS, COLS = -3, -2, -1
"""Axes of (n, bands, rows, cols)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A weighted sum: values + spatial gradients + spectral gradients.

    Raises:
        UsageError: A weight is negative or the distance is unknown.

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

    def __post_init__(self) -> None:
        if self.distance not in ("l1", "mse"):
            raise UsageError(f"no distance {self.distance!r}; expected l1 or mse")
        if not (self.spatial >= 0 and self.spectral >= 0):
            raise UsageError(
                f"found loss weights {self.spatial:g} and {self.spectral:g}, expected 0 or more"
            )

    def __call__(
        self,
        estimate: torch.Tensor,
        reference: torch.Tensor,
        valid: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss of a batch, a number.

        Args:
            estimate: Shape (n, bands, rows, cols).
            reference: Same shape.
            valid: True where the reference is data, broadcastable to the shape; a gradient counts
                where both its pixels do. None: everywhere.
        """
        error = estimate - reference  # all terms are linear, so gradients of the error do
        total = self._mean(error, valid)
        if self.spatial:
            gradients = [_difference(error, valid, axis) for axis in (ROWS, COLS)]
            total = total + self.spatial * sum(self._mean(*g) for g in gradients)
        if self.spectral:
            total = total + self.spectral * self._mean(*_difference(error, valid, BANDS))
        return total

    def _mean(self, error: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        if error.numel() == 0:  # one row, one column or one band has no neighbour
            return error.new_zeros(())
        distances = error.abs() if self.distance == "l1" else error.square()
        if valid is None:
            return distances.mean()
        counted = valid.expand_as(distances)
        return (distances * counted).sum() / counted.sum().clamp_min(1)


def _difference(
    error: torch.Tensor, valid: torch.Tensor | None, axis: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Differences of neighbours along an axis, and where both are valid."""
    if valid is None:
        return error.diff(dim=axis), None
    if valid.shape[axis] == 1:  # one mask for all along this axis
        return error.diff(dim=axis), valid
    last = valid.shape[axis] - 1
    return error.diff(dim=axis), valid.narrow(axis, 0, last) & valid.narrow(axis, 1, last)


def squared_weights(parameters: Iterable[nn.Parameter]) -> torch.Tensor:
    """Sum of the squares of all weights: the penalty of equation 17.

    >>> squared_weights([nn.Parameter(torch.tensor([3.0, 4.0]))]).item()
    25.0
    """
    return torch.stack([p.square().sum() for p in parameters if p.requires_grad]).sum()
