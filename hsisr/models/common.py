"""What networks of other papers share: settings, checks, and parts that all of them name alike.

They are built to be compared with DACN, each after its own paper, one file each. All see band
groups of 32 normalised band by band, as the project's own network does, so that a comparison is one
of networks and not of what is around them; what that changes against a paper stands in its file.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn
from torch.nn import functional

from hsisr.errors import WeightsError
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.interpolation import KERNELS, interpolate
from hsisr.models.precision import in_full

_Size = TypeVar("_Size")


def comparison_descriptor(arch: str, scale: int, margin_lr_px: int = 8) -> ModelDescriptor:
    """The settings that a network of another paper is run with: those of `dacn-any`.

    Args:
        arch: Name in the registry.
        scale: HR pixels per LR pixel along a side.
        margin_lr_px: Context around a tile.

    Raises:
        WeightsError: The scale is not 2, 4 or 8.
    """
    return ModelDescriptor(
        arch=arch,
        scale=scale,
        group_size=32,
        group_overlap=8,
        tile_lr_px=32,
        overlap_lr_px=8,
        margin_lr_px=margin_lr_px,
        normalisation="band",
    )


def sized(size: type[_Size], descriptor: ModelDescriptor) -> _Size:
    """The size that a descriptor's `hparams` ask for: fields of a dataclass, by name.

    Raises:
        WeightsError: It has no such field, or refuses a value.
    """
    known = {field.name for field in dataclasses.fields(size)}  # type: ignore[arg-type]
    if unknown := sorted(descriptor.hparams.keys() - known):
        has = ", ".join(sorted(known))
        raise WeightsError(f"{descriptor.arch} knows no parameter {unknown[0]!r}; it has {has}")
    return size(**descriptor.hparams)


def require_counts(arch: str, **numbers: Any) -> None:
    """Refuse sizes that are not whole numbers above 0.

    Raises:
        WeightsError: One is none.
    """
    for name, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise WeightsError(
                f"impossible {arch} with {name} = {number!r}; expected a whole number above 0"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeByScale:
    """Depth and width of a network whose upsampling is as wide as was published for each scale.

    Raises:
        WeightsError: A number is impossible.
    """

    arch: ClassVar[str]
    """Name in the registry."""
    published: ClassVar[Mapping[int, tuple[int, ...]]]
    """Features after every upsampling step, by scale."""

    width: int
    """Features of every layer before upsampling."""
    blocks: int = 3
    upsampling_width: int | None = None
    """Features after every upsampling step; None: the published ones of the scale."""

    def __post_init__(self) -> None:
        require_counts(self.arch, blocks=self.blocks, width=self.width)
        if self.upsampling_width is not None:
            require_counts(self.arch, upsampling_width=self.upsampling_width)

    def upsampling_features(self, scale: int) -> tuple[int, ...]:
        """Features after each step."""
        published = self.published[scale]
        if self.upsampling_width is None:
            return published
        return (self.upsampling_width,) * len(published)


def require_bands(arch: str, lr: torch.Tensor, bands: int) -> None:
    """Refuse tensors that are not (n, bands, rows, cols).

    Raises:
        WeightsError: The shape has another number of axes or bands.
    """
    if lr.ndim != 4 or lr.shape[1] != bands:
        raise WeightsError(
            f"this {arch} takes (n, {bands}, rows, cols), found shape {tuple(lr.shape)}; cut the "
            f"bands into groups of {bands}"
        )


def bicubic(lr: torch.Tensor, scale: int) -> torch.Tensor:
    """Cubic convolution (a = -0.5) in float32, what papers add a learnt residual to."""
    with in_full(lr):
        return interpolate(lr.float(), KERNELS["bicubic"], scale)


def pixel_shuffle(channels: int, scale: int) -> nn.Sequential:
    """Twice as many rows and columns, log2(scale) times: convolution and shuffle.

    Source: Shi et al., "Real-time single image and video super-resolution using an efficient
    sub-pixel convolutional neural network", CVPR 2016; in steps of 2 as EDSR has it.

    Args:
        channels: Features in and out.
        scale: 2, 4 or 8.
    """
    layers: list[nn.Module] = []
    for _ in range(scale.bit_length() - 1):
        layers += [nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2)]
    return nn.Sequential(*layers)


def per_band(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Apply a layer of 2D features to every band alone.

    Args:
        layer: Takes (n, channels, rows, cols).
        x: Shape (n, channels, bands, rows, cols).

    Returns:
        What the layer makes of each band, the bands again third.
    """
    n, _, bands, _, _ = x.shape
    y: torch.Tensor = layer(x.transpose(1, 2).flatten(0, 1))
    return y.reshape(n, bands, *y.shape[1:]).transpose(1, 2)


