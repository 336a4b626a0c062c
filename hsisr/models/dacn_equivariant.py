"""DACN with layers that commute with rotations: the default network.

What is kept of Muhammad, Laaksonen, Mihaylova (arXiv 2506.05041): band groups, and stages that
join convolutions with multi-head self-attention over pixels and channel attention over features.
What differs: every layer commutes with rotations by 90 degrees and mirrors
(`hsisr.models.equivariant`), so that a turned scene gives the turned result; keys and values of
self-attention are means over blocks of the tile; there is no batch normalisation; upsampling is a
pixel shuffle; and the network adds detail, of mean 0 over each LR pixel, to back-projected bicubic
interpolation. That detail is made of patterns with spectra of their own and, if there are any, of
filters that each pixel mixes and applies to all bands alike. Bands are normalised one by one over
the scene; beside them the network sees the distance of each value from a stored 0.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.common import DetailNetwork, NetworkSize, usual_descriptor, with_level
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.equivariant import (
    GROUPS,
    FilterBank,
    LiftingConv,
    RegularConv,
    SubpixelProjection,
)
from hsisr.models.interpolation import without_block_means

_FIRST_BRANCH: Final = 0.02
"""Factor on the initial weights that end a residual branch: training starts near the identity."""
_FIRST_DETAIL: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class EquivariantSize(NetworkSize):
    """Size of the network."""

    arch: ClassVar = "dacn-equivariant"
    may_be_0: ClassVar = ("filters",)

    features: int = 8
    """Oriented features of every layer; `symmetries` times as many channels."""
    stages: int = 3
    """Each ends with self-attention."""
    blocks: int = 3
    """Residual blocks of two convolutions in a stage, each with channel attention."""
    heads: int = 4
    """Independent self-attentions, each over `features / heads` oriented features."""
    cells: int = 8
    """Self-attention sees the tile as this many blocks of pixels along a side."""
    patterns: int = 6
    """Oriented patterns that all detail of an LR pixel is made of; likewise."""
    filters: int = 0
    """Oriented filters of the LR bands, mixed for every pixel into one for all bands; 0: none."""
    symmetries: int = 8
    """8: rotations by 90 degrees and mirrors; 4: rotations alone."""

    def __post_init__(self) -> None:
        NetworkSize.__post_init__(self)
        self.require(
            possible=self.features % self.heads == 0 and self.symmetries in GROUPS,
            words="features a multiple of heads, 4 or 8 symmetries",
        )


class OrientedNorm(nn.Module):
    """Layer normalisation over all channels of a pixel, scaled by feature."""

    def __init__(self, features: int, order: int) -> None:
        super().__init__()
        self.order = order
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features, rows, cols) in and out."""
        weight, bias = (p.repeat_interleave(self.order) for p in (self.weight, self.bias))
        tokens = functional.layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias)
        return tokens.permute(0, 3, 1, 2)


