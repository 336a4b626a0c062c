"""`dacn` for use: the numbers of the network that was trained, from fewer operations and copies.

Batch normalisations are part of the convolutions before them, a linear branch and the output
convolution are one (`hsisr.models.folding_once`), layers that read the same features are one layer,
and attention fits the cache (`hsisr.models.pixel_attention`). Weights are in the precision and the
memory format in which they are used.
"""

import copy
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.comparison import require_bands
from hsisr.models.dacn import Dacn
from hsisr.models.folding import folding_pays
from hsisr.models.folding_once import FoldedUpsampling, with_norm
from hsisr.models.layers import LEAKY_SLOPE, AttentionBlock, PixelAttention, UpsamplingBlock
from hsisr.models.pixel_attention import attention
from hsisr.models.precision import in_full
from hsisr.models.products import linear


class _Layer(nn.Module):
    """A kernel and a bias that do not change any more, the kernel with its channels last."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        last = torch.channels_last if weight.ndim == 4 else torch.contiguous_format
        kernel = weight.clone(memory_format=last)
        self.register_buffer("weight", kernel, persistent=False)
        self.register_buffer("bias", bias.clone(), persistent=False)

    def convolved(self, x: torch.Tensor) -> torch.Tensor:
        """A 3x3 convolution."""
        return functional.conv2d(x, self.weight, self.bias, padding=1)

    def of_pixels(self, x: torch.Tensor) -> torch.Tensor:
        """A linear layer; shape (..., features)."""
        return linear(x, self.weight, self.bias)

    def upsampled(self, x: torch.Tensor) -> torch.Tensor:
        """A transposed convolution, to twice as many rows and columns."""
        return functional.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1)


class _LeanPixelAttention(nn.Module):
    """`PixelAttention`; queries, keys and values from one layer."""

    def __init__(self, trained: PixelAttention) -> None:
        super().__init__()
        self.heads = trained.heads
        parts = (trained.query, trained.key, trained.value)
        weight = torch.cat([part.weight for part in parts])
        self.parts = _Layer(weight, torch.cat([part.bias for part in parts]))
        self.output = _Layer(trained.output.weight, trained.output.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Attend; shape (n, pixels, channels) in and out."""
        parts = self.parts.of_pixels(tokens)
        parts = parts.reshape(*parts.shape[:2], 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        heads = attention(query, key, value)
        return self.output.of_pixels(heads.transpose(1, 2).flatten(-2))


class _LeanAttentionBlock(nn.Module):
    """`AttentionBlock`."""

    def __init__(self, trained: AttentionBlock) -> None:
        super().__init__()
        convolution = trained.convolution
        self.convolution = _Layer(
            *with_norm(convolution.weight, _bias_of(convolution), trained.batch_norm, axis=0)
        )
        pixels = trained.pixel_attention
        self.pixel_attention = None if pixels is None else _LeanPixelAttention(pixels)
        self.layer_norm = copy.deepcopy(trained.layer_norm)
        self.channel_attention = copy.deepcopy(trained.channel_attention)
        self.skip = _Layer(trained.skip.weight[:, :, 0, 0], _bias_of(trained.skip))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, 2 * features, rows, cols)."""
        y = functional.leaky_relu_(self.convolution.convolved(x), LEAKY_SLOPE)
        y = y.permute(0, 2, 3, 1)
        if self.pixel_attention is not None:
            y = y + self.pixel_attention(y.flatten(1, 2)).unflatten(1, y.shape[1:3])
        y = self.layer_norm(y).permute(0, 3, 1, 2)
        if self.channel_attention is not None:
            y = self.channel_attention(y)
        skip = self.skip.of_pixels(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return torch.cat((y, skip), dim=1)


class _LeanUpsamplingBlock(nn.Module):
    """`UpsamplingBlock`, both branches in one layer; nothing is copied to join them."""

    def __init__(self, trained: UpsamplingBlock) -> None:
        super().__init__()
        weight, bias = _activated_weights(trained)
        self.features = len(bias)
        self.both = _Layer(
            torch.cat((weight, trained.skip.weight), dim=1),
            torch.cat((bias, _bias_of(trained.skip))),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, 2 * features, 2 * rows, 2 * cols)."""
        y = self.both.upsampled(x)
        functional.leaky_relu_(y[:, : self.features], LEAKY_SLOPE)
        return y


