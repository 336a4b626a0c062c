"""The detail that networks add to bicubic interpolation with agreement."""

from typing import Protocol, runtime_checkable

import torch
from torch import nn

from hsisr.models.back_projection import without_block_means
from hsisr.models.fast.back_projection import consistent_bicubic


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

    Args:
        network: Called with band groups and the normalised value of a stored 0.
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
