"""DSDCN, the depthwise separable dilated convolutional network: few parameters, wide kernels.

Source: Muhammad, Laaksonen, Mihaylova, "Towards Lightweight Hyperspectral Image Super-Resolution
with Depthwise Separable Dilated Convolutional Network", arXiv 2505.00374; order and sizes of
layers from the notebooks published with it, https://github.com/Usman1021/lightweight
(PaviaU_dataset_code), groups of 32 bands as here. Loss: mean squared error + a * mean spectral
angle in radians + b * mean squared error once more, as "L2", with (a, b) = (0.1, 0.08) at x2,
(0.5, 0.03) at x4, (0.3, 0.08) at x8.

Parameters, with moving statistics in brackets: 299,520 (300,288) x2, 1,061,352 (1,062,120) x4,
715,072 (715,840) x8. Published: 0.30, 0.96 and 0.72 million with moving statistics, printed by
those notebooks for 32 bands. What differs or had to be chosen:

- dilated kernels are 3x3 at every scale, as in the text and in the notebooks of x2 and x8; the
  notebook of x4 has 1x1, on which dilation has no effect, and so 98,304 fewer parameters; its
  published 30.52 dB (PaviaU, x4) belong to those 1x1 kernels;
- the text projects the shortcut of a residual block, the notebooks add the input as it is, which
  has the width already; done as in the notebooks, whose counts these are;
- here and in FGIN upsampling has other widths at every scale, as in the notebooks; the texts do not
  ask for it. The shortcut of an upsampling step is convolved before its pixels are repeated, not
  after: a 1x1 kernel gives the same numbers either way, at a quarter of the cost;
- bands are normalised over the scene, while the notebooks take raw digital numbers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.descriptor import BandGroupNetwork, NetworkSize
from hsisr.models.layers import BATCH_NORM_MOMENTUM, NORM_EPS, activated, initialise

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


DILATIONS: Final = (1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class DsdcnSize(SizeByScale):
    """Depth and width; `blocks` are residual blocks."""

    width: int = 64
    published: ClassVar = {2: (128,), 4: (200, 200), 8: (128, 128, 64)}
    arch: ClassVar = "dsdcn"


class SeparableResidualBlock(nn.Module):
    """Two separable convolutions, each normalised, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.detail = nn.Sequential(
            _separable(width, width),
            nn.BatchNorm2d(width, NORM_EPS, BATCH_NORM_MOMENTUM),
            nn.ReLU(),
            _separable(width, width),
            nn.BatchNorm2d(width, NORM_EPS, BATCH_NORM_MOMENTUM),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, width, rows, cols) in and out."""
        return functional.relu(x + self.detail(x))


def dilated_fusion(width: int) -> FusedBranches:
    """Kernels that reach 1, 2 and 3 pixels far side by side, fused."""
    return FusedBranches(
        width, (nn.Conv2d(width, width, 3, padding=far, dilation=far) for far in DILATIONS)
    )


class UpsamplingStep(nn.Module):
    """Twice as many rows and columns by transposed convolution, added to repeated pixels."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.detail = nn.ConvTranspose2d(channels, features, 4, stride=2, padding=1)
        self.shortcut = nn.Conv2d(channels, features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, features, 2 * rows, 2 * cols)."""
        return repeated(self.shortcut(x)) + functional.relu(self.detail(x))


class Dsdcn(NetworkByScale):
    """The network."""

    size_type = DsdcnSize

    def __init__(self, scale: int, group_size: int, size: DsdcnSize) -> None:
        width = size.width
        features = nn.Sequential(
            _separable(group_size, width),
            nn.ReLU(),
            *(SeparableResidualBlock(width) for _ in range(size.blocks)),
            dilated_fusion(width),
        )
        super().__init__(
            scale, group_size, size, features=features, step=UpsamplingStep, output=_separable
        )


def _separable(channels: int, features: int) -> nn.Sequential:
    """A 3x3 kernel for every channel alone, then a 1x1 kernel over all, with the only bias."""
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(channels, features, 1))
