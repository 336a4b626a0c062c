"""What a runner must know of a network; it travels inside the weights file."""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, Self

from msgspec import Meta

from hsisr.errors import WeightsError, wrong_fields

Normalisation = Literal["none", "band"]
"""none: stored numbers as they are. band: per band over the scene, minus the mean, divided by
sqrt(variance + (0.01 mean)^2)."""

SCALES = (2, 4, 8)
"""HR pixels per LR pixel along a side, the ones that networks are built for."""


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
