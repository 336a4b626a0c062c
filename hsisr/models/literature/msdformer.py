"""MSDformer, a multiscale deformable transformer: attention among features of the whole tile.

Source: Chen, Zhang, Zhang, "MSDformer: multiscale deformable transformer for hyperspectral image
super-resolution", IEEE TGRS 2023; sizes and the order of layers after the authors' public code,
Tomchenshi/MSDformer: subsets of 8 bands, 240 features, 4 transformer blocks of 6 heads. Subsets do
not overlap, as its code has it by default; the commands published with it pass `--n_ovls 2`, which
makes 21 subsets of 128 bands and not 16. Loss of that code: L1 + 0.5 * spectral angle / pi + 0.1 *
L1 of joint differences along rows, columns and bands.

Parameters here, at 32 bands: 10,139,261 for x2, 12,213,821 for x4, 14,288,381 for x8. No published
count was found; the layers of the public code add up to 14,901,473 at 128 bands and x4, of which
749,040 never take part in a result and are left out here: the queries that the deformable
convolution replaces, and a convolution behind the first block.

What differs: a last subset that bands do not fill is moved back inside, and bands seen twice are
averaged, as in the network it builds on (Jiang et al., "Learning spatial-spectral prior for
super-resolution of hyperspectral imagery", IEEE TCI 2020); offsets of the deformable convolution
start at exactly 0, the usual start (Dai et al., ICCV 2017); bands are normalised over the scene
and come in groups of 32, while the paper sees all of them, so with the same features the network
has fewer subsets than there.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.descriptor import BandGroupNetwork, NetworkSize, in_full
from hsisr.models.layers import (
    RESIDUAL_SCALE,
    ResidualBlock,
    SpectralBlock,
    attention_among_features,
    bicubic,
    pixel_shuffle,
    put_together,
)
from hsisr.tiling import window_starts

DILATIONS = (1, 3, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class MsdformerSize(NetworkSize):
    """Depth and width."""

    arch: ClassVar = "msdformer"

    width: int = 240
    """Features of every block."""
    blocks: int = 4
    """Transformer blocks."""
    heads: int = 6
    """Attention heads of each."""
    subset: int = 8
    """Neighbouring bands that the first layers see together."""

    def __post_init__(self) -> None:
        NetworkSize.__post_init__(self)
        self.require(possible=self.width % self.heads == 0, words="width a multiple of heads")


class Msdformer(BandGroupNetwork):
    """The network."""

    size_type = MsdformerSize

    def __init__(self, scale: int, group_size: int, size: MsdformerSize) -> None:
        super().__init__(scale, group_size)
        self.entry = SubsetAttention(group_size, size)
        self.blocks = nn.ModuleList(
            DeformableBlock(size.width, size.heads) for _ in range(size.blocks)
        )
        self.between = nn.ModuleList(
            nn.Conv2d(size.width, size.width, 3, padding=1) for _ in range(size.blocks - 1)
        )
        self.skip = nn.Conv2d(group_size, size.width, 3, padding=1)
        self.upsampling = pixel_shuffle(size.width, scale)
        self.output = nn.Conv2d(size.width, group_size, 3, padding=1)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`."""
        first = self.entry(lr.contiguous(memory_format=torch.channels_last))
        x = self.blocks[0](first)
        for block, convolution in zip(self.blocks[1:], self.between, strict=True):
            x = convolution(block(x))
        x = self.upsampling(first + x) + self.skip(bicubic(lr, self.scale))
        return self.output(x)


class SubsetAttention(nn.Module):
    """Features of neighbouring bands at several dilations, weighed, and put together.

    The paper's multiscale spectral attention module: dilated convolutions are shared by all
    subsets, channel attention is each subset's own.
    """

    def __init__(self, bands: int, size: MsdformerSize) -> None:
        super().__init__()
        subset, width = min(size.subset, bands), size.width
        self.bands, self.subset = bands, subset
        self.starts = window_starts(bands, subset, 0)
        self.dilated = nn.ModuleList(
            nn.Conv2d(subset, width, 3, padding=d, dilation=d) for d in DILATIONS
        )
        self.activation = nn.PReLU()
        self.spatial = ResidualBlock(width, RESIDUAL_SCALE)
        self.spectral = nn.ModuleList(SpectralBlock(width) for _ in self.starts)
        self.back = nn.ModuleList(nn.Conv2d(width, subset, 1) for _ in self.starts)
        self.exit = nn.Conv2d(bands, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, bands, rows, cols) in, (n, width, rows, cols) out."""
        parts = []
        for start, spectral, back in zip(self.starts, self.spectral, self.back, strict=True):
            part = x[:, start : start + self.subset]
            seen = sum(self.activation(convolution(part)) for convolution in self.dilated)
            parts.append(back(spectral(self.spatial(seen))))
        return self.exit(put_together(parts, self.starts, self.bands))


class DeformableBlock(nn.Module):
    """A transformer block whose attention is among features; the queries see bent shapes.

    The paper's deformable convolution-based transformer module.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(channels)
        self.query = DeformableConvolution(channels)
        self.key_value = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.merge = nn.Conv2d(channels, channels, 1, bias=False)
        self.second_norm = nn.LayerNorm(channels)
        self.perceptron = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) in and out."""
        seen = self.first_norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        key, value = self.key_value(seen).chunk(2, dim=1)
        x = x + self.merge(attention_among_features(self.query(seen), key, value, self.temperature))
        detail = self.perceptron(self.second_norm(x.permute(0, 2, 3, 1)))
        return x + detail.permute(0, 3, 1, 2)


class DeformableConvolution(nn.Module):
    """A 3x3 convolution that looks at each tap's own, learnt place; 0 beyond the sides.

    Source: Dai et al., "Deformable convolutional networks", ICCV 2017.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.offsets = nn.Conv2d(channels, 2 * 9, 3, padding=1)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)  # type: ignore[arg-type]  # it has one
        self.weight = nn.Parameter(nn.Conv2d(channels, channels, 3, bias=False).weight.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) in and out."""
        n, channels, rows, cols = x.shape
        places = self._places(self.offsets(x).float())
        # half precision has too few digits for places
        with in_full(x):
            seen = functional.grid_sample(x.float(), places, align_corners=False)
        taps = seen.reshape(n, channels * 9, rows * cols)
        bent: torch.Tensor = self.weight.flatten(1) @ taps
        return bent.reshape(x.shape)

    @staticmethod
    def _places(offsets: torch.Tensor) -> torch.Tensor:
        """Where the taps look, as `grid_sample` counts; shape (n, 9 * rows, cols, 2)."""
        n, _, rows, cols = offsets.shape
        row, col, tap = (torch.arange(k, device=offsets.device) for k in (rows, cols, 9))
        moved = offsets.reshape(n, 9, 2, rows, cols)
        y = moved[:, :, 0] + row[:, None] + (tap // 3 - 1)[:, None, None]
        x = moved[:, :, 1] + col + (tap % 3 - 1)[:, None, None]
        grid = torch.stack(((2 * x + 1) / cols - 1, (2 * y + 1) / rows - 1), dim=-1)
        return grid.reshape(n, 9 * rows, cols, 2)
