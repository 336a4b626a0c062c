"""How to upscale: the options of `hsisr upscale`, checked at birth."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, get_args

import numpy as np

from hsisr.errors import UsageError
from hsisr.models.descriptor import SCALES

_SCHEDULER: Final = re.compile(r"local:[1-9]\d{0,3}|(tcp|tls|ws|wss|ucx)://.+:\d{1,5}")
BadBands = Literal["interpolate", "keep", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleOptions:
    """How to upscale; what to upscale is an argument of `upscale`.

    Raises:
        UsageError: An option has an impossible value.
    """

    scale: int = 4
    """HR pixels per LR pixel along a side: 2, 4 or 8."""
    model: str | None = None
    """bicubic, nearest, lanczos, released weights by name, or a safetensors file; None takes the
    released any-sensor weights of that scale, or bicubic while there are none."""
    bad_bands: BadBands = "interpolate"
    """What becomes of bands that are marked bad, empty or constant: interpolated beside the
    network, kept in the network's groups, or dropped from the output."""
    consistency: bool = True
    """Make the area average of the output equal the input."""
    tile: int | None = None
    """Side of a tile in LR pixels; None: as the model likes it."""
    overlap: int | None = None
    """Blended border of neighbouring tiles in LR pixels; None: as the model likes it."""
    batch_size: int | None = None
    """Tiles computed at once; None: as many as pay on the device and fit its memory."""
    scheduler: str | None = None
    """Address of a Dask scheduler (tcp://host:port) whose workers do the work, or local:N for N
    processes of this machine; None: this process does it."""
    device: str = "auto"
    precision: str = "float32"
    """Of the network alone: float32, bfloat16 or float16."""
    threads: int | None = None
    """Processor threads; None: all, or with a scheduler one for each worker."""
    dtype: str | None = None
    """Data type of the output; None: that of the input."""
    format: str | None = None
    """GTiff, COG, ENVI, MAT or Zarr; None: by the suffix of the output."""
    creation_options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """GDAL creation options of the output."""
    overviews: bool = False
    overwrite: bool = False
    resume: bool = False
    """Go on with what a run of the same settings finished before it was broken off."""
    variable: str | None = None
    """Variable of a .mat file."""
    axes: str | None = None
    """Axis order of a .mat or .npy file."""
    quicklook: Path | None = None
    """Where to put a PNG with input and output side by side."""

    def __post_init__(self) -> None:
        complaints = [
            text
            for wrong, text in (
                (self.scale not in SCALES, f"scale {self.scale}: expected 2, 4 or 8"),
                (
                    self.bad_bands not in get_args(BadBands),
                    f"bad-bands {self.bad_bands!r}: expected interpolate, keep or drop",
                ),
                (self.tile is not None and self.tile < 1, f"tile {self.tile}: expected at least 1"),
                (
                    self.overlap is not None and self.overlap < 0,
                    f"overlap {self.overlap}: expected 0 or more",
                ),
                (
                    self.batch_size is not None and self.batch_size < 1,
                    f"batch-size {self.batch_size}: expected at least 1",
                ),
                (
                    self.threads is not None and self.threads < 1,
                    f"threads {self.threads}: expected at least 1",
                ),
                (
                    self.scheduler is not None and not _SCHEDULER.fullmatch(self.scheduler),
                    f"scheduler {self.scheduler!r}: expected tcp://host:port or local:N",
                ),
                (
                    self.dtype is not None and _unknown_dtype(self.dtype),
                    f"dtype {self.dtype!r}: expected a number type such as int16 or float32",
                ),
            )
            if wrong
        ]
        if (
            self.tile is not None
            and self.overlap is not None
            and self.overlap >= self.tile
            and not complaints
        ):
            complaints.append(f"overlap {self.overlap}: expected less than tile {self.tile}")
        if complaints:
            raise UsageError("; ".join(complaints))


def _unknown_dtype(name: str) -> bool:
    try:
        return np.dtype(name).kind not in "iuf"
    except TypeError:
        return True
