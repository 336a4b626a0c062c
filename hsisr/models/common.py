"""Shared by several networks: their interface, sizes with their checks, and common layers.

Networks of other papers are there to be compared with DACN. All take groups of 32 bands, normalised
band by band as for the project's own, so that networks alone are compared; each file states what
that changes against its paper.
"""

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self, TypeVar

import torch
from torch import nn
from torch.nn import functional

from hsisr.errors import WeightsError
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.interpolation import KERNELS, ROUNDS, interpolate, interpolate_consistently

_Size = TypeVar("_Size")
RESIDUAL_SCALE: Final = 0.1
"""Factor on the branch of residual blocks in wide networks."""


def usual_descriptor(arch: str, scale: int, **hparams: Any) -> ModelDescriptor:
    """The settings that networks have in common, and these parameters.

    Groups of 32 normalised bands, tiles of 32 LR pixels with 8 around them.

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
        margin_lr_px=8,
        normalisation="band",
        hparams=hparams,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSize:
    """Width and depth of a network: all whole numbers are counts, above 0 unless `may_be_0`.

    Raises:
        WeightsError: A count is impossible.
    """

    arch: ClassVar[str]
    """Name in the registry."""
    may_be_0: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            count = getattr(self, field.name)
            if field.type is not int and (field.type != int | None or count is None):
                continue
            least = 0 if field.name in self.may_be_0 else 1
            if not isinstance(count, int) or isinstance(count, bool) or count < least:
                words = "above 0" if least else "from 0 on"
                raise WeightsError(
                    f"impossible {self.arch} with {field.name} = {count!r}; expected a whole "
                    f"number {words}"
                )

    def require(self, *, possible: bool, words: str) -> None:
        """Refuse counts that do not go together; `words` say what is expected.

        Raises:
            WeightsError: They do not.
        """
        if not possible:
            numbers = ", ".join(f"{key} {n}" for key, n in dataclasses.asdict(self).items())
            raise WeightsError(f"impossible {self.arch} with {numbers}; expected {words}")


def sized(size: type[_Size], descriptor: ModelDescriptor) -> _Size:
    """The size that a descriptor's `hparams` ask for: fields of a dataclass, by name.

    Raises:
        WeightsError: It has no such field, or refuses a value.
    """
    known = {field.name for field in dataclasses.fields(size)}  # type: ignore[arg-type]
    if unknown := sorted(descriptor.hparams.keys() - known):
        has = ", ".join(sorted(known)) or "none"
        raise WeightsError(f"{descriptor.arch} knows no parameter {unknown[0]!r}; it has {has}")
    return size(**descriptor.hparams)


class BandGroupNetwork(nn.Module):
    """A network for one band group, as the registry takes it.

    Args:
        scale: HR pixels per LR pixel along a side.
        group_size: Bands in and out.
    """

    size_type: ClassVar[type[NetworkSize]]
    """Called with the parameters of a descriptor; the constructor takes one after the two above."""

    def __init__(self, scale: int, group_size: int) -> None:
        super().__init__()
        self.scale, self.group_size = scale, group_size

    @classmethod
    def of(cls, descriptor: ModelDescriptor) -> Self:
        """The network a descriptor asks for, with fresh weights, in training mode.

        Raises:
            WeightsError: The descriptor has parameters that the network does not know.
        """
        size = sized(cls.size_type, descriptor)
        return cls(descriptor.scale, descriptor.group_size, size)  # type: ignore[call-arg]

    @classmethod
    def descriptor(cls, scale: int) -> ModelDescriptor:
        """The settings that suit it at a scale; see `usual_descriptor`."""
        return usual_descriptor(cls.size_type.arch, scale)

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ARG002
        """Upscale band groups.

        Args:
            lr: Shape (n, group_size, rows, cols), any rows and columns.
            zero: The normalised value of a stored 0, shape (n or 1, group_size, 1, 1): near it
                small errors change the spectral angle most. None: 0. Most networks do not use it.

        Returns:
            Shape (n, group_size, rows * scale, cols * scale), normalised as `lr`.

        Raises:
            WeightsError: The shape has another number of axes or bands.
        """
        require_bands(self.size_type.arch, lr, self.group_size)
        return self.upscaled(lr)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """`forward`, for the right number of bands."""
        raise NotImplementedError


class DetailNetwork(BandGroupNetwork):
    """A network that adds detail to bicubic interpolation with agreement; see `AddsDetail`."""

    rounds: ClassVar[int] = ROUNDS
    """Of back-projection in that interpolation."""

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `BandGroupNetwork.forward`; float32, the area average is close to `lr`."""
        require_bands(self.size_type.arch, lr, self.group_size)
        base = interpolate_consistently(
            lr.float(), KERNELS["bicubic"], self.scale, rounds=self.rounds
        )
        return base + self.detail(lr, zero)

    def detail(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        """See `AddsDetail.detail`."""
        raise NotImplementedError


def in_full(x: torch.Tensor) -> AbstractContextManager[object]:
    """A context without autocast on the device of `x`; nothing on the meta device."""
    if x.is_meta:
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)


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


