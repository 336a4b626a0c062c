"""FGIN, the fusion-guided inception network: kernels of three sizes side by side.

Source: Muhammad, Laaksonen, "A Fusion-Guided Inception Network for Hyperspectral Image
Super-Resolution", arXiv 2505.03431; order and sizes of layers from the notebooks published with
it, https://github.com/Usman1021/fusion (PaviaU_dataset_code), groups of 32 bands as here. Loss:
mean squared error, with 1e-4 times the squared kernels of the first and the last convolution.

Parameters, with moving statistics in brackets: 479,608 (479,800) x2, 1,071,456 (1,071,648) x4,
1,821,208 (1,821,400) x8. Published: 0.48, 1.07 and 1.82 million with moving statistics, printed by
those notebooks for 32 bands. What differs or had to be chosen:

- the text normalises every branch of an inception block, the notebooks only what the branches are
  merged to; done as in the notebooks, whose results are the published ones;
- upsampling and normalisation, as `dsdcn` says.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.layers import BATCH_NORM_MOMENTUM, NORM_EPS, activated
from hsisr.models.literature.dsdcn import (
    FusedBranches,
    NetworkByScale,
    SizeByScale,
    repeated,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FginSize(SizeByScale):
    """Depth and width; `blocks` are inception blocks."""

    width: int = 32
    published: ClassVar = {2: (312,), 4: (256, 256), 8: (312, 312, 128)}
    arch: ClassVar = "fgin"


class SpectralSpatialFusion(nn.Module):
    """Spectra of a pixel, then its surroundings, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spectral = nn.Conv2d(width, width, 1)
        self.spatial = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, width, rows, cols) in and out."""
        spatial = functional.relu(self.spatial(functional.relu(self.spectral(x))))
        return functional.relu(x + spatial)


class InceptionBlock(nn.Module):
    """Four branches, of kernels 1, 3, 5 and 1 again, merged, normalised, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            (
                nn.Sequential(activated(width, width, 1)),
                nn.Sequential(activated(width, width, 1), activated(width, width, 3)),
                nn.Sequential(activated(width, width, 1), activated(width, width, 5)),
                nn.Sequential(activated(width, width, 1)),
            )
        )
        self.merged = nn.Conv2d(4 * width, width, 1)
        self.batch_norm = nn.BatchNorm2d(width, NORM_EPS, BATCH_NORM_MOMENTUM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, width, rows, cols) in and out."""
        branches = torch.cat([branch(x) for branch in self.branches], dim=1)
        return functional.relu(x + self.batch_norm(self.merged(branches)))


class UpsamplingStep(nn.Module):
    """Twice as many rows and columns: bilinear interpolation, sharpened by convolutions."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        depthwise = nn.Conv2d(features, features, 3, padding=1, groups=features)
        self.sharpened = nn.Sequential(
            activated(channels, features, 3),
            nn.Sequential(depthwise, nn.ReLU()),
            activated(features, features, 1),
        )
        same = channels == features
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, features, 2 * rows, 2 * cols)."""
        finer = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        sharpened: torch.Tensor = self.sharpened(finer)
        return repeated(self.shortcut(x)) + sharpened


class Fgin(NetworkByScale):
    """The network."""

    size_type = FginSize

    def __init__(self, scale: int, group_size: int, size: FginSize) -> None:
        width = size.width
        features = nn.Sequential(
            activated(group_size, width, 3),
            SpectralSpatialFusion(width),
            *(InceptionBlock(width) for _ in range(size.blocks)),
            FusedBranches(width, (nn.Conv2d(width, width, k, padding=k // 2) for k in (1, 3, 5))),
        )
        output = partial(nn.Conv2d, kernel_size=3, padding=1)
        super().__init__(
            scale, group_size, size, features=features, step=UpsamplingStep, output=output
        )
