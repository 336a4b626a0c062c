"""What `hsisr benchmark --speed` measures: its options, checked at birth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsisr.errors import UsageError
from hsisr.models.descriptor import SCALES

PAVIAU: Final = (103, 610, 340)
"""(bands, rows, cols) of the scene that is upscaled from end to end."""
_SMALL: Final = (34, 12, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedOptions:
    """What to measure, and how thoroughly.

    Raises:
        UsageError: An option has an impossible value.
    """

    scales: tuple[int, ...] = SCALES
    smoke: bool = False
    """A tiny scene and one round of each: to see that all works."""
    device: str = "auto"
    threads: int | None = None
    out: Path | None = None
    """Folder for speed.json and speed.md; None: nothing is written."""
    overwrite: bool = False
    command: str = ""
    """As typed, for the record."""

    def __post_init__(self) -> None:
        wrong = [f"scale {s}: expected 2, 4 or 8" for s in self.scales if s not in SCALES]
        if self.threads is not None and self.threads < 1:
            wrong.append(f"threads {self.threads}: expected at least 1")
        if wrong:
            raise UsageError("; ".join(wrong))

    @property
    def rounds(self) -> int:
        """How often each tile is measured."""
        return 1 if self.smoke else 9

    @property
    def scene_shape(self) -> tuple[int, int, int]:
        """(bands, rows, cols)."""
        return _SMALL if self.smoke else PAVIAU