def with_level(lr: torch.Tensor, zero: torch.Tensor | None) -> torch.Tensor:
    """Bands, and beside them the distance of each value from a stored 0; see `BandGroupNetwork`.

    Shape (n, bands, rows, cols) in, (n, 2 * bands, rows, cols) out.
    """
    level = lr if zero is None else (lr - zero) / (1 + zero.abs())
    return torch.cat((lr, level), dim=1)


def bicubic(lr: torch.Tensor, scale: int) -> torch.Tensor:
    """Cubic convolution (a = -0.5) in float32, the base of networks that learn a residual."""
    with in_full(lr):
        return interpolate(lr.float(), KERNELS["bicubic"], scale)


def pixel_shuffle(channels: int, scale: int) -> nn.Sequential:
    """Twice as many rows and columns, log2(scale) times: convolution and shuffle.

    Source: Shi et al., "Real-time single image and video super-resolution using an efficient
    sub-pixel convolutional neural network", CVPR 2016; in steps of 2 as EDSR has it.
    """
    layers: list[nn.Module] = []
    for _ in range(scale.bit_length() - 1):
        layers += [nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2)]
    return nn.Sequential(*layers)


def activated(channels: int, features: int, kernel: int = 3) -> nn.Sequential:
    """A convolution that keeps rows and columns, and ReLU."""
    return nn.Sequential(nn.Conv2d(channels, features, kernel, padding=kernel // 2), nn.ReLU())


def per_band(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Apply a 2-D layer to each band; shape (n, channels, bands, rows, cols) in and out."""
    n, _, bands, _, _ = x.shape
    y: torch.Tensor = layer(x.transpose(1, 2).flatten(0, 1))
    return y.reshape(n, bands, *y.shape[1:]).transpose(1, 2)


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, added to the input; no batch normalisation.

    Source: Lim et al., "Enhanced deep residual networks for single image super-resolution", CVPRW
    2017, figure 2. `residual_scale` is the factor on what is added.
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
    """Join parts that each hold some neighbouring bands; the mean where several hold a band.

    Parts have shape (n, k, rows, cols); with their first bands `starts` they hold every band.
    """
    n, k, rows, cols = parts[0].shape
    total = parts[0].new_zeros(n, bands, rows, cols)
    for start, part in zip(starts, parts, strict=True):
        total[:, start : start + k] += part
    times = [sum(start <= band < start + k for start in starts) for band in range(bands)]
    return total / total.new_tensor(times)[:, None, None]


class SqueezeExcitation(nn.Module):
    """Channel attention: features weighted by two layers of their means.

    Source: Hu, Shen, Sun, "Squeeze-and-excitation networks", CVPR 2018; a sixteenth of the features
    in between, at least 4, as Zhang et al., "Image super-resolution using very deep residual
    channel attention networks", ECCV 2018, have it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        between = max(4, channels // 16)
        self.first = nn.Linear(channels, between)
        self.second = nn.Linear(between, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, ...) in and out, with any axes behind."""
        means = x.flatten(2).mean(-1)
        weights = self.second(functional.relu(self.first(means))).sigmoid()
        return x * weights.reshape(*weights.shape, *(1,) * (x.ndim - 2))


class SpectralBlock(nn.Module):
    """Two 1x1 convolutions weighted by channel attention, a tenth of them added to the input.

    Source: Jiang et al., IEEE TCI 2020 (SSPSR), and Chen et al., IEEE TGRS 2023 (MSDformer).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.attention = SqueezeExcitation(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) in and out."""
        detail: torch.Tensor = self.attention(self.second(functional.relu(self.first(x))))
        return x + RESIDUAL_SCALE * detail


def attention_among_features(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, temperature: torch.Tensor
) -> torch.Tensor:
    """Multi-head self-attention among features: each token holds all pixels of a feature.

    Source: Zamir et al., "Restormer: efficient transformer for high-resolution image restoration",
    CVPR 2022, equation 1. Shape (n, channels, rows, cols) in and out; `temperature`, the factor of
    each head, (heads, 1, 1).
    """
    n, channels, rows, cols = query.shape
    heads = temperature.shape[0]
    q, k, v = (x.reshape(n, heads, channels // heads, -1) for x in (query, key, value))
    logits = functional.normalize(q, dim=-1) @ functional.normalize(k, dim=-1).mT
    attended: torch.Tensor = (logits * temperature).softmax(-1) @ v
    return attended.reshape(n, channels, rows, cols)
