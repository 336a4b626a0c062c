"""What networks and those who run them agree on: a descriptor, and classes to derive from.

The descriptor of a network travels inside its weights file. All networks that come with hsisr take
groups of bands that are normalised one by one, those of other papers too, so that networks alone
are compared; each file states what that changes against its paper.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import torch
from msgspec import Meta
from torch import nn

from hsisr.errors import WeightsError, wrong_fields
from hsisr.models.interpolation import KERNELS, ROUNDS, interpolate_consistently
from hsisr.option import SCALES

_Size = TypeVar("_Size")
Normalisation = Literal["none", "band"]
"""none: stored numbers as they are. band: per band over the scene, minus the mean, divided by
sqrt(variance + (0.01 mean)^2)."""

LARGEST = 4096
"""Most that any size in a descriptor may be: nothing larger is asked for by a network, and building
it would take the memory before anybody runs it."""
Size = Annotated[int, Meta(ge=0, le=LARGEST)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescriptor:
    """The contract between one set of weights and the code that runs it.

    Raises:
        WeightsError: A field has an impossible value.
    """

    arch: str
    """Name in `hsisr.models.registry`."""
    scale: int
    """HR pixels per LR pixel, along each side."""
    group_size: Size
    """Bands the network sees together."""
    group_overlap: Size
    """Bands that neighbouring groups share."""
    tile_lr_px: Size
    """Side of the tile the network was made for, in LR pixels."""
    overlap_lr_px: Size
    """Blended border that neighbouring tiles share, in LR pixels."""
    margin_lr_px: Size = 0
    """Context read around a tile and cut off again, in LR pixels."""
    normalisation: Normalisation = "none"
    hparams: dict[str, Any] = field(default_factory=dict)
    """Arguments of the architecture's builder, beyond scale and group size."""
    degradation: str = "area"
    """How the LR patches it was fitted on were made."""
    wavelengths_nm: tuple[float, float] | None = None
    """Shortest and longest band centre of the training scenes, or None if unknown."""

    def __post_init__(self) -> None:
        complaints = wrong_fields(self) or self._oversized()
        if not complaints and self.scale not in SCALES:
            complaints.append(f"scale {self.scale}, expected one of {SCALES}")
        if not complaints and self.group_overlap >= self.group_size:
            complaints.append(f"group overlap {self.group_overlap} of {self.group_size} bands")
        if not complaints and self.overlap_lr_px >= self.tile_lr_px:
            complaints.append(f"tile overlap {self.overlap_lr_px} of {self.tile_lr_px} pixels")
        if complaints:
            raise WeightsError(f"impossible model descriptor: {'; '.join(complaints)}")

    def _oversized(self) -> list[str]:
        return [
            f"{name} {size}, expected at most {LARGEST}"
            for name, size in self.hparams.items()
            if isinstance(size, (int, float)) and not abs(size) <= LARGEST
        ]

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Self:
        """Rebuild a descriptor from parsed JSON; unknown, missing or mistyped keys are errors."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(table.keys() - known):
            raise WeightsError(f"model descriptor: unknown key {unknown[0]!r}; newer hsisr?")
        try:
            found = dict(table)
            if found.get("wavelengths_nm") is not None:
                found["wavelengths_nm"] = tuple(found["wavelengths_nm"])
            return cls(**found)
        except WeightsError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise WeightsError(f"model descriptor: {error}") from error


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
        for one in fields(self):
            count = getattr(self, one.name)
            if one.type is not int and (one.type != int | None or count is None):
                continue
            least = 0 if one.name in self.may_be_0 else 1
            if not isinstance(count, int) or isinstance(count, bool) or count < least:
                words = "above 0" if least else "from 0 on"
                raise WeightsError(
                    f"impossible {self.arch} with {one.name} = {count!r}; expected a whole "
                    f"number {words}"
                )

    def require(self, *, possible: bool, words: str) -> None:
        """Refuse counts that do not go together; `words` say what is expected.

        Raises:
            WeightsError: They do not.
        """
        if not possible:
            numbers = ", ".join(f"{key} {n}" for key, n in asdict(self).items())
            raise WeightsError(f"impossible {self.arch} with {numbers}; expected {words}")


def sized(size: type[_Size], descriptor: ModelDescriptor) -> _Size:
    """The size that a descriptor's `hparams` ask for: fields of a dataclass, by name.

    Raises:
        WeightsError: It has no such field, or refuses a value.
    """
    known = {one.name for one in fields(size)}  # type: ignore[arg-type]
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