class _PlainEnd(nn.Module):
    """The last upsampling block and the output convolution, where folding takes more."""

    def __init__(self, last: UpsamplingBlock, output: nn.Conv2d) -> None:
        super().__init__()
        self.last = _LeanUpsamplingBlock(last)
        self.output = _Layer(output.weight, _bias_of(output))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, bands, 2 * rows, 2 * cols)."""
        return self.output.convolved(self.last(x))


class _FoldedEnd(nn.Module):
    """The last upsampling block and the output convolution, its linear branch folded."""

    def __init__(self, last: UpsamplingBlock, output: nn.Conv2d) -> None:
        super().__init__()
        features = last.skip.out_channels
        self.activated = _Layer(*_activated_weights(last))
        kernel, bias = output.weight, _bias_of(output)
        self.output = _Layer(kernel[:, :features], torch.zeros_like(bias))
        self.linear = FoldedUpsampling(last.skip, kernel[:, features:], bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, bands, 2 * rows, 2 * cols)."""
        y = functional.leaky_relu_(self.activated.upsampled(x), LEAKY_SLOPE)
        hr: torch.Tensor = self.linear(x).add_(self.output.convolved(y))
        return hr


class LeanDacn(nn.Module):
    """What `Dacn` gives in evaluation mode, for as long as its weights stay as they are.

    Args:
        trained: Stays as it is.
    """

    @torch.no_grad()
    def __init__(self, trained: Dacn) -> None:
        super().__init__()
        self.bands = trained.group_size
        self.blocks = nn.Sequential(
            *(_LeanAttentionBlock(cast("AttentionBlock", block)) for block in trained.blocks)
        )
        *early, last = cast("list[UpsamplingBlock]", list(trained.upsampling))
        pays = folding_pays(last.skip.in_channels, last.skip.out_channels, trained.group_size)
        kind = _FoldedEnd if pays else _PlainEnd
        self.upsampling = nn.Sequential(
            *map(_LeanUpsamplingBlock, early), kind(last, trained.output)
        )

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        """Shape (n, bands, rows, cols) -> (n, bands, rows * scale, cols * scale)."""
        x = lr.contiguous(memory_format=torch.channels_last)
        hr: torch.Tensor = self.upsampling(self.blocks(x))
        return hr


class DacnInUse(nn.Module):
    """Lean networks in full and, if wanted, in half precision; autocast chooses, as for layers.

    Args:
        trained: Stays as it is.
        precision: In which it will be called under autocast.
    """

    def __init__(self, trained: Dacn, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.full = LeanDacn(trained)
        wanted = precision is not torch.float32
        self.quick = LeanDacn(trained).to(precision) if wanted else None
        self.precision = precision

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ARG002
        """As `Dacn.forward`; in the half precision under autocast.

        Raises:
            WeightsError: The shape has another number of axes or bands.
        """
        require_bands("dacn", lr, self.full.bands)
        lean = self.full
        if self.quick is not None and not lr.is_meta:
            lean = self.quick if torch.is_autocast_enabled(lr.device.type) else self.full
        with in_full(lr):
            hr: torch.Tensor = lean(lr if lean is self.full else lr.to(self.precision))
        return hr


def _activated_weights(block: UpsamplingBlock) -> tuple[torch.Tensor, torch.Tensor]:
    convolution = block.convolution
    return with_norm(convolution.weight, _bias_of(convolution), block.batch_norm, axis=1)


def _bias_of(layer: nn.Conv2d | nn.ConvTranspose2d) -> torch.Tensor:
    """Zeros where there is none."""
    out = layer.weight.new_zeros(layer.out_channels)
    return out if layer.bias is None else layer.bias
