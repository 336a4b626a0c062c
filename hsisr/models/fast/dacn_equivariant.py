"""`dacn-equivariant` for inference: every kernel expanded to all its orientations once.

Convolutions are oneDNN's with the activation in the same pass, the layer normalisation's weights
are part of the projections behind it, and the detail's mean over each LR pixel is subtracted in the
last kernel. The numbers are those of the trained network, up to rounding.
"""

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.common import with_level
from hsisr.models.dacn_equivariant import (
    ROUNDS,
    DacnEquivariant,
    EquivariantBlock,
    EquivariantStage,
    OrientedChannelAttention,
    PooledSelfAttention,
)
from hsisr.models.equivariant import LiftingConv, RegularConv
from hsisr.models.fast.back_projection import consistent_bicubic
from hsisr.models.fast.fixed_layer import FixedLayer, shuffled, without_means
from hsisr.models.fast.mixed_precision import MixedPrecision
from hsisr.models.fast.onednn import GELU


def _fixed(layer: LiftingConv | RegularConv) -> FixedLayer:
    return FixedLayer(*layer.dense())


class _FastSelfAttention(nn.Module):
    """`PooledSelfAttention`: the normalisation's weights are part of the projections."""

    def __init__(self, trained: PooledSelfAttention) -> None:
        super().__init__()
        self.heads, self.cells = trained.heads, trained.cells
        self.query, self.key, self.value = (
            self._normalised(trained, layer)
            for layer in (trained.query, trained.key, trained.value)
        )
        weight, bias = trained.output.dense()
        self.output = FixedLayer(weight[..., 0, 0], bias)

    @staticmethod
    def _normalised(trained: PooledSelfAttention, layer: RegularConv) -> FixedLayer:
        """A projection with the scale and shift of the normalisation before it."""
        weight, bias = layer.dense()
        scale, shift = (
            p.repeat_interleave(trained.norm.order)
            for p in (trained.norm.weight, trained.norm.bias)
        )
        matrix = weight[..., 0, 0]
        return FixedLayer(matrix * scale, bias + matrix @ shift)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features, rows, cols) in and out, channels last."""
        n, width, rows, cols = x.shape
        seen = functional.layer_norm(x.permute(0, 2, 3, 1), (width,))
        sides = (min(self.cells, rows), min(self.cells, cols))
        cells = functional.adaptive_avg_pool2d(seen.permute(0, 3, 1, 2), sides)
        tokens = cells.permute(0, 2, 3, 1).contiguous()
        query, key, value = (
            part.reshape(n, -1, self.heads, width // self.heads).transpose(1, 2)
            for part in (
                self.query.linear(seen),
                self.key.linear(tokens),
                self.value.linear(tokens),
            )
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        joined = attended.transpose(1, 2).reshape(n, rows, cols, width)
        return self.output.linear(joined).permute(0, 3, 1, 2)


class _FastChannelAttention(nn.Module):
    """The weights of `OrientedChannelAttention`."""

    def __init__(self, trained: OrientedChannelAttention) -> None:
        super().__init__()
        self.order = trained.order
        self.squeeze = FixedLayer(trained.squeeze.weight, trained.squeeze.bias)
        self.expand = FixedLayer(trained.expand.weight, 2 * trained.expand.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features, rows, cols) -> (n, order * features, 1, 1)."""
        pooled = torch.stack((x.mean((-2, -1)), x.amax((-2, -1))))
        by_feature = pooled.reshape(*pooled.shape[:-1], -1, self.order).mean(-1)
        hidden = (
            functional.linear(by_feature, self.squeeze.weight, self.squeeze.bias).relu_().sum(0)
        )
        scores = functional.linear(hidden, self.expand.weight, self.expand.bias)
        return (2 * scores.sigmoid_()).repeat_interleave(self.order, dim=1)[..., None, None]


class _FastBlock(nn.Module):
    """`EquivariantBlock`."""

    def __init__(self, trained: EquivariantBlock) -> None:
        super().__init__()
        self.norm = trained.norm
        self.first, self.second = _fixed(trained.first), _fixed(trained.second)
        self.channel_attention = _FastChannelAttention(trained.channel_attention)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features, rows, cols) in and out, channels last."""
        branch = self.second.convolved(self.first.convolved(self.norm(x), GELU))
        return torch.addcmul(x, branch, self.channel_attention(branch))


class _FastStage(nn.Module):
    """`EquivariantStage`."""

    def __init__(self, trained: EquivariantStage) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(_FastBlock(cast("EquivariantBlock", block)) for block in trained.blocks)
        )
        self.self_attention = _FastSelfAttention(trained.self_attention)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features, rows, cols) in and out, channels last."""
        x = self.blocks(x)
        return x.add_(self.self_attention(x))


class FastDacnEquivariant(nn.Module):
    """`DacnEquivariant` with its weights as they are now."""

    @torch.no_grad()
    def __init__(self, trained: DacnEquivariant) -> None:
        super().__init__()
        self.scale, self.bands = trained.scale, trained.group_size
        self.entry = _fixed(trained.entry)
        self.stages = nn.Sequential(
            *(_FastStage(cast("EquivariantStage", stage)) for stage in trained.stages)
        )
        self.exit, self.patterns = _fixed(trained.exit), _fixed(trained.patterns)
        pixels = without_means(trained.pixels.dense(), self.bands)
        self.pixels = FixedLayer(pixels, pixels.new_zeros(len(pixels)))

    def detail(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `DacnEquivariant.detail`."""
        seen = with_level(lr, zero)
        x = seen.to(self.entry.weight.dtype, memory_format=torch.channels_last)
        x = self.entry.convolved(x)
        x = x + self.exit.convolved(self.stages(x))
        x = self.pixels.convolved(self.patterns.convolved(x))
        return shuffled(x, self.scale).float()

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `DacnEquivariant.forward`."""
        base = consistent_bicubic(lr.float(), self.scale, rounds=ROUNDS)
        return base.add_(self.detail(lr, zero))


class DacnEquivariantInference(MixedPrecision):
    """`FastDacnEquivariant` in float32 and, if asked for, in half precision.

    Args:
        trained: Not changed.
        precision: The one used under autocast.
    """

    agreeing = True
    """Its detail has mean 0 over each LR pixel, and its base has all rounds of back-projection."""

    def __init__(self, trained: DacnEquivariant, precision: torch.dtype = torch.float32) -> None:
        super().__init__("dacn-equivariant", FastDacnEquivariant(trained), precision)