def repeated(x: torch.Tensor) -> torch.Tensor:
    """Every pixel twice along rows and columns: interpolation by the nearest neighbour."""
    return functional.interpolate(x, scale_factor=2, mode="nearest")


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, added to the input; no batch normalisation.

    Source: Lim et al., "Enhanced deep residual networks for single image super-resolution", CVPRW
    2017, figure 2.

    Args:
        channels: Features in and out.
        residual_scale: Factor on what is added.
    """

    def __init__(self, channels: int, residual_scale: float = 1.0) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.residual_scale = residual_scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) in and out."""
        detail: torch.Tensor = self.second(functional.relu(self.first(x)))
        return x + self.residual_scale * detail


def convolution_pair(channels: int, kernel: tuple[int, int, int]) -> nn.Sequential:
    """3-D convolution, ReLU, 3-D convolution, without biases; sizes stay as they are."""
    first, second = (
        nn.Conv3d(channels, channels, kernel, padding="same", bias=False) for _ in range(2)
    )
    return nn.Sequential(first, nn.ReLU(), second)


def put_together(parts: Sequence[torch.Tensor], starts: Sequence[int], bands: int) -> torch.Tensor:
    """The mean, band by band, of parts that each hold some neighbouring bands.

    Args:
        parts: Shape (n, k, rows, cols) each.
        starts: First band of each; together they hold every band.
        bands: How many there are.

    Returns:
        Shape (n, bands, rows, cols).
    """
    n, k, rows, cols = parts[0].shape
    total = parts[0].new_zeros(n, bands, rows, cols)
    for start, part in zip(starts, parts, strict=True):
        total[:, start : start + k] += part
    times = [sum(start <= band < start + k for start in starts) for band in range(bands)]
    return total / total.new_tensor(times)[:, None, None]


class SqueezeExcitation(nn.Module):
    """Channel attention: features weighed by what two layers make of their means.

    Source: Hu, Shen, Sun, "Squeeze-and-excitation networks", CVPR 2018; a sixteenth of the features
    in between, as Zhang et al., "Image super-resolution using very deep residual channel attention
    networks", ECCV 2018, have it.

    Args:
        channels: Features in and out.
        reduction: How many times fewer features there are in between, but never fewer than 4.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        between = max(4, channels // reduction)
        self.first = nn.Linear(channels, between)
        self.second = nn.Linear(between, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, ...) in and out, with any axes behind."""
        means = x.flatten(2).mean(-1)
        weights = self.second(functional.relu(self.first(means))).sigmoid()
        weighed: torch.Tensor = x * weights.reshape(*weights.shape, *(1,) * (x.ndim - 2))
        return weighed


def attention_among_features(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    temperature: torch.Tensor,
) -> torch.Tensor:
    """Multi-head self-attention whose tokens are features, each as long as there are pixels.

    Source: Zamir et al., "Restormer: efficient transformer for high-resolution image restoration",
    CVPR 2022, equation 1.

    Args:
        query: Shape (n, channels, rows, cols).
        key: Likewise.
        value: Likewise.
        temperature: Factor of each head, shape (heads, 1, 1).

    Returns:
        Shape (n, channels, rows, cols).
    """
    n, channels, rows, cols = query.shape
    heads = temperature.shape[0]
    q, k, v = (x.reshape(n, heads, channels // heads, -1) for x in (query, key, value))
    logits = functional.normalize(q, dim=-1) @ functional.normalize(k, dim=-1).mT
    attended: torch.Tensor = (logits * temperature).softmax(-1) @ v
    return attended.reshape(n, channels, rows, cols)
