"""`dacn` for inference: the numbers of the trained network, from fewer operations and copies.

Batch normalisations are merged into the convolutions before them, the linear branch into the output
convolution (`folding`), layers that read the same features into one layer; attention is computed in
chunks that fit the cache (`attention`). Weights are stored in the precision and memory format used.
"""

import copy
import math
from typing import Final, cast

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.dacn import Dacn
from hsisr.models.fast.attention import attention
from hsisr.models.fast.fixed_layer import FastChannelAttention, FixedLayer, bias_of
from hsisr.models.fast.folding import FoldedUpsampling, folding_pays, with_norm
from hsisr.models.fast.mixed_precision import MixedPrecision
from hsisr.models.fast.onednn import leaky_relu
from hsisr.models.layers import LEAKY_SLOPE, AttentionBlock, PixelAttention, UpsamplingBlock

_LEAKY: Final = leaky_relu(LEAKY_SLOPE)


class _FastPixelAttention(nn.Module):
    """`PixelAttention`; scaled queries, keys and values from one layer."""

    def __init__(self, trained: PixelAttention) -> None:
        super().__init__()
        self.heads = trained.heads
        parts = (trained.query, trained.key, trained.value)
        weight = torch.stack([part.weight for part in parts])
        bias = torch.stack([part.bias for part in parts])
        for table in (weight, bias):
            table[0] /= math.sqrt(trained.query.out_features / self.heads)
        self.parts = FixedLayer(weight.flatten(0, 1), bias.flatten())
        self.output = FixedLayer(trained.output.weight, trained.output.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Attend; shape (n, pixels, channels) in and out."""
        return self.output.linear(attention(self.parts.linear(tokens), self.heads))


class _FastAttentionBlock(nn.Module):
    """`AttentionBlock`."""

    def __init__(self, trained: AttentionBlock) -> None:
        super().__init__()
        convolution = trained.convolution
        self.convolution = FixedLayer(
            *with_norm(convolution.weight, bias_of(convolution), trained.batch_norm, axis=0)
        )
        pixels = trained.pixel_attention
        self.pixel_attention = None if pixels is None else _FastPixelAttention(pixels)
        self.layer_norm = copy.deepcopy(trained.layer_norm)
        channels = trained.channel_attention
        self.channel_attention = None if channels is None else FastChannelAttention(channels)
        self.skip = FixedLayer(trained.skip.weight[:, :, 0, 0], bias_of(trained.skip))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, 2 * features, rows, cols)."""
        y = self.convolution.convolved(x, _LEAKY)
        y = y.permute(0, 2, 3, 1)
        if self.pixel_attention is not None:
            y = y + self.pixel_attention(y.flatten(1, 2)).unflatten(1, y.shape[1:3])
        y = self.layer_norm(y).permute(0, 3, 1, 2)
        if self.channel_attention is not None:
            y = y * self.channel_attention(y)
        skip = self.skip.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return torch.cat((y, skip), dim=1)


class _FastUpsamplingBlock(nn.Module):
    """`UpsamplingBlock`, both branches in one layer."""

    def __init__(self, trained: UpsamplingBlock) -> None:
        super().__init__()
        weight, bias = _activated_weights(trained)
        self.features = len(bias)
        self.both = FixedLayer(
            torch.cat((weight, trained.skip.weight), dim=1),
            torch.cat((bias, bias_of(trained.skip))),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, 2 * features, 2 * rows, 2 * cols)."""
        y = self.both.upsampled(x)
        functional.leaky_relu_(y[:, : self.features], LEAKY_SLOPE)
        return y


class _PlainEnd(nn.Module):
    """The last upsampling block and the output convolution, where folding costs more."""

    def __init__(self, last: UpsamplingBlock, output: nn.Conv2d) -> None:
        super().__init__()
        self.last = _FastUpsamplingBlock(last)
        self.output = FixedLayer(output.weight, bias_of(output))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, bands, 2 * rows, 2 * cols)."""
        return self.output.convolved(self.last(x))


class _FoldedEnd(nn.Module):
    """The last upsampling block and the output convolution, its linear branch folded."""

    def __init__(self, last: UpsamplingBlock, output: nn.Conv2d) -> None:
        super().__init__()
        features = last.skip.out_channels
        self.activated = FixedLayer(*_activated_weights(last))
        kernel, bias = output.weight, bias_of(output)
        self.output = FixedLayer(kernel[:, :features], torch.zeros_like(bias))
        self.linear = FoldedUpsampling(last.skip, kernel[:, features:], bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, bands, 2 * rows, 2 * cols)."""
        y = self.activated.upsampled(x, _LEAKY)
        hr: torch.Tensor = self.linear(x).add_(self.output.convolved(y))
        return hr


class FastDacn(nn.Module):
    """`Dacn` in evaluation mode, with its weights as they are now."""

    @torch.no_grad()
    def __init__(self, trained: Dacn) -> None:
        super().__init__()
        self.bands = trained.group_size
        self.blocks = nn.Sequential(
            *(_FastAttentionBlock(cast("AttentionBlock", block)) for block in trained.blocks)
        )
        *early, last = cast("list[UpsamplingBlock]", list(trained.upsampling))
        pays = folding_pays(last.skip.in_channels, last.skip.out_channels, trained.group_size)
        kind = _FoldedEnd if pays else _PlainEnd
        self.upsampling = nn.Sequential(
            *map(_FastUpsamplingBlock, early), kind(last, trained.output)
        )

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ARG002
        """Shape (n, bands, rows, cols) -> (n, bands, rows * scale, cols * scale)."""
        weight = next(self.buffers())
        x = lr.to(weight.dtype, memory_format=torch.channels_last)
        hr: torch.Tensor = self.upsampling(self.blocks(x))
        return hr


class DacnInference(MixedPrecision):
    """`FastDacn` in float32 and, if asked for, in half precision.

    Args:
        trained: Not changed.
        precision: The one used under autocast.
        agreeing: No effect: the result does not agree with the observed pixels.
    """

    def __init__(
        self,
        trained: Dacn,
        precision: torch.dtype = torch.float32,
        *,
        agreeing: bool = False,  # noqa: ARG002
    ) -> None:
        super().__init__("dacn", FastDacn(trained), precision)


def _activated_weights(block: UpsamplingBlock) -> tuple[torch.Tensor, torch.Tensor]:
    convolution = block.convolution
    return with_norm(convolution.weight, bias_of(convolution), block.batch_norm, axis=1)
