"""VDSR, very deep super-resolution, over band groups in place of the luminance.

Source: Kim, Lee, Lee, "Accurate image super-resolution using very deep convolutional networks",
CVPR 2016: 20 layers of 3x3 kernels with 64 features and ReLU between (section 3.1), the last one
gives what is added to the bicubic interpolation (section 3.2), weights start by the rule of He et
al., "Delving deep into rectifiers", ICCV 2015, equation 10. Loss of the paper: half the mean
squared error.

Parameters: 701,664 at every scale, as all layers see the HR grid. Published: 665 thousand, for
one luminance channel (tables of later papers, as in https://github.com/falsr/FALSR); the same
layers have 665,921 for one band in and out. What differs:

- the bands of a group are the channels of one network, while the paper upscales the luminance
  alone and interpolates the colours; band by band the network would not see spectra;
- one network per scale, as every network here has its scale, while the paper trains one for 2, 3
  and 4; nothing in it depends on the scale, so weights of one scale can start another.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hsisr.models.descriptor import BandGroupNetwork, NetworkSize
from hsisr.models.layers import activated, bicubic


@dataclass(frozen=True, slots=True, kw_only=True)
class VdsrSize(NetworkSize):
    """Depth and width."""

    arch: ClassVar = "vdsr"

    hidden: int = 18
    """Layers between the first and the last, which the paper's 20 include."""
    width: int = 64
    """Features of every layer but the last."""


class Vdsr(BandGroupNetwork):
    """The network."""

    size_type = VdsrSize

    def __init__(self, scale: int, group_size: int, size: VdsrSize) -> None:
        super().__init__(scale, group_size)
        self.entry = activated(group_size, size.width)
        self.hidden = nn.Sequential(
            *(activated(size.width, size.width) for _ in range(size.hidden))
        )
        self.exit = nn.Conv2d(size.width, group_size, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`."""
        coarse = bicubic(lr, self.scale)
        x = self.entry(coarse.contiguous(memory_format=torch.channels_last))
        detail: torch.Tensor = self.exit(self.hidden(x))
        return coarse + detail
