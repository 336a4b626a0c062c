"""DACN for any sensor: both attentions of `dacn` in residual blocks at LR resolution.

What is kept of Muhammad, Laaksonen, Mihaylova (arXiv 2506.05041): band groups, multi-head
self-attention over pixels and channel attention over features, joined with convolutions in every
block. What differs: attention is limited to windows that move by half a window from block to block
(Liu et al., "Swin Transformer", ICCV 2021), there is no batch normalisation, upsampling is a pixel
shuffle (Shi et al., CVPR 2016), and the network adds detail, of mean 0 over each LR pixel, to an
interpolation that already agrees with the observed pixels. Bands come in normalised one by one
over the scene, and leave so; beside them the network sees how far each value is from a stored 0.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.descriptor import (
    DetailNetwork,
    ModelDescriptor,
    NetworkSize,
    usual_descriptor,
    with_level,
)
from hsisr.models.interpolation import without_block_means
from hsisr.models.layers import ChannelAttention

_FIRST_DETAIL: Final = 0.01
"""Factor on the fresh weights of the last convolution: training starts near the interpolation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnySize(NetworkSize):
    """Size of the network."""

    arch: ClassVar = "dacn-any"
    may_be_0: ClassVar = ("basis",)

    width: int = 64
    """Features of every block."""
    blocks: int = 6
    heads: int = 4
    """Independent attentions, each over `width / heads` features."""
    window: int = 8
    """Side of an attention window in LR pixels; even."""
    basis: int = 0
    """Patterns that all detail is made of, in each pixel before the last shuffle; 0: no such limit.
    Detail is so alike from band to band that a few tens do, for a fraction of the arithmetic."""

    def __post_init__(self) -> None:
        NetworkSize.__post_init__(self)
        self.require(
            possible=self.width % self.heads == self.width % 2 == self.window % 2 == 0,
            words="width a multiple of heads, width and window even",
        )


class WindowAttention(nn.Module):
    """Multi-head self-attention inside square windows.

    Written out, because for windows of 64 pixels that is faster on processors than torch's fused
    attention, whose backward pass in bfloat16 takes ten times as long (torch 2.13). Places enter
    through the convolutions before it. The grid of windows is moved up and left by `shift` pixels.
    """

    def __init__(self, size: AnySize, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = size.heads, size.window, shift
        self.norm = nn.LayerNorm(size.width)
        self.query_key_value = nn.Linear(size.width, 3 * size.width)
        self.output = nn.Linear(size.width, size.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend; shape (n, width, rows, cols) in and out, any rows and columns."""
        rows, cols = x.shape[-2:]
        w, s = self.window, self.shift
        padded = functional.pad(x, (s, -(cols + s) % w, s, -(rows + s) % w))
        n, channels, high, wide = padded.shape
        grid = padded.reshape(n, channels, high // w, w, wide // w, w)
        tokens = self.norm(grid.permute(0, 2, 4, 3, 5, 1).reshape(-1, w * w, channels))
        parts = self.query_key_value(tokens).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        heads = logits.softmax(-1) @ value
        attended: torch.Tensor = self.output(heads.transpose(1, 2).flatten(-2))
        grid = attended.reshape(n, high // w, wide // w, w, w, channels)
        whole = grid.permute(0, 5, 1, 3, 2, 4).reshape(n, channels, high, wide)
        return whole[..., s : s + rows, s : s + cols]


class AnyBlock(nn.Module):
    """Convolutions weighed by channel attention, then window attention; each adds to its input."""

    def __init__(self, size: AnySize, shift: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(size.width, size.width, 3, padding=1)
        self.second = nn.Conv2d(size.width, size.width, 3, padding=1)
        self.channel_attention = ChannelAttention(size.width, "paper")
        self.window_attention = WindowAttention(size, shift)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, width, rows, cols) in and out."""
        detail = self.second(functional.gelu(self.first(x)))
        x = x + self.channel_attention(detail)
        return x + self.window_attention(x)


class DacnAny(DetailNetwork):
    """The network."""

    size_type = AnySize

    def __init__(self, scale: int, group_size: int, size: AnySize) -> None:
        super().__init__(scale, group_size)
        self.basis = size.basis
        self.entry = nn.Conv2d(2 * group_size, size.width, 3, padding=1)
        self.blocks = nn.Sequential(
            *(AnyBlock(size, size.window // 2 * (number % 2)) for number in range(size.blocks))
        )
        self.exit = nn.Conv2d(size.width, size.width, 3, padding=1)
        self.upsampling = _upsampling(scale, group_size, size)
        with torch.no_grad():
            self.upsampling.get_parameter(f"{len(self.upsampling) - 2}.weight").mul_(_FIRST_DETAIL)

    @classmethod
    def descriptor(cls, scale: int, size: AnySize | None = None) -> ModelDescriptor:
        """The settings for a scale; `size`: by default six blocks of 64 features, all patterns.

        A result depends on pixels farther away than the 8 around a tile, through the windows of six
        blocks and the means that channel attention takes over the tile; so tiles overlap and are
        blended. Tile and margin are chosen, not measured.
        """
        return usual_descriptor("dacn-any", scale, **dataclasses.asdict(size or AnySize()))

    def detail(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `AddsDetail.detail`."""
        seen = with_level(lr, zero)
        features = self.entry(seen.contiguous(memory_format=torch.channels_last))
        features = features + self.exit(self.blocks(features))
        # of mean 0 over each LR pixel: the result agrees with `lr` as well as interpolation does
        return without_block_means(self.upsampling(features).float(), self.scale)


def _upsampling(scale: int, bands: int, size: AnySize) -> nn.Sequential:
    """Pixel shuffle in one step up to x4; x8 is first doubled, which takes fewer weights."""
    layers: list[nn.Module] = []
    width = size.width
    if scale == 8:
        layers = [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.GELU()]
        scale = 4
    values = bands * scale**2
    if size.basis:
        layers += [nn.Conv2d(width, size.basis, 3, padding=1), nn.Conv2d(size.basis, values, 1)]
    else:
        layers += [nn.Conv2d(width, values, 3, padding=1)]
    return nn.Sequential(*layers, nn.PixelShuffle(scale))
