"""DACN, the dual-attention convolutional network, for one band group.

Source: Muhammad, Laaksonen, Mihaylova, arXiv 2506.05041, and the notebooks published with it. The
`paper` variant follows the text, the `notebook` variant the published code and weights; they
differ in the pooling of channel attention (equation 9) and in nothing else.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

import torch
from torch import nn

from hsisr.errors import WeightsError
from hsisr.models.descriptor import BandGroupNetwork, ModelDescriptor, NetworkSize
from hsisr.models.layers import AttentionBlock, Pooling, UpsamplingBlock, initialise

BLOCK_FEATURES: Final = (32, 64, 128)
"""Features of each branch in the attention blocks."""
UPSAMPLING_FEATURES: Final = (256, 128, 16)
"""Features of each branch in the upsampling blocks: one block for x2, two for x4, three for x8."""
HR_TILE_PX: Final = 144
"""Side of the paper's patches, in HR pixels."""
POOLINGS: Final[tuple[Pooling, ...]] = ("paper", "notebook")


@dataclass(frozen=True, slots=True, kw_only=True)
class DacnParts(NetworkSize):
    """What attention blocks are made of; without one of the attentions, for the paper's table I.

    Raises:
        WeightsError: There is no such pooling, or a switch is neither true nor false.
    """

    arch: ClassVar = "dacn"

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


class Dacn(BandGroupNetwork):
    """The network: attention blocks, then an upsampling block for each doubling."""

    size_type = DacnParts

    def __init__(self, scale: int, group_size: int, parts: DacnParts) -> None:
        super().__init__(scale, group_size)
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
        features = UPSAMPLING_FEATURES[: scale.bit_length() - 1]
        widths = (widths[-1], *(2 * count for count in features))
        self.upsampling = nn.Sequential(
            *(UpsamplingBlock(before, after // 2) for before, after in pairwise(widths))
        )
        self.output = nn.Conv2d(widths[-1], group_size, 3, padding=1)
        initialise(self)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`."""
        # pixels as tokens and convolutions both like the channels last
        x = self.blocks(lr.contiguous(memory_format=torch.channels_last))
        return self.output(self.upsampling(x))

    @classmethod
    def descriptor(cls, scale: int, pooling: Pooling = "paper") -> ModelDescriptor:
        """The paper's settings for a scale: groups of 32 bands, 8 shared, tiles of 144 HR pixels.

        Raises:
            WeightsError: The scale is not 2, 4 or 8.

        >>> Dacn.descriptor(4).tile_lr_px
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
