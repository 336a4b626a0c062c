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

import torch
from torch import nn

from hsisr.models.common import (
    ResidualBlock,
    comparison_descriptor,
    pixel_shuffle,
    require_bands,
    require_counts,
    sized,
)
from hsisr.models.descriptor import ModelDescriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class EdsrSize:
    """Depth and width.

    Raises:
        WeightsError: A number is impossible.
    """

    blocks: int = 32
    width: int = 256
    """Features of every block."""
    residual_scale: float = 0.1
    """Factor on what a block adds; with 256 features training is not stable without it."""

    def __post_init__(self) -> None:
        require_counts("edsr", blocks=self.blocks, width=self.width)


class Edsr(nn.Module):
    """The network; see `build_edsr`.

    Args:
        scale: HR pixels per LR pixel along a side.
        group_size: Bands in and out.
        size: Depth and width.
    """

    def __init__(self, scale: int, group_size: int, size: EdsrSize) -> None:
        super().__init__()
        self.group_size = group_size
        self.entry = nn.Conv2d(group_size, size.width, 3, padding=1)
        self.blocks = nn.Sequential(
            *(ResidualBlock(size.width, size.residual_scale) for _ in range(size.blocks))
        )
        self.exit = nn.Conv2d(size.width, size.width, 3, padding=1)
        self.upsampling = pixel_shuffle(size.width, scale)
        self.output = nn.Conv2d(size.width, group_size, 3, padding=1)

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ARG002
        """Upscale band groups; see `Dacn.forward`."""
        require_bands("edsr", lr, self.group_size)
        x = self.entry(lr.contiguous(memory_format=torch.channels_last))
        x = x + self.exit(self.blocks(x))
        hr: torch.Tensor = self.output(self.upsampling(x))
        return hr


def build_edsr(descriptor: ModelDescriptor) -> Edsr:
    """The network a descriptor asks for, with fresh weights, in training mode.

    Raises:
        WeightsError: The descriptor has parameters that EDSR does not know.
    """
    return Edsr(descriptor.scale, descriptor.group_size, sized(EdsrSize, descriptor))


def edsr_descriptor(scale: int) -> ModelDescriptor:
    """The settings for a scale, see `comparison_descriptor`."""
    return comparison_descriptor("edsr", scale)
