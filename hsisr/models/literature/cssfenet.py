"""After CSSFENet, channel-attention-based spatial-spectral features: 3-D kernels, split.

Source: Zhang, Zheng, Wan, Geng, Wang, Yang, Zhang, Li, "Hyperspectral image super-resolution based
on feature diversity extraction", Remote Sensing 2024, 16, 436. From its abstract and section 3.1:
a convolution that raises the rank of the kernel matrix (3D-FEC, equation 1); modules that each
take what the modules before found, concatenated and reduced by a convolution, and have channel
attention (CSSFEM, equation 2); 3-D sub-pixel convolution. Loss of the paper, from its abstract: a
term on singular values that keeps features diverse and one on spatial and spectral gradients; the
term for the pixels themselves and all weights were not found.

No public code and no published parameter count was found; here it has 2,012,720 for x2, 2,033,468
for x4 and 2,116,460 for x8, at any number of bands.

Where the text at hand is silent, this follows the work that the idea of diversity through rank
comes from (Hou et al., "Deep diversity-enhanced feature representation of hyperspectral images",
arXiv 2301.06132, public code jinnh/ReSSS-ConvSet): kernels along bands, rows and
columns side by side, joined by a 1x1x1 convolution; 11 modules of 64 features without biases; the
first features added to the last, and the result to bicubic interpolation; this trunk equals
ReSSS-ConvSet, so comparisons name the network "after CSSFENet". Channel attention is that
of Hu et al. with 16 times fewer features between, the most usual one, on what a module adds last.
A single channel per band comes out of the sub-pixel convolution, the smallest that can.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.descriptor import BandGroupNetwork, NetworkSize
from hsisr.models.layers import SqueezeExcitation, bicubic, convolution_pair

Kernel = tuple[int, int, int]
AXES: Final[tuple[Kernel, ...]] = ((3, 1, 1), (1, 3, 1), (1, 1, 3))
"""Kernels along bands, rows and columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CssfenetSize(NetworkSize):
    """Depth and width."""

    arch: ClassVar = "cssfenet"

    modules: int = 11
    width: int = 64
    """Features of every module."""


class Cssfenet(BandGroupNetwork):
    """The network."""

    size_type = CssfenetSize

    def __init__(self, scale: int, group_size: int, size: CssfenetSize) -> None:
        super().__init__(scale, group_size)
        self.entry = AxisConvolution(1, size.width)
        self.blocks = nn.ModuleList(
            Cssfem(max(1, number) * size.width, size.width) for number in range(size.modules)
        )
        self.upsampling = nn.Conv3d(size.width, scale**2, 3, padding=1)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`."""
        first = self.entry(lr[:, None])
        found: list[torch.Tensor] = []
        for block in self.blocks:
            found.append(block(torch.cat(found or [first], dim=1)))
        subpixels = self.upsampling(first + found[-1]).transpose(1, 2)
        detail = functional.pixel_shuffle(subpixels, self.scale).squeeze(2)
        return bicubic(lr, self.scale) + detail


class AxisConvolution(nn.Module):
    """The paper's 3D-FEC: kernels of 3 along each axis, side by side, joined by one of 1x1x1."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.axes = nn.ModuleList(
            nn.Conv3d(before, after, kernel, padding="same", bias=False) for kernel in AXES
        )
        self.join = nn.Conv3d(len(AXES) * after, after, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, features, bands, rows, cols) in and out."""
        return self.join(torch.cat([axis(x) for axis in self.axes], dim=1))


class Cssfem(nn.Module):
    """Along each axis, then rows and columns with channel attention; each adds to its input."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv3d(before, width, 1, bias=False)
        self.axes = nn.ModuleList(convolution_pair(width, kernel) for kernel in AXES)
        self.join = nn.Conv3d(len(AXES) * width, width, 1, bias=False)
        self.spatial = convolution_pair(width, (1, 3, 3))
        self.attention = SqueezeExcitation(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, before, bands, rows, cols) in, (n, width, bands, rows, cols) out."""
        x = functional.relu(self.mix(x))
        x = x + self.join(torch.cat([axis(x) for axis in self.axes], dim=1))
        return x + self.attention(self.spatial(x))
