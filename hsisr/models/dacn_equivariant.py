"""DACN with layers that commute with rotations: the default network.

What is kept of Muhammad, Laaksonen, Mihaylova (arXiv 2506.05041): band groups, and stages that
join convolutions with multi-head self-attention over pixels and channel attention over features.
What differs: every layer commutes with rotations by 90 degrees and mirrors, so that a turned scene
gives the turned result; keys and values of self-attention are means over blocks of the tile; there
is no batch normalisation; upsampling is a pixel shuffle; and the network adds detail, of mean 0
over each LR pixel, to back-projected bicubic interpolation. That detail is made of patterns with
spectra of their own and, if there are any, of filters that each pixel mixes and applies to all
bands alike. Bands are normalised one by one over the scene; beside them the network sees the
distance of each value from a stored 0.

Features come in sets of one channel for every symmetry (the regular representation of the group).
A kernel is stored once and used in every orientation, so that turning the input turns the output,
with the arithmetic of an ordinary convolution and an eighth or a quarter of its weights (Cohen and
Welling, "Group Equivariant Convolutional Networks", ICML 2016). Channel `order * f + i` is feature
`f` in the i-th orientation of the group; `order`, the number of symmetries, is 8 or 4. Orientation
`g` = (bit 2: exchange rows and columns, then bit 1: mirror columns, bit 0: mirror rows).
"""

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
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

GROUPS: Final = {8: tuple(range(8)), 4: (0, 3, 5, 6)}
"""Orientations by the number of symmetries: rotations and mirrors, or rotations alone."""
_MANY_RESULTS: Final = 16
"""From so many columns on, a product of small matrices is fastest with the results last."""
_FIRST_BRANCH: Final = 0.02
"""Factor on the initial weights that end a residual branch: training starts near the identity."""
_FIRST_DETAIL: Final = 0.01


def oriented(x: torch.Tensor, g: int) -> torch.Tensor:
    """`x` in orientation `g`, shape (..., rows, cols) of a square or its transpose.

    >>> oriented(torch.tensor([[1, 2], [3, 4]]), 1).tolist()
    [[3, 4], [1, 2]]
    """
    if g & 4:
        x = x.transpose(-2, -1)
    if g & 2:
        x = x.flip(-1)
    return x.flip(-2) if g & 1 else x


@lru_cache(maxsize=16)
def tap_order(side: int, order: int = 8) -> torch.Tensor:
    """Where each orientation of a square array takes its entries, shape (order, side * side)."""
    with torch.inference_mode(False):  # training may use it after inference
        taps = torch.arange(side * side).reshape(side, side)
        return torch.stack([oriented(taps, g).flatten() for g in GROUPS[order]])


@lru_cache(maxsize=2)
def _division(order: int) -> tuple[tuple[int, ...], ...]:
    """Which orientation, by its place in the group, followed by g gives h; found by trying."""
    group = GROUPS[order]
    probe = torch.arange(9).reshape(3, 3)
    return tuple(
        tuple(
            next(
                place
                for place, k in enumerate(group)
                if torch.equal(oriented(oriented(probe, k), g), oriented(probe, h))
            )
            for h in group
        )
        for g in group
    )


@lru_cache(maxsize=16)
def _kernel_order(side: int, order: int) -> torch.Tensor:
    """Index into (order, side * side) for every out- and in-orientation."""
    taps = side * side
    with torch.inference_mode(False):
        division = torch.tensor(_division(order))
        return division[:, :, None] * taps + tap_order(side, order)[:, None, :]


def _normal(*shape: int, std: float) -> torch.Tensor:
    """Fresh weights; on the device `meta`, for which torch would load much, without numbers."""
    weights = torch.empty(shape)
    return weights if weights.is_meta else weights.normal_().mul_(std)


