"""AS3 ITransUNet, repaired: a transformer U-Net between the LR and the HR grid.

Source: Xu, Liu, Zhang, "AS3ITransUNet: spatial-spectral interactive transformer U-Net with
alternating sampling for hyperspectral image super-resolution", IEEE TGRS 2023; sizes and the order
of layers after the public code, liushiji666/AS3-ITransUNet: subsets of 5 bands seen with a band
more on either side, 96 features on the LR grid and 48 on the HR grid, 2 heads, windows of 16
pixels, 1 block on each level and 4 in the end. Subsets are treated one after another, each
decoder correcting itself by what the decoder before it had; no gradient goes from one to the next.
Loss of that code: 0.7 L1 of the result + 0.3 L1 of an image made of the second decoder level, which
is not made here.

Parameters here, at any number of bands: 2,204,582 for x2, 3,547,238 for x4, 4,889,894 for x8. No
published count was found.

What differs. Bands: the public code counts on 31 of them and has layers of their own for the first
and last 3; here the outermost band is repeated beyond itself, a last subset is moved back inside,
and bands made twice are averaged. Scale: the public code has x2, x3 and x4, with one doubling more
for x4; x8 has two more. Layers of that code that take no part in a result are left out. Blocks:
windows are equal and at most as large as asked for, instead of padded up to that size, so that a
small tile costs less and no query sees padding. Repaired: features come back to the pixels they
came from, while the public code takes the order of its map for the order of windows, a mistake of
layout that its published figures were made with; so comparisons name this network "AS3 ITransUNet,
repaired". Training takes 7 optimiser steps a batch there, and one here.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.descriptor import BandGroupNetwork, NetworkSize
from hsisr.models.layers import attention_among_features, put_together
from hsisr.tiling import window_starts


class InteractiveBlock(nn.Module):
    """A transformer block: interactive attention, then a perceptron; each adds to its input.

    It joins the window attention of Chen et al., "MixFormer: mixing features across windows and
    dimensions", CVPR 2022, to the attention among features of Zamir et al., "Restormer", CVPR 2022.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(channels)
        self.attention = InteractiveAttention(channels, heads, window)
        self.second_norm = nn.LayerNorm(channels)
        self.perceptron = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) in and out."""
        x = x + self.attention(self.first_norm(x.permute(0, 2, 3, 1)))
        detail = self.perceptron(self.second_norm(x.permute(0, 2, 3, 1)))
        return x + detail.permute(0, 3, 1, 2)


class InteractiveAttention(nn.Module):
    """Window attention on half of the features, attention among all of them, and their gates.

    What windows found weighs the values of the attention among features; the means of what that
    found weigh the windows' result.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        half = channels // 2
        self.to_windows = nn.Sequential(nn.Linear(channels, half), nn.LayerNorm(half))
        self.to_features = nn.Sequential(nn.Linear(channels, channels), nn.LayerNorm(channels))
        self.windows = WindowAttention(half, heads, window)
        self.query_key_value = nn.Sequential(
            nn.Conv2d(channels, 3 * channels, 1, bias=False),
            nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False),
        )
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.merge = nn.Conv2d(channels, channels, 1, bias=False)
        self.spatial_gate = _gate(half, max(1, channels // 16), channels)
        self.spectral_gate = _gate(channels, max(1, channels // 8), half)
        self.halve = nn.Conv2d(channels, half, 1)
        self.join = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, rows, cols, channels) in, (n, channels, rows, cols) out."""
        near = self.windows(self.to_windows(x)).permute(0, 3, 1, 2)
        whole = self.to_features(x).permute(0, 3, 1, 2)
        query, key, value = self.query_key_value(whole).chunk(3, dim=1)
        value = value * self.spatial_gate(near).sigmoid()
        far = self.merge(attention_among_features(query, key, value, self.temperature))
        near = near * self.spectral_gate(far.mean((2, 3), keepdim=True))
        return self.join(torch.cat((self.halve(far), near), dim=1))


def _gate(before: int, between: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, between, 1), nn.GELU(), nn.Conv2d(between, after, 1))


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows, with a learnt bias for each distance of two pixels.

    Source: Liu et al., "Swin transformer", ICCV 2021, equation 4; windows are not shifted.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.bias = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, rows, cols, channels) in and out."""
        n, rows, cols, channels = x.shape
        down, across = (-(-length // self.window) for length in (rows, cols))
        high, wide = -(-rows // down), -(-cols // across)
        beyond = (0, 0, 0, across * wide - cols, 0, down * high - rows)
        tokens = _in_windows(functional.pad(x, beyond), high, wide)
        parts = self.query_key_value(tokens).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        bias = self._bias(high, wide)[None]
        if any(beyond):
            outside = functional.pad(x.new_zeros(n, rows, cols, 1), beyond, value=-torch.inf)
            bias = bias + _in_windows(outside, high, wide).mT[:, None]
        heads = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        grid = heads.transpose(1, 2).reshape(n, down, across, high, wide, channels)
        whole: torch.Tensor = grid.transpose(2, 3).reshape(n, down * high, across * wide, channels)
        return whole[:, :rows, :cols]

    def _bias(self, high: int, wide: int) -> torch.Tensor:
        """For each pair of pixels in a window, shape (heads, high * wide, high * wide)."""
        row, col = (torch.arange(side, device=self.bias.device) for side in (high, wide))
        down = row[:, None] - row + self.window - 1
        right = col[:, None] - col + self.window - 1
        which = down[:, None, :, None] * (2 * self.window - 1) + right[None, :, None, :]
        pairs: torch.Tensor = self.bias[which.reshape(high * wide, high * wide)]
        return pairs.permute(2, 0, 1)


def _in_windows(x: torch.Tensor, high: int, wide: int) -> torch.Tensor:
    """From (n, rows, cols, channels) to (windows, high * wide, channels)."""
    n, rows, cols, channels = x.shape
    grid = x.reshape(n, rows // high, high, cols // wide, wide, channels)
    return grid.transpose(2, 3).reshape(-1, high * wide, channels)


@dataclass(frozen=True, slots=True, kw_only=True)
class As3ItransunetSize(NetworkSize):
    """Depth and width."""

    arch: ClassVar = "as3-itransunet"

    width: int = 48
    """Features on the HR grid; twice as many on the LR grid."""
    heads: int = 2
    window: int = 16
    """Largest side of a window, in pixels of either grid."""
    refinements: int = 4
    """Blocks on the HR grid in the end."""
    subset: int = 5
    """Bands that are made together."""
    context: int = 1
    """Bands more that are seen on either side of them."""

    def __post_init__(self) -> None:
        NetworkSize.__post_init__(self)
        self.require(
            possible=self.width % 4 == 0 and self.width // 2 % self.heads == 0,
            words="half of width even and a multiple of heads",
        )


class As3Itransunet(BandGroupNetwork):
    """The network."""

    size_type = As3ItransunetSize

    def __init__(self, scale: int, group_size: int, size: As3ItransunetSize) -> None:
        super().__init__(scale, group_size)
        self.context = size.context
        self.subset = min(size.subset, group_size)
        self.starts = window_starts(group_size, self.subset, 0)
        seen, width = self.subset + 2 * size.context, size.width
        self.entry = nn.Conv2d(seen, width, 3, padding=1, bias=False)
        self.skip = nn.Conv2d(seen, self.subset, 3, padding=1, bias=False)
        self.encoder = nn.ModuleList(
            Level(before, after, size) for before, after in ((1, 2), (1, 1), (2, 2), (1, 1))
        )
        self.decoder = nn.ModuleList(Level(times, times, size) for times in (2, 1, 2))
        self.joining = nn.ModuleList(Joining(times * width) for times in (2, 1, 2))
        self.refinement = Level(1, 1, size, blocks=size.refinements)
        self.upsampling = Alternation(scale, width)
        self.output = nn.Conv2d(width, self.subset, 3, padding=1, bias=False)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`."""
        edges = (lr[:, :1], lr[:, -1:])
        first, last = (edge.expand(-1, self.context, -1, -1) for edge in edges)
        around = torch.cat((first, lr, last), dim=1)
        parts: list[torch.Tensor] = []
        before: list[torch.Tensor] = []
        for start in self.starts:
            seen = around[:, start : start + self.subset + 2 * self.context]
            hr, before = self._subset(seen, before)
            parts.append(hr)
        return put_together(parts, self.starts, self.group_size)

    def _subset(
        self, lr: torch.Tensor, before: list[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Upscale some bands and their context, shape (n, subset + 2 * context, rows, cols).

        Returns the bands, and what the decoder joined, which the next subset gets as `before`.
        """
        to_hr, to_lr = self.upsampling.to_hr, self.upsampling.to_lr
        near = lr.contiguous(memory_format=torch.channels_last)
        first = self.encoder[0](self.entry(near))
        second = self.encoder[1](to_hr[0](first))
        third = self.encoder[2](to_lr[0](second))
        x = to_lr[1](self.encoder[3](to_hr[1](third)))
        joined: list[torch.Tensor] = []
        moves = (to_hr[2], to_lr[2], to_hr[3])
        for number, skipped in enumerate((third, second, first)):
            last = before[number] if before else None
            joined.append(self.joining[number](x, skipped, last))
            x = moves[number](self.decoder[number](joined[-1]))
        repeated = functional.interpolate(lr, scale_factor=float(self.scale), mode="nearest")
        hr = self.output(self.refinement(x)) + self.skip(repeated)
        return hr, [features.detach() for features in joined]


class Level(nn.Module):
    """A convolution and the blocks of one level."""

    def __init__(self, before: int, after: int, size: As3ItransunetSize, blocks: int = 1) -> None:
        super().__init__()
        channels = after * size.width
        self.entry = nn.Conv2d(before * size.width, channels, 3, padding=1)
        self.blocks = nn.Sequential(
            *(InteractiveBlock(channels, size.heads, size.window) for _ in range(blocks))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, features, rows, cols) in and out."""
        return self.blocks(self.entry(x))


class Joining(nn.Module):
    """Decoder and encoder of a level joined, and corrected by those of the subset before."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.join = nn.Conv2d(2 * channels, channels, 1, bias=False)
        self.correct = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(
        self, decoded: torch.Tensor, encoded: torch.Tensor, before: torch.Tensor | None
    ) -> torch.Tensor:
        """Shape (n, channels, rows, cols), all of them."""
        x: torch.Tensor = self.join(torch.cat((decoded, encoded), dim=1))
        return x if before is None else x + self.correct(x - before)


class Alternation(nn.Module):
    """All ways of the U-Net from the LR to the HR grid and back, in steps of 2.

    There are `width` features on the HR grid, and twice as many on the LR grid.
    """

    def __init__(self, scale: int, width: int) -> None:
        super().__init__()
        more = scale.bit_length() - 2
        self.to_hr = nn.ModuleList(
            nn.Sequential(
                *(_twice(2 * width, 2 * width) for _ in range(more)), _twice(2 * width, width)
            )
            for _ in range(4)
        )
        self.to_lr = nn.ModuleList(
            nn.Sequential(*(_half(width, width) for _ in range(more)), _half(width, 2 * width))
            for _ in range(3)
        )


def _twice(before: int, after: int) -> nn.Sequential:
    """Twice as many rows and columns."""
    return nn.Sequential(nn.Conv2d(before, 4 * after, 3, padding=1, bias=False), nn.PixelShuffle(2))


def _half(before: int, after: int) -> nn.Sequential:
    """Half as many rows and columns."""
    return nn.Sequential(
        nn.Conv2d(before, after // 4, 3, padding=1, bias=False), nn.PixelUnshuffle(2)
    )