class OrientedChannelAttention(nn.Module):
    """Channel attention (equations 8-16) that weighs a feature alike in all its orientations."""

    def __init__(self, features: int, order: int) -> None:
        super().__init__()
        self.order = order
        self.squeeze = nn.Linear(features, max(4, features // 2))
        self.expand = nn.Linear(max(4, features // 2), features)
        nn.init.constant_(self.squeeze.bias, 0.1)  # few units, of which none may begin dead

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features, rows, cols) in and out."""
        pooled = torch.stack((x.mean((-2, -1)), x.amax((-2, -1))))
        by_feature = pooled.reshape(*pooled.shape[:-1], -1, self.order).mean(-1)
        scores = self.expand(functional.relu(self.squeeze(by_feature))).sum(0)
        weights = torch.sigmoid(scores).repeat_interleave(self.order, dim=1)
        return x * (2 * weights[..., None, None])


class PooledSelfAttention(nn.Module):
    """Multi-head self-attention (equations 1-6): queries are pixels, keys means over blocks.

    Blocks are symmetric to the middle of the tile, so that they turn with it.
    """

    def __init__(self, size: EquivariantSize) -> None:
        super().__init__()
        self.heads, self.cells = size.heads, size.cells
        width, order = size.features, size.symmetries
        self.norm = OrientedNorm(width, order)
        self.query = RegularConv(width, width, 1, order=order)
        self.key = RegularConv(width, width, 1, order=order)
        self.value = RegularConv(width, width, 1, order=order)
        self.output = RegularConv(width, width, 1, gain=_FIRST_BRANCH, order=order)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features, rows, cols) in and out, any rows and columns."""
        count, _, rows, cols = x.shape
        seen = self.norm(x)
        sides = min(self.cells, rows), min(self.cells, cols)
        if torch.compiler.is_exporting():  # ONNX has no pooling of this kind for every size
            over_rows, over_cols = map(run_means, sides, (rows, cols))
            cells = over_rows.to(seen) @ seen @ over_cols.to(seen).T
        else:
            cells = functional.adaptive_avg_pool2d(seen, sides)
        query, key, value = (
            part.reshape(count, self.heads, -1, part.shape[-2] * part.shape[-1]).mT
            for part in (self.query(seen), self.key(cells), self.value(cells))
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        return self.output(attended.mT.reshape(count, -1, rows, cols))


def run_means(runs: int, length: int) -> torch.Tensor:
    """The matrix, shape (runs, length), whose product is `functional.adaptive_avg_pool1d`.

    >>> run_means(2, 3).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
    """
    run, place = torch.arange(runs)[:, None], torch.arange(length)
    inside = (run * length < (place + 1) * runs) & ((run + 1) * length > place * runs)
    return inside / inside.sum(1, keepdim=True)


class EquivariantBlock(nn.Module):
    """Two convolutions weighed by channel attention, added to their input.

    Without the normalisation features grow from block to block, because all orientations of a
    kernel change together, until nothing is learnt.
    """

    def __init__(self, size: EquivariantSize) -> None:
        super().__init__()
        width, order = size.features, size.symmetries
        self.norm = OrientedNorm(width, order)
        self.first = RegularConv(width, width, order=order)
        self.second = RegularConv(width, width, gain=_FIRST_BRANCH, order=order)
        self.channel_attention = OrientedChannelAttention(width, order)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features, rows, cols) in and out."""
        branch = self.second(functional.gelu(self.first(self.norm(x))))
        return x + self.channel_attention(branch)


class EquivariantStage(nn.Module):
    """Residual blocks, then self-attention."""

    def __init__(self, size: EquivariantSize) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(EquivariantBlock(size) for _ in range(size.blocks)))
        self.self_attention = PooledSelfAttention(size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features, rows, cols) in and out."""
        x = self.blocks(x)
        return x + self.self_attention(x)


class DacnEquivariant(DetailNetwork):
    """The network."""

    size_type = EquivariantSize
    rounds = 10  # a constant per LR pixel then completes agreement

    def __init__(self, scale: int, group_size: int, size: EquivariantSize) -> None:
        super().__init__(scale, group_size)
        width, order = size.features, size.symmetries
        self.entry = LiftingConv(2 * group_size, width, order=order)
        self.stages = nn.Sequential(*(EquivariantStage(size) for _ in range(size.stages)))
        self.exit = RegularConv(width, width, gain=_FIRST_BRANCH, order=order)
        self.patterns = RegularConv(width, size.patterns, order=order)
        self.pixels = SubpixelProjection(
            size.patterns, group_size, scale, gain=_FIRST_DETAIL, order=order
        )
        self.filters: FilterBank | None = None
        if size.filters:
            self.mixture = RegularConv(width, size.filters, gain=_FIRST_BRANCH, order=order)
            self.filters = FilterBank(size.filters, scale, order=order)

    @classmethod
    def descriptor(cls, scale: int, size: EquivariantSize | None = None) -> ModelDescriptor:
        """The settings for a scale: tiles of 48 LR pixels with 8 around them.

        Raises:
            WeightsError: The scale is not 2, 4 or 8.
        """
        hparams = dataclasses.asdict(size or EquivariantSize())
        return dataclasses.replace(
            usual_descriptor("dacn-equivariant", scale, **hparams), tile_lr_px=48
        )

    def detail(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `AddsDetail.detail`."""
        seen = with_level(lr, zero)
        features = self.entry(seen.contiguous(memory_format=torch.channels_last))
        features = features + self.exit(self.stages(features))
        detail = self.pixels(self.patterns(features)).float()
        if self.filters is not None:
            detail = detail + self.filters(lr, self.mixture(features)).float()
        return without_block_means(detail, self.scale)
