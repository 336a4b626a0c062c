"""`dacn-equivariant` for inference: every kernel expanded to all its orientations once.

Convolutions are oneDNN's with the activation in the same pass, the layer normalisation's weights
are part of the projections behind it, and the detail's mean over each LR pixel is subtracted in the
last kernel. The numbers are those of the trained network, up to rounding.
"""

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.dacn_equivariant import (
    DacnEquivariant,
    EquivariantBlock,
    EquivariantStage,
    OrientedChannelAttention,
    PooledSelfAttention,
    RegularConv,
    applied,
    padded,
)
from hsisr.models.descriptor import in_full, require_bands, with_level
from hsisr.models.fast import onednn
from hsisr.models.fast.onednn import GELU, NONE, Activation
from hsisr.models.interpolation import consistent_bicubic

_AS_ONE: Final[Mapping[int, torch.dtype]] = MappingProxyType(
    {4: torch.int32, 8: torch.int64, 16: torch.complex128}
)
"""A type of so many bytes: neighbouring values are copied as one."""
_ROWS: Final = 8
"""Rows of LR pixels that are filtered at a time."""
_LAYOUTS: Final = 4
"""Layouts kept per kernel: a row has tiles whose context is cut left, nowhere and right."""


class FixedLayer(nn.Module):
    """A constant kernel, channels last, and its bias."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        last = torch.channels_last if weight.ndim == 4 else torch.contiguous_format
        kernel = weight.clone(memory_format=last)
        self.register_buffer("weight", kernel, persistent=False)
        self.register_buffer("bias", bias.clone(), persistent=False)
        self._layouts: dict[torch.Size, torch.Tensor] = {}

    def convolved(self, x: torch.Tensor, activation: Activation = NONE) -> torch.Tensor:
        """A convolution that keeps rows and columns, with an odd kernel, channels last."""
        padding = self.weight.shape[-1] // 2
        if not onednn.available(x, self.weight):
            return activation.plain(functional.conv2d(x, self.weight, self.bias, padding=padding))
        return onednn.convolved(x, self._laid_out(x, padding), self.bias, padding, activation)

    def linear(self, x: torch.Tensor) -> torch.Tensor:
        """A linear layer; shape (..., features)."""
        return onednn.linear(x, self.weight, self.bias)

    def _laid_out(self, x: torch.Tensor, padding: int) -> torch.Tensor:
        """The kernel in oneDNN's layout for inputs of that shape; cached."""
        if (kernel := self._layouts.get(x.shape)) is None:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts = {}
            kernel = self._layouts[x.shape] = onednn.packed_kernel(self.weight, padding, x.shape)
        return kernel

    def __getstate__(self) -> dict[str, object]:  # a copy packs its own kernels
        return {**self.__dict__, "_layouts": {}}

    def _apply(self, *given: object, **named: object) -> "FixedLayer":  # another type or device
        self._layouts = {}
        super()._apply(*given, **named)  # type: ignore[no-untyped-call]
        return self


def shuffled(x: torch.Tensor, scale: int) -> torch.Tensor:
    """`functional.pixel_shuffle` of a channels-last tensor, to a contiguous one.

    The HR values of a row that come from one LR pixel are copied as one.

    >>> x = torch.arange(8.0).reshape(1, 4, 1, 2).contiguous(memory_format=torch.channels_last)
    >>> shuffled(x, 2).tolist()
    [[[[0.0, 2.0, 1.0, 3.0], [4.0, 6.0, 5.0, 7.0]]]]
    """
    n, channels, rows, cols = x.shape
    as_one = _AS_ONE.get(scale * x.element_size())
    if as_one is None:
        return functional.pixel_shuffle(x, scale).contiguous()
    pixels = x.permute(0, 2, 3, 1).contiguous().view(as_one)
    lines = torch.empty(
        (n, channels // scale**2, rows, scale, cols), dtype=as_one, device=x.device
    ).copy_(pixels.reshape(n, rows, cols, -1, scale).permute(0, 3, 1, 4, 2))
    return lines.view(x.dtype).reshape(n, -1, rows * scale, cols * scale)


def without_means(table: torch.Tensor, bands: int) -> torch.Tensor:
    """Kernels or biases of each band's pixels, less their mean; shape (bands * pixels, ...)."""
    parts = table.reshape(bands, -1, *table.shape[1:])
    return (parts - parts.mean(1, keepdim=True)).flatten(0, 1)


def add_filtered(total: torch.Tensor, lr: torch.Tensor, kernels: torch.Tensor, side: int) -> None:
    """Add what `filtered` gives, few rows at a time: their windows fit the cache."""
    seen = padded(lr, side)
    for top in range(0, total.shape[1], _ROWS):
        some = slice(top, top + _ROWS)
        around = seen[:, top : top + _ROWS + side - 1]
        total[:, some].add_(applied(around, kernels[:, some], side))


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
        self.first, self.second = (
            FixedLayer(*trained.first.dense()),
            FixedLayer(*trained.second.dense()),
        )
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
        self.entry = FixedLayer(*trained.entry.dense())
        self.stages = nn.Sequential(
            *(_FastStage(cast("EquivariantStage", stage)) for stage in trained.stages)
        )
        self.exit, self.patterns = (
            FixedLayer(*trained.exit.dense()),
            FixedLayer(*trained.patterns.dense()),
        )
        pixels = without_means(trained.pixels.dense(), self.bands)
        self.pixels = FixedLayer(pixels, pixels.new_zeros(len(pixels)))
        self.filters: FixedLayer | None = None
        if trained.filters is not None:
            self.mixture, table = FixedLayer(*trained.mixture.dense()), trained.filters.dense()
            self.filters = FixedLayer(table, table.new_zeros(len(table)))
            self.side = trained.filters.side

    def detail(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `DacnEquivariant.detail`."""
        seen = with_level(lr, zero)
        x = seen.to(self.entry.weight.dtype, memory_format=torch.channels_last)
        x = self.entry.convolved(x)
        x = x + self.exit.convolved(self.stages(x))
        pixels = self.pixels.convolved(self.patterns.convolved(x))
        if self.filters is not None:
            kernels = self.filters.linear(self.mixture.convolved(x).permute(0, 2, 3, 1))
            add_filtered(pixels.permute(0, 2, 3, 1), lr.to(kernels.dtype), kernels, self.side)
        return shuffled(pixels, self.scale).float()

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `DacnEquivariant.forward`."""
        base = consistent_bicubic(lr.float(), self.scale, rounds=DacnEquivariant.rounds)
        return base.add_(self.detail(lr, zero))


class DacnEquivariantInference(nn.Module):
    """`FastDacnEquivariant` in float32 and a second copy in the precision used under autocast.

    With `detail_only` it returns what `FastDacnEquivariant.detail` does.
    """

    agreeing = True
    """Its detail has mean 0 over each LR pixel, and its base has all rounds of back-projection."""

    def __init__(self, trained: DacnEquivariant, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.full, self.detail_only = FastDacnEquivariant(trained), False
        half = precision is not torch.float32
        self.in_half = copy.deepcopy(self.full).to(precision) if half else None

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """As the trained network; in half precision under autocast."""
        require_bands("dacn-equivariant", lr, self.full.bands)
        fast = self.full
        if (
            self.in_half is not None
            and not lr.is_meta
            and torch.is_autocast_enabled(lr.device.type)
        ):
            fast = self.in_half
        with in_full(lr):
            return fast.detail(lr, zero) if self.detail_only else fast(lr, zero)
