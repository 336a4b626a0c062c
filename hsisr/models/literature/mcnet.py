"""MCNet, the mixed 2D/3D convolutional network: bands are a third axis, not channels.

Source: Li, Wang, Li, "Mixed 2D/3D Convolutional Network for Hyperspectral Image Super-Resolution",
Remote Sensing 2020, 12(10), 1660; order and sizes of layers, which its abstract leaves open, from
the authors' code, https://github.com/qianngli/MCNet (model.py, option.py): 4 mixed modules of 64
features, each with three pairs of a 3D and a 2D unit, one separable convolution per 3D unit, ReLU
after both halves of it, and weight normalisation of every convolution (Salimans, Kingma, NeurIPS
2016). Loss: L1 (train.py).

Parameters: 1,928,334 (x2), 2,174,094 (x4), 2,960,526 (x8), for any number of bands; the scales of
weight normalisation count. No published count was found, but the layers are those of the authors'
code. What differs: bands are normalised over the scene, where the code subtracts means of the
training set and adds them again; x8, which the authors do not report, follows their rule that the
kernel of the transposed convolution is scale + 2 wide.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from hsisr.models.descriptor import BandGroupNetwork, NetworkSize
from hsisr.models.layers import per_band

PAIRS: Final = 3
"""3D units of a module, each followed by a 2D unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class McnetSize(NetworkSize):
    """Depth and width."""

    arch: ClassVar = "mcnet"

    modules: int = 4
    """Mixed modules one after the other."""
    convolutions: int = 1
    """Separable convolutions of a 3D unit."""
    width: int = 64
    """Features of every layer."""


class MixedModule(nn.Module):
    """3D units in a row, a 2D unit on each, all of these fused, one more separable convolution."""

    def __init__(self, size: McnetSize) -> None:
        super().__init__()
        width = size.width
        self.spectral_spatial = nn.ModuleList(
            nn.Sequential(*(_separable(width) for _ in range(size.convolutions)))
            for _ in range(PAIRS)
        )
        self.spatial = nn.ModuleList(_spatial(width) for _ in range(PAIRS))
        self.shares = nn.Parameter(torch.ones(PAIRS))
        self.fusion = nn.Sequential(weight_norm(nn.Conv3d(PAIRS * width, width, 1)), nn.ReLU())
        self.exit = _separable(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, width, bands, rows, cols) in and out."""
        y, levels = x, []
        for share, unit, spatial in zip(
            self.shares, self.spectral_spatial, self.spatial, strict=True
        ):
            y = y + unit(y)
            levels.append(share * per_band(spatial, y))
        return self.exit(x + self.fusion(torch.cat(levels, dim=1)))


class Mcnet(BandGroupNetwork):
    """The network."""

    size_type = McnetSize

    def __init__(self, scale: int, group_size: int, size: McnetSize) -> None:
        super().__init__(scale, group_size)
        width = size.width
        self.entry = weight_norm(nn.Conv3d(1, width, 3, padding=1))
        self.blocks = nn.ModuleList(MixedModule(size) for _ in range(size.modules))
        kernel, stride = (3, scale + 2, scale + 2), (1, scale, scale)
        self.upsampling = weight_norm(
            nn.ConvTranspose3d(width, width, kernel, stride=stride, padding=1)
        )
        self.output = weight_norm(nn.Conv3d(width, 1, 3, padding=1))

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`."""
        shallow = self.entry(lr.unsqueeze(1))
        x = shallow
        for block in self.blocks:
            x = shallow + block(x)
        hr: torch.Tensor = self.output(self.upsampling(x))
        return hr.squeeze(1)


def _separable(width: int) -> nn.Sequential:
    """A 3x3x3 kernel as one over pixels and one over bands, with ReLU after each."""
    pixels = nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1))
    bands = nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0))
    return nn.Sequential(weight_norm(pixels), nn.ReLU(), weight_norm(bands), nn.ReLU())


def _spatial(width: int) -> nn.Sequential:
    """The 2D unit, for the features of one band."""
    first, second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
    return nn.Sequential(weight_norm(first), nn.ReLU(), weight_norm(second))
