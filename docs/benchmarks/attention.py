"""`dacn-equivariant` without one of its attentions, as rows of a comparison.

From this folder, so that the names are found:

    hsisr benchmark --methods dacn-equivariant,attention:no_self,attention:no_channel \\
        --train TRAIN --scenes SCENES --scales 4 --budget 20 --batches 1 --threads 1
"""

from typing import Self

import torch
from torch import nn

from hsisr.models.dacn_equivariant import (
    DacnEquivariant,
    EquivariantBlock,
    EquivariantStage,
)
from hsisr.models.descriptor import ModelDescriptor

descriptor = DacnEquivariant.descriptor
"""The settings are those of the whole network."""


class WithoutParts(DacnEquivariant):
    """The network; a class of its own, because `DacnEquivariant` has a form for inference."""

    def without(self, *, self_attention: bool = False, channel_attention: bool = False) -> Self:
        """Itself, with the attentions that are true taken out of every stage."""
        for part in list(self.modules()):
            if self_attention and isinstance(part, EquivariantStage):
                part.self_attention = _Nothing()  # type: ignore[assignment]
            if channel_attention and isinstance(part, EquivariantBlock):
                part.channel_attention = nn.Identity()  # type: ignore[assignment]
        return self


class _Nothing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


def no_self(settings: ModelDescriptor) -> nn.Module:
    """Pixels see each other through convolutions alone."""
    return WithoutParts.of(settings).without(self_attention=True)


def no_channel(settings: ModelDescriptor) -> nn.Module:
    """Features are not weighed."""
    return WithoutParts.of(settings).without(channel_attention=True)
