"""What a runner must know of a network; it travels inside the weights file."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from hsisr.errors import WeightsError

Normalisation = Literal["none", "band"]
"""none: stored numbers as they are. band: per band over the scene, minus the mean, divided by
sqrt(variance + (0.01 mean)^2)."""

SCALES = (2, 4, 8)
"""HR pixels per LR pixel along a side, the ones that networks are built for."""


LARGEST = 4096
"""Most that any size in a descriptor may be."""


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
    group_size: int
    """Bands the network sees together."""
    group_overlap: int
    """Bands that neighbouring groups share."""
    tile_lr_px: int
    """Side of the tile the network was made for, in LR pixels."""
    overlap_lr_px: int
    """Blended border that neighbouring tiles share, in LR pixels."""
    margin_lr_px: int = 0
    """Context read around a tile and cut off again, in LR pixels."""
    normalisation: Normalisation = "none"
    hparams: dict[str, Any] = field(default_factory=dict)
    """Arguments of the architecture's builder, beyond scale and group size."""
    degradation: str = "area"
    """How the LR patches it was fitted on were made."""
    wavelengths_nm: tuple[float, float] | None = None
    """Shortest and longest band centre of the training scenes, or None if unknown."""

    def __post_init__(self) -> None:
        if mistyped := self._mistyped():
            raise WeightsError(f"impossible model descriptor: {'; '.join(mistyped)}")
        complaints = []
        if self.scale not in SCALES:
            complaints.append(f"scale {self.scale}, expected one of {SCALES}")
        if not 0 <= self.group_overlap < self.group_size:
            complaints.append(f"group overlap {self.group_overlap} of {self.group_size} bands")
        if not 0 <= self.overlap_lr_px < self.tile_lr_px:
            complaints.append(f"tile overlap {self.overlap_lr_px} of {self.tile_lr_px} pixels")
        if self.margin_lr_px < 0:
            complaints.append(f"margin {self.margin_lr_px}")
        complaints += self._oversized()
        if self.normalisation not in ("none", "band"):
            complaints.append(f"normalisation {self.normalisation!r}")
        if complaints:
            raise WeightsError(f"impossible model descriptor: {'; '.join(complaints)}")

    def _mistyped(self) -> list[str]:
        """What a hand-written or foreign descriptor has of another type."""
        kinds = {"arch": str, "normalisation": str, "degradation": str, "hparams": dict}
        return [
            f"{f.name} {value!r}"
            for f in fields(self)
            if f.name != "wavelengths_nm"
            and not isinstance(value := getattr(self, f.name), kinds.get(f.name, int))
        ]

    def _oversized(self) -> list[str]:
        """What no network asks for; building it would take the memory before anybody runs it."""
        sizes = {
            "group size": self.group_size,
            "tile": self.tile_lr_px,
            "margin": self.margin_lr_px,
            **{key: v for key, v in self.hparams.items() if isinstance(v, (int, float))},
        }
        return [
            f"{name} {size}, expected at most {LARGEST}"
            for name, size in sizes.items()
            if not abs(size) <= LARGEST
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
                low, high = found["wavelengths_nm"]
                found["wavelengths_nm"] = (float(low), float(high))
            return cls(**found)
        except WeightsError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise WeightsError(f"model descriptor: {error}") from error
