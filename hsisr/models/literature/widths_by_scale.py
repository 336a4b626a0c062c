"""What FGIN and DSDCN share: features on the LR grid, and upsampling as wide as published.

In the notebooks upsampling has other widths at every scale, and so here; the texts do not ask for
it. The shortcut of an upsampling step is convolved before its pixels are repeated, not after: a 1x1
kernel gives the same numbers either way, at a quarter of the cost. Bands are normalised over the
scene, while the notebooks take raw digital numbers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.descriptor import BandGroupNetwork, NetworkSize
from hsisr.models.layers import activated, initialise

Layer = Callable[[int, int], nn.Module]
"""Makes a layer of features in and features out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeByScale(NetworkSize):
    """Depth, and width before and after upsampling."""

    published: ClassVar[Mapping[int, tuple[int, ...]]]
    """Features after every upsampling step, by scale."""

    width: int
    """Features of every layer before upsampling."""
    blocks: int = 3
    upsampling_width: int | None = None
    """Features after every upsampling step; None: the published ones of the scale."""

    def upsampling_features(self, scale: int) -> tuple[int, ...]:
        """Features after each step."""
        return tuple(self.upsampling_width or own for own in self.published[scale])


class NetworkByScale(BandGroupNetwork):
    """Features on the LR grid, steps that double rows and columns, output on the HR grid."""

    def __init__(
        self,
        scale: int,
        group_size: int,
        size: SizeByScale,
        *,
        features: nn.Sequential,
        step: Layer,
        output: Layer,
    ) -> None:
        super().__init__(scale, group_size)
        self.features = features
        widths = (size.width, *size.upsampling_features(scale))
        self.upsampling = nn.Sequential(*(step(*both) for both in pairwise(widths)))
        self.output = output(widths[-1], group_size)
        initialise(self)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`."""
        x = self.features(lr.contiguous(memory_format=torch.channels_last))
        return self.output(self.upsampling(x))


class FusedBranches(nn.Module):
    """Convolutions with ReLU side by side, fused by a 1x1 convolution with ReLU."""

    def __init__(self, width: int, convolutions: Iterable[nn.Conv2d]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(c, nn.ReLU()) for c in convolutions)
        self.fused = activated(len(self.branches) * width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, width, rows, cols) in and out."""
        return self.fused(torch.cat([branch(x) for branch in self.branches], dim=1))


def repeated(x: torch.Tensor) -> torch.Tensor:
    """Every pixel twice along rows and columns: interpolation by the nearest neighbour."""
    return functional.interpolate(x, scale_factor=2, mode="nearest")
