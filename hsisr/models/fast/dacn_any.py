"""`dacn-any` for inference: the trained network's numbers from fewer operations and copies.

Features are channels last throughout. The layer normalisation's weights are merged into the layer
after it; keys and values need no bias, so that the padding of a window is zero after that layer and
need not be stored; the detail's mean over each LR pixel is subtracted in the last kernel. Weights
are stored in the precision used.
"""

import math
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.back_projection import ROUNDS, repeat_pixels
from hsisr.models.common import with_level
from hsisr.models.dacn_any import AnyBlock, DacnAny, WindowAttention
from hsisr.models.fast.attention import attention_of_powers, counts_missing, window_order
from hsisr.models.fast.back_projection import consistent_bicubic
from hsisr.models.fast.fixed_layer import (
    FastChannelAttention,
    FixedLayer,
    bias_of,
    shuffled,
    without_means,
)
from hsisr.models.fast.mixed_precision import MixedPrecision
from hsisr.models.fast.onednn import GELU


class _FastWindowAttention(nn.Module):
    """`WindowAttention`.

    The bias of the keys adds the same to all logits of a query, which softmax cancels. The bias of
    the values adds the same to every result, and is merged into the output's bias. Normalised
    padding is the normalisation's bias alone; so without both biases its keys and values are 0, and
    on a processor the padding of windows at a tile's side is counted, not computed.
    """

    def __init__(self, trained: WindowAttention) -> None:
        super().__init__()
        self.heads, self.window, self.shift = trained.heads, trained.window, trained.shift
        norm, parts, output = trained.norm, trained.query_key_value, trained.output
        self.width, self.eps = output.in_features, norm.eps
        weight, biases = parts.weight.double(), parts.bias.double()
        query, _, value = (biases + weight @ norm.bias.double()).chunk(3)
        scale = torch.ones(3, self.width, 1, dtype=torch.float64)
        scale[0] = math.log2(math.e) / math.sqrt(self.width // self.heads)
        scale = scale.to(weight.device)
        bias = torch.cat((query * scale[0, :, 0], torch.zeros_like(query).repeat(2)))
        self.parts = FixedLayer(
            (weight * norm.weight.double() * scale.flatten(0, 1)).float(), bias.float()
        )
        moved = output.bias.double() + output.weight.double() @ value
        self.output = FixedLayer(output.weight, moved.float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend; shape (n, width, rows, cols) in and out, channels last."""
        pixels = x.permute(0, 2, 3, 1)
        attend = self._in_parts if counts_missing(pixels) else self._in_whole_windows
        return attend(pixels).permute(0, 3, 1, 2)

    def _in_parts(self, pixels: torch.Tensor) -> torch.Tensor:
        """Windows at the sides are cropped to the tile; (n, rows, cols, width) in and out."""
        n, rows, cols = pixels.shape[:3]
        order = window_order(n, rows, cols, self.window, self.shift, pixels.device)
        parts = self._parts(pixels.flatten(0, 2).index_select(0, order.there))
        alike = torch.split(parts, [count * size for count, size in order.windows])
        attended = []
        for some, (count, size) in zip(alike, order.windows, strict=True):
            windows, missing = some.reshape(count, size, -1), self.window**2 - size
            attended.append(attention_of_powers(windows, self.heads, missing).flatten(0, 1))
        found = self.output.linear(torch.cat(attended)).index_select(0, order.back)
        return found.view(pixels.shape)

    def _in_whole_windows(self, pixels: torch.Tensor) -> torch.Tensor:
        """Windows are padded with zeros; shape (n, rows, cols, width) in and out."""
        n, rows, cols = pixels.shape[:3]
        w, s = self.window, self.shift
        parts, sides = self._parts(pixels), (s, -(cols + s) % w, s, -(rows + s) % w)
        if any(sides):
            parts = functional.pad(parts, (0, 0, *sides))
        high, wide = (side // w for side in parts.shape[1:3])
        windows = parts.reshape(n, high, w, wide, w, -1).transpose(2, 3)
        attended = attention_of_powers(windows.reshape(-1, w * w, 3 * self.width), self.heads)
        grid = attended.reshape(n, high, wide, w, w, self.width).transpose(2, 3)
        own = grid.reshape(n, high * w, wide * w, -1)[:, s : s + rows, s : s + cols]
        return self.output.linear(own.contiguous())

    def _parts(self, pixels: torch.Tensor) -> torch.Tensor:
        """Queries, keys and values side by side; shape (..., width) -> (..., 3 * width)."""
        return self.parts.linear(functional.layer_norm(pixels, (self.width,), eps=self.eps))


class _FastAnyBlock(nn.Module):
    """`AnyBlock`."""

    def __init__(self, trained: AnyBlock) -> None:
        super().__init__()
        self.first = FixedLayer(trained.first.weight, bias_of(trained.first))
        self.second = FixedLayer(trained.second.weight, bias_of(trained.second))
        self.channel_attention = FastChannelAttention(trained.channel_attention)
        self.window_attention = _FastWindowAttention(trained.window_attention)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, width, rows, cols) in and out, channels last."""
        detail = self.second.convolved(self.first.convolved(x, GELU))
        x = torch.addcmul(x, detail, self.channel_attention(detail))
        return x.add_(self.window_attention(x))


class _Detail(nn.Module):
    """The last convolution and its pixel shuffle, less the mean over each LR pixel."""

    def __init__(self, last: nn.Conv2d, bands: int) -> None:
        super().__init__()
        self.scale = math.isqrt(last.out_channels // bands)
        tables = (last.weight, bias_of(last))
        self.last = FixedLayer(*(without_means(table, bands) for table in tables))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Shape (n, width, rows, cols) -> (n, bands, rows * scale, cols * scale), no means."""
        return shuffled(self.last.convolved(x), self.scale), None


class _DetailOfHalves(nn.Module):
    """The same where the features have four pixels per LR pixel: a second layer gives the means."""

    def __init__(self, last: nn.Conv2d, bands: int) -> None:
        super().__init__()
        self.scale = math.isqrt(last.out_channels // bands)
        self.last = FixedLayer(last.weight, bias_of(last))
        kernel = _means(last.weight, bands)
        moved = [(left, 1 - left, up, 1 - up) for left in (0, 1) for up in (0, 1)]
        joint = sum((functional.pad(kernel, sides) for sides in moved), torch.zeros(())) / 4
        self.mean = FixedLayer(joint, _means(bias_of(last), bands))
        self.padding = last.kernel_size[0] // 2

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shape (n, width, 2 * rows, 2 * cols) -> the detail, and its mean per LR pixel."""
        table, bias = self.mean.weight, self.mean.bias
        mean = functional.conv2d(x, table, bias, stride=2, padding=self.padding)
        return shuffled(self.last.convolved(x), self.scale), mean


class FastDacnAny(nn.Module):
    """`DacnAny` with its weights as they are now.

    Args:
        trained: Not changed.
        rounds: Back-projection rounds of the interpolation that detail is added to; the trained
            network has `ROUNDS`.
    """

    @torch.no_grad()
    def __init__(self, trained: DacnAny, rounds: int = ROUNDS) -> None:
        super().__init__()
        self.scale, self.bands, self.rounds = trained.scale, trained.group_size, rounds
        self.entry = FixedLayer(trained.entry.weight, bias_of(trained.entry))
        self.blocks = nn.Sequential(
            *(_FastAnyBlock(cast("AnyBlock", block)) for block in trained.blocks)
        )
        self.exit = FixedLayer(trained.exit.weight, bias_of(trained.exit))
        *early, last = (layer for layer in trained.upsampling if isinstance(layer, nn.Conv2d))
        fixed = [FixedLayer(layer.weight, bias_of(layer)) for layer in early]
        self.patterns = fixed.pop() if trained.basis else None
        self.doubling = fixed.pop() if fixed else None
        kind = _Detail if self.doubling is None else _DetailOfHalves
        self.last = kind(last, self.bands)

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `DacnAny.forward`."""
        detail, mean = self._added(lr, zero)
        return consistent_bicubic(lr.float(), self.scale, mean, self.rounds).add_(detail)

    def detail(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `DacnAny.detail`."""
        detail, mean = self._added(lr, zero)
        found = detail.float()
        return found if mean is None else found.sub_(repeat_pixels(mean, self.scale))

    def _added(
        self, lr: torch.Tensor, zero: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Detail, and its mean over each LR pixel where that is still to be subtracted."""
        seen = with_level(lr, zero)
        x = seen.to(self.entry.weight.dtype, memory_format=torch.channels_last)
        x = self.entry.convolved(x)
        x = x + self.exit.convolved(self.blocks(x))
        if self.doubling is not None:
            x = functional.pixel_shuffle(self.doubling.convolved(x, GELU), 2)
        if self.patterns is not None:
            x = self.patterns.convolved(x)
        detail, mean = self.last(x)
        return detail, mean


class DacnAnyInference(MixedPrecision):
    """`FastDacnAny` in float32 and, if asked for, in half precision.

    Args:
        trained: Not changed.
        precision: The one used under autocast.
        agreeing: Return the result after `back_project`; in half precision the detail's mean
            differs from 0 by rounding.
    """

    def __init__(
        self,
        trained: DacnAny,
        precision: torch.dtype = torch.float32,
        *,
        agreeing: bool = False,
    ) -> None:
        # the detail's mean is 0, so that its rounds are added to the interpolation's
        rounds = 2 * ROUNDS if agreeing else ROUNDS
        super().__init__("dacn-any", FastDacnAny(trained, rounds), precision)
        self.agreeing = agreeing


def _means(table: torch.Tensor, bands: int) -> torch.Tensor:
    """Means of the kernels or biases over each band's HR pixels, shape (bands, ...)."""
    return table.reshape(bands, -1, *table.shape[1:]).mean(1)
