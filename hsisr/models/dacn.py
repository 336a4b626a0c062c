"""DACN, the dual-attention convolutional network, for one band group.

Source: Muhammad, Laaksonen, Mihaylova, arXiv 2506.05041, and the notebooks published with it. The
`paper` variant follows the text, the `notebook` variant the published code and weights; they
differ in the pooling of channel attention (equation 9) and in nothing else.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from torch import nn

from hsisr.errors import WeightsError
from hsisr.models.common import require_bands, sized
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.layers import AttentionBlock, Pooling, UpsamplingBlock, initialise

BLOCK_FEATURES: Final = (32, 64, 128)
"""Features of each branch in the attention blocks."""
UPSAMPLING_FEATURES: Final = (256, 128, 16)
"""Features of each branch in the upsampling blocks: one block for x2, two for x4, three for x8."""
HR_TILE_PX: Final = 144
"""Side of the paper's patches, in HR pixels."""
POOLINGS: Final[tuple[Pooling, ...]] = ("paper", "notebook")


@dataclass(frozen=True, slots=True, kw_only=True)
class DacnParts:
    """What attention blocks are made of; without one of the attentions, for the paper's table I.

    Raises:
        WeightsError: There is no such pooling, or a switch is neither true nor false.
    """

    pooling: Pooling = "paper"
    self_attention: bool = True
    channel_attention: bool = True

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            known = " or ".join(POOLINGS)
            raise WeightsError(f"dacn has no pooling {self.pooling!r}; expected {known}")
        for name in ("self_attention", "channel_attention"):
            if not isinstance(value := getattr(self, name), bool):
                raise WeightsError(
                    f"impossible dacn with {name} = {value!r}; expected true or false"
                )


class Dacn(nn.Module):
    """The network; see `build_dacn`.

    Args:
        group_size: Bands in and out.
        upsampling_blocks: Each doubles rows and columns; 1 to 3.
        parts: What its attention blocks are made of.
    """

    def __init__(self, group_size: int, upsampling_blocks: int, parts: DacnParts) -> None:
        super().__init__()
        self.group_size = group_size
        widths = (group_size, *(2 * features for features in BLOCK_FEATURES))
        self.blocks = nn.Sequential(
            *(
                AttentionBlock(
                    before,
                    after // 2,
                    parts.pooling,
                    self_attention=parts.self_attention,
                    channel_attention=parts.channel_attention,
                )
                for before, after in pairwise(widths)
            )
        )
        features = UPSAMPLING_FEATURES[:upsampling_blocks]
        widths = (widths[-1], *(2 * count for count in features))
        self.upsampling = nn.Sequential(
            *(UpsamplingBlock(before, after // 2) for before, after in pairwise(widths))
        )
        self.output = nn.Conv2d(widths[-1], group_size, 3, padding=1)
        initialise(self)

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ARG002
        """Upscale band groups.

        Args:
            lr: Shape (n, group_size, rows, cols), any rows and columns.
            zero: Not used; what every network here can be told, see `DacnAny.forward`.

        Returns:
            Shape (n, group_size, rows * scale, cols * scale).

        Raises:
            WeightsError: The shape has another number of axes or bands.
        """
        require_bands("dacn", lr, self.group_size)
        # pixels as tokens and convolutions both like the channels last
        x = self.blocks(lr.contiguous(memory_format=torch.channels_last))
        hr: torch.Tensor = self.output(self.upsampling(x))
        return hr


def build_dacn(descriptor: ModelDescriptor) -> Dacn:
    """The network a descriptor asks for, with fresh weights, in training mode.

    Raises:
        WeightsError: The descriptor has parameters that dacn does not know.

    >>> network = build_dacn(dacn_descriptor(2))
    >>> tuple(network(torch.zeros(1, 32, 5, 7)).shape)
    (1, 32, 10, 14)
    """
    parts = sized(DacnParts, descriptor)
    return Dacn(descriptor.group_size, descriptor.scale.bit_length() - 1, parts)


def dacn_descriptor(scale: int, pooling: Pooling = "paper") -> ModelDescriptor:
    """The paper's settings for a scale: groups of 32 bands, 8 shared, tiles of 144 HR pixels.

    Args:
        scale: HR pixels per LR pixel along a side.
        pooling: Variant of channel attention.

    Raises:
        WeightsError: The scale is not 2, 4 or 8.

    >>> dacn_descriptor(4).tile_lr_px
    36
    """
    tile = HR_TILE_PX // scale if scale > 0 else HR_TILE_PX
    return ModelDescriptor(
        arch="dacn",
        scale=scale,
        group_size=32,
        group_overlap=8,
        tile_lr_px=tile,
        overlap_lr_px=tile // 4,
        hparams={"pooling": pooling},
    )
