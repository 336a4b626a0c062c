"""SSPSR, spatial-spectral prior: band groups through one shared branch, then all bands together.

Source: Jiang, Sun, Liu, Ma, "Learning spatial-spectral prior for super-resolution of hyperspectral
imagery", IEEE Transactions on Computational Imaging 6, 1082-1096, 2020; sizes and the order of
layers after the authors' public code, junjun-jiang/SSPSR: groups of 8 bands that share 2, 256
features, 3 spatial-spectral blocks in the branch and 3 in the trunk, residual factor 0.1.
Upsampling is progressive: the branch enlarges by scale / 2, the trunk by 2; at x2 the branch does
not enlarge. Loss of that code: L1 + 1e-3 times the squared differences of the estimate itself along
rows, columns and bands (total variation), which recipes here cannot express; training here is by
L1 alone.

Parameters here, at 32 bands: 10,540,424 for x2, 12,900,744 for x4, 15,261,064 for x8. What differs:
bands are normalised over the scene, while the code divides a scene by its maximum; a tile has 32
bands, so there are 5 groups of 8, while the paper sees all bands of a scene at once.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import nn

from hsisr.models.descriptor import BandGroupNetwork, NetworkSize
from hsisr.models.layers import (
    RESIDUAL_SCALE,
    ResidualBlock,
    SpectralBlock,
    bicubic,
    pixel_shuffle,
    put_together,
)
from hsisr.tiling import window_starts

SHARED_BANDS: Final = 2
"""Bands that neighbouring groups have in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SspsrSize(NetworkSize):
    """Depth and width."""

    arch: ClassVar = "sspsr"

    width: int = 256
    """Features of every layer."""
    blocks: int = 3
    """Spatial-spectral blocks in the branch, and as many in the trunk."""
    subset: int = 8
    """Bands of a group that the branch sees."""


class PriorNetwork(nn.Module):
    """A first convolution and spatial-spectral blocks, whose input is added to their output."""

    def __init__(self, bands: int, size: SspsrSize) -> None:
        super().__init__()
        self.entry = nn.Conv2d(bands, size.width, 3, padding=1)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(ResidualBlock(size.width, RESIDUAL_SCALE), SpectralBlock(size.width))
                for _ in range(size.blocks)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, bands, rows, cols) -> (n, width, rows, cols)."""
        features: torch.Tensor = self.entry(x)
        deep: torch.Tensor = self.blocks(features)
        return features + deep


class Sspsr(BandGroupNetwork):
    """The network."""

    size_type = SspsrSize

    def __init__(self, scale: int, group_size: int, size: SspsrSize) -> None:
        super().__init__(scale, group_size)
        self.subset = min(size.subset, group_size)
        self.starts = window_starts(group_size, self.subset, min(SHARED_BANDS, self.subset - 1))
        self.branch = PriorNetwork(self.subset, size)
        self.branch_exit = nn.Conv2d(size.width, self.subset, 3, padding=1)
        self.trunk = PriorNetwork(group_size, size)
        self.upsampling = nn.ModuleList(
            (pixel_shuffle(size.width, scale // 2), pixel_shuffle(size.width, 2))
        )
        self.skip = nn.Conv2d(group_size, size.width, 3, padding=1)
        self.output = nn.Conv2d(size.width, group_size, 3, padding=1)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`."""
        x = lr.contiguous(memory_format=torch.channels_last)
        parts = [self._subset(x[:, start : start + self.subset]) for start in self.starts]
        between = put_together(parts, self.starts, self.group_size)
        features = self.upsampling[1](self.trunk(between))
        return self.output(features + self.skip(bicubic(lr, self.scale)))

    def _subset(self, part: torch.Tensor) -> torch.Tensor:
        """Shape (n, subset, rows, cols) -> the same bands, scale / 2 times finer."""
        return self.branch_exit(self.upsampling[0](self.branch(part)))
