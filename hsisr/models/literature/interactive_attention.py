"""Attention among pixels and among features at once, each gating the other.

Source: the spatial-spectral interactive transformer block of Xu, Liu, Zhang, "AS3ITransUNet",
IEEE TGRS 2023, after the public code, liushiji666/AS3-ITransUNet. It joins the window attention of
Chen et al., "MixFormer: mixing features across windows and dimensions", CVPR 2022, to the attention
among features of Zamir et al., "Restormer", CVPR 2022.

What differs: windows are equal and at most as large as asked for, instead of padded up to that
size, so that a small tile costs less and no query sees padding; features come back to the pixels
they came from, while the public code takes the order of its map for the order of windows.
"""

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.common import attention_among_features


class InteractiveBlock(nn.Module):
    """A transformer block: interactive attention, then a perceptron; each adds to its input.

    Args:
        channels: Features in and out.
        heads: Of either attention.
        window: Largest side of a window, in pixels.
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
        refined: torch.Tensor = x + detail.permute(0, 3, 1, 2)
        return refined


class InteractiveAttention(nn.Module):
    """Window attention on half of the features, attention among all of them, and their gates.

    What windows found weighs the values of the attention among features; the means of what that
    found weigh the windows' result.

    Args:
        channels: Features in and out.
        heads: Of either attention.
        window: Largest side of a window, in pixels.
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
        joined: torch.Tensor = self.join(torch.cat((self.halve(far), near), dim=1))
        return joined


def _gate(before: int, between: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, between, 1), nn.GELU(), nn.Conv2d(between, after, 1))


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows, with a learnt bias for each distance of two pixels.

    Source: Liu et al., "Swin transformer", ICCV 2021, equation 4; windows are not shifted.

    Args:
        channels: Features in and out.
        heads: Attention heads.
        window: Largest side of a window, in pixels.
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
