"""After MSFMNet, multi-scale feature mapping: bands are a third axis, wavelets the scales.

Source: Zhang, Shao, Wan et al., "Multi-Scale Feature Mapping Network for Hyperspectral Image
Super-Resolution", Remote Sensing 2021, 13(20), 4180. Only its abstract and the captions of its
figures were at hand, and no public code was found. They say: residual learning in a cascade;
multi-scale feature mapping blocks (MSFMB, figure 2) that generate and fuse features of several
scales by a wavelet transform and spatial attention; a block that fuses features of all levels
(MLFFB, figure 4); sub-pixel convolution (figure 5). The rest is chosen here, as is usual:

- 4 blocks of 64 features, as in MCNet (Li et al., Remote Sensing 2020); 3x3x3 kernels as one over
  pixels and one over bands, as the abstract wants few parameters;
- the transform is Haar's over rows and columns: two scales and nothing lost between them; its
  four parts become channels, squeezed to 64 features and expanded again;
- spatial attention as in CBAM (Woo et al., ECCV 2018, equation 5), for every band alone;
- MLFFB is a 1x1x1 kernel over the outputs of all blocks and a separable convolution, added to the
  shallow features; upsampling is the sub-pixel convolution of EDSR, shared by all bands;
- loss: L1.

Parameters: 776,973 (x2), 924,685 (x4), 1,072,397 (x8), for any number of bands; the published
count was not found. So this is a network of that kind, and what it reaches does not judge the
paper's. Bands are normalised over the scene, as everywhere here.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hsisr.models.descriptor import BandGroupNetwork, NetworkSize
from hsisr.models.layers import per_band, pixel_shuffle


@dataclass(frozen=True, slots=True, kw_only=True)
class MsfmnetSize(NetworkSize):
    """Depth and width."""

    arch: ClassVar = "msfmnet"

    blocks: int = 4
    width: int = 64
    """Features of every block."""


def haar(x: torch.Tensor) -> torch.Tensor:
    """One level of the orthonormal Haar transform over rows and columns.

    Args:
        x: Shape (n, channels, ..., rows, cols), even rows and columns.

    Returns:
        Shape (n, 4 * channels, ..., rows / 2, cols / 2): means, then differences of rows, of
        columns and of both.

    >>> haar(torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])).flatten().tolist()
    [6.0, -3.0, -2.0, 1.0]
    """
    top, bottom = x[..., ::2, :], x[..., 1::2, :]
    a, b, c, d = top[..., ::2], top[..., 1::2], bottom[..., ::2], bottom[..., 1::2]
    return torch.cat((a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d), dim=1) / 2


def inverse_haar(x: torch.Tensor) -> torch.Tensor:
    """What `haar` was given; shape (n, 4 * channels, ...) -> (n, channels, ..., rows, cols)."""
    mean, rows, cols, both = x.chunk(4, dim=1)
    top = torch.stack((mean + rows + cols + both, mean + rows - cols - both), dim=-1).flatten(-2)
    bottom = torch.stack((mean - rows + cols - both, mean - rows - cols + both), dim=-1).flatten(-2)
    return torch.stack((top, bottom), dim=-2).flatten(-3, -2) / 2


class MappingBlock(nn.Module):
    """MSFMB: features of the pixels and of their wavelets, fused, weighed by place, added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fine = _separable(width)
        self.coarse = nn.Sequential(
            nn.Conv3d(4 * width, width, 1), *_separable(width), nn.Conv3d(width, 4 * width, 1)
        )
        self.fusion = nn.Conv3d(2 * width, width, 1)
        self.attention = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, width, bands, rows, cols) in and out."""
        rows, cols = x.shape[-2:]
        wavelets = self.coarse(haar(_evened(x)))
        scales = torch.cat((self.fine(x), inverse_haar(wavelets)[..., :rows, :cols]), dim=1)
        fused = self.fusion(scales)
        pooled = torch.cat((fused.mean(1, keepdim=True), fused.amax(1, keepdim=True)), dim=1)
        return x + fused * per_band(self.attention, pooled).sigmoid()


class Msfmnet(BandGroupNetwork):
    """The network."""

    size_type = MsfmnetSize

    def __init__(self, scale: int, group_size: int, size: MsfmnetSize) -> None:
        super().__init__(scale, group_size)
        width = size.width
        self.entry = nn.Conv3d(1, width, 3, padding=1)
        self.blocks = nn.ModuleList(MappingBlock(width) for _ in range(size.blocks))
        self.fusion = nn.Sequential(nn.Conv3d(size.blocks * width, width, 1), *_separable(width))
        self.upsampling = pixel_shuffle(width, scale)
        self.output = nn.Conv3d(width, 1, 3, padding=1)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`."""
        x = shallow = self.entry(lr.unsqueeze(1))
        levels = []
        for block in self.blocks:
            x = block(x)
            levels.append(x)
        x = shallow + self.fusion(torch.cat(levels, dim=1))
        hr: torch.Tensor = self.output(per_band(self.upsampling, x))
        return hr.squeeze(1)


def _separable(width: int) -> nn.Sequential:
    """A 3x3x3 kernel as one over pixels and one over bands, with ReLU between."""
    pixels = nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1))
    bands = nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0))
    return nn.Sequential(pixels, nn.ReLU(), bands)


def _evened(x: torch.Tensor) -> torch.Tensor:
    """The last row and column once more where their number is odd."""
    if x.shape[-2] % 2:
        x = torch.cat((x, x[..., -1:, :]), dim=-2)
    return torch.cat((x, x[..., -1:]), dim=-1) if x.shape[-1] % 2 else x