class LiftingConv(nn.Module):
    """Convolution from plain channels to oriented features; `side`, of the kernel, is odd."""

    def __init__(self, channels: int, features: int, side: int = 3, *, order: int = 8) -> None:
        super().__init__()
        self.side, self.order = side, order
        std = (2.0 / (channels * side * side)) ** 0.5
        self.kernel = nn.Parameter(_normal(features, channels, side * side, std=std))
        self.bias = nn.Parameter(torch.zeros(features))

    def dense(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The ordinary convolution's weight and bias."""
        order = tap_order(self.side, self.order).to(self.kernel.device)
        features, channels, _ = self.kernel.shape
        weight = self.kernel[:, :, order].permute(0, 2, 1, 3)
        shape = (self.order * features, channels, self.side, self.side)
        return weight.reshape(shape), self.bias.repeat_interleave(self.order)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, order * features, rows, cols)."""
        weight, bias = self.dense()
        return functional.conv2d(x, weight, bias, padding=self.side // 2)


class RegularConv(nn.Module):
    """Convolution between oriented features; `gain` is a factor on the fresh weights."""

    def __init__(
        self,
        features_in: int,
        features_out: int,
        side: int = 3,
        *,
        gain: float = 1.0,
        order: int = 8,
    ) -> None:
        super().__init__()
        self.side, self.order = side, order
        std = gain * (2.0 / (features_in * order * side * side)) ** 0.5
        kernel = _normal(features_out, features_in, order * side * side, std=std)
        self.kernel = nn.Parameter(kernel)
        self.bias = nn.Parameter(torch.zeros(features_out))

    def dense(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The ordinary convolution's weight and bias."""
        order = _kernel_order(self.side, self.order).to(self.kernel.device)
        out, into, _ = self.kernel.shape
        weight = self.kernel[:, :, order].permute(0, 2, 1, 3, 4)
        shape = (self.order * out, self.order * into, self.side, self.side)
        return weight.reshape(shape), self.bias.repeat_interleave(self.order)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features_in, rows, cols) -> (n, order * features_out, rows, cols)."""
        weight, bias = self.dense()
        if self.side == 1:  # a product is faster than torch's convolution on a processor
            tokens = functional.linear(x.permute(0, 2, 3, 1), weight[..., 0, 0], bias)
            return tokens.permute(0, 3, 1, 2)
        return functional.conv2d(x, weight, bias, padding=self.side // 2)


class SubpixelProjection(nn.Module):
    """From oriented features to the HR pixels of every LR pixel, without a bias.

    What a feature contributes to the `scale` x `scale` HR pixels is turned with its orientation.
    """

    def __init__(
        self, features: int, bands: int, scale: int, *, gain: float, order: int = 8
    ) -> None:
        super().__init__()
        self.scale, self.order = scale, order
        std = gain * (1.0 / (features * order)) ** 0.5
        self.kernel = nn.Parameter(_normal(bands, features, scale * scale, std=std))

    def dense(self) -> torch.Tensor:
        """The 1 x 1 convolution's weight, before the pixel shuffle."""
        order = tap_order(self.scale, self.order).to(self.kernel.device)
        bands, features, pixels = self.kernel.shape
        weight = self.kernel[:, :, order].permute(0, 3, 1, 2)
        return weight.reshape(bands * pixels, features * self.order, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features, rows, cols) -> (n, bands, rows * scale, cols * scale)."""
        weight = self.dense()[..., 0, 0]
        pixels = functional.linear(x.permute(0, 2, 3, 1), weight).permute(0, 3, 1, 2)
        return functional.pixel_shuffle(pixels.contiguous(), self.scale)


class FilterBank(nn.Module):
    """Filters of LR bands that are mixed anew for every pixel, the same mixture for all bands.

    What bands add at the HR pixels of an LR pixel is a sum over `side` x `side` LR pixels around
    it. A level that all of them share adds nothing, nor does the mean over the HR pixels change. A
    band's own contrast comes with it, so that the detail of a group has as many spectra as its
    bands (after Jia et al., "Dynamic Filter Networks", NeurIPS 2016).
    """

    def __init__(self, filters: int, scale: int, side: int = 5, *, order: int = 8) -> None:
        super().__init__()
        self.scale, self.side, self.order = scale, side, order
        std = 1.0 / (side * side)
        self.kernel = nn.Parameter(_normal(filters, side * side, scale * scale, std=std))

    def dense(self) -> torch.Tensor:
        """Every filter in every orientation, shape (side * side * scale**2, order * filters)."""
        taps, pixels = (
            tap_order(side, self.order).to(self.kernel.device) for side in (self.side, self.scale)
        )
        turned = self.kernel[:, taps[:, :, None], pixels[:, None, :]]
        turned = turned - turned.mean(dim=2, keepdim=True)
        turned = turned - turned.mean(dim=3, keepdim=True)
        return turned.flatten(2).flatten(0, 1).T

    def forward(self, lr: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
        """Filter bands, shape (n, bands, rows, cols), to (n, bands, rows * scale, cols * scale).

        The mixture has shape (n, order * filters, rows, cols).
        """
        kernels = functional.linear(mixture.permute(0, 2, 3, 1), self.dense())
        pixels = filtered(lr, kernels, self.side).permute(0, 3, 1, 2)
        return functional.pixel_shuffle(pixels.contiguous(), self.scale)


def filtered(lr: torch.Tensor, kernels: torch.Tensor, side: int) -> torch.Tensor:
    """Filter bands, shape (n, bands, rows, cols), by kernels that differ from pixel to pixel.

    Kernels of an odd side, (n, rows, cols, side * side * results), make of every band (n, rows,
    cols, bands * results).
    """
    return applied(padded(lr, side), kernels, side)


def padded(lr: torch.Tensor, side: int) -> torch.Tensor:
    """Bands with what kernels of that side see beyond the edge, shape (n, rows, cols, bands)."""
    wider = functional.pad(lr, (side // 2,) * 4, mode="replicate")
    return wider.permute(0, 2, 3, 1).contiguous()


def applied(seen: torch.Tensor, kernels: torch.Tensor, side: int) -> torch.Tensor:
    """`filtered` for rows that `padded` has prepared."""
    rows, cols = kernels.shape[1:3]
    around = torch.stack(
        [seen[:, i : i + rows, j : j + cols] for i in range(side) for j in range(side)], dim=3
    )  # n, rows, cols, taps, bands
    kernels = kernels.reshape(*kernels.shape[:3], side * side, -1)
    if kernels.shape[-1] < _MANY_RESULTS:
        return (kernels.mT @ around).mT.flatten(3)
    return (around.mT @ kernels).flatten(3)


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


RELEASED: Final = EquivariantSize(features=16, patterns=24, filters=8, symmetries=4)
"""Size of the released weights at x4, and of a new network. Weights files name their own; what an
early one does not name has the value in `EquivariantSize`."""


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
        """The settings for a scale: tiles of 48 LR pixels that share 4, with 4 around them.

        `RELEASED` sees groups of 64 bands, another size groups of 32.

        Raises:
            WeightsError: The scale is not 2, 4 or 8.
        """
        hparams = dataclasses.asdict(size or RELEASED)
        usual = usual_descriptor("dacn-equivariant", scale, **hparams)
        if size is None:
            usual = dataclasses.replace(usual, group_size=64, group_overlap=16)
        return dataclasses.replace(usual, tile_lr_px=48, overlap_lr_px=4, margin_lr_px=4)

    def detail(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `AddsDetail.detail`."""
        seen = with_level(lr, zero)
        features = self.entry(seen.contiguous(memory_format=torch.channels_last))
        features = features + self.exit(self.stages(features))
        detail = self.pixels(self.patterns(features)).float()
        if self.filters is not None:
            detail = detail + self.filters(lr, self.mixture(features)).float()
        return without_block_means(detail, self.scale)
