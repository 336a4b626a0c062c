"""EDSR, enhanced deep super-resolution, over band groups in place of colours.

Source: Lim, Son, Kim, Nah, Lee, "Enhanced deep residual networks for single image
super-resolution", CVPRW 2017. Depth, width and residual scaling are those of the paper's large
model: 32 blocks of 256 features, factor 0.1 (section 3.2). Loss of the paper: L1.

Parameters: 43.1 million in the paper's table 1, for three colours and with the upsampling of x4
counted; here 32 bands come in and go out, and the number depends on the scale. Rate of the authors'
code: 1e-4. What
differs: bands are normalised over the scene instead of being shifted by a mean colour, and the
network is trained from scratch at each scale, while the paper starts x4 from x2.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hsisr.models.descriptor import BandGroupNetwork, NetworkSize
from hsisr.models.layers import ResidualBlock, pixel_shuffle


@dataclass(frozen=True, slots=True, kw_only=True)
class EdsrSize(NetworkSize):
    """Depth and width."""

    arch: ClassVar = "edsr"

    blocks: int = 32
    width: int = 256
    """Features of every block."""
    residual_scale: float = 0.1
    """Factor on what a block adds; with 256 features training is not stable without it."""


class Edsr(BandGroupNetwork):
    """The network."""

    size_type = EdsrSize

    def __init__(self, scale: int, group_size: int, size: EdsrSize) -> None:
        super().__init__(scale, group_size)
        self.entry = nn.Conv2d(group_size, size.width, 3, padding=1)
        self.blocks = nn.Sequential(
            *(ResidualBlock(size.width, size.residual_scale) for _ in range(size.blocks))
        )
        self.exit = nn.Conv2d(size.width, size.width, 3, padding=1)
        self.upsampling = pixel_shuffle(size.width, scale)
        self.output = nn.Conv2d(size.width, group_size, 3, padding=1)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`."""
        x = self.entry(lr.contiguous(memory_format=torch.channels_last))
        x = x + self.exit(self.blocks(x))
        return self.output(self.upsampling(x))
