"""Longitude and latitude of every pixel of a scene in sensor geometry (a swath)."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from affine import Affine

from hsisr.errors import InputDataError
from hsisr.scene.georeference import GroundControlPoint

_Degrees = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LookupTable:
    """A geographic lookup table (GLT): for each pixel of a map grid, the sensor pixel it shows."""

    rows: npt.NDArray[np.int32]
    """1-based sensor row, shape (map rows, map cols); 0 where the sensor saw nothing. A negative
    number names a pixel, too: one that fills a gap."""
    cols: npt.NDArray[np.int32]
    """1-based sensor column, same shape."""
    transform: Affine
    """Of the map grid: pixel corner (col, row) to ground (x, y)."""
    crs_wkt: str
    """Of the map grid; geographic, in degrees."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Geolocation:
    """Where the pixel centres lie, in degrees (WGS 84).

    The arrays are those of the file. `scale` says how many pixels along a side of the scene share
    one of theirs; positions on the finer grid are interpolated when they are asked for.

    Raises:
        InputDataError: The arrays do not fit together, or have fewer than 2 rows or columns.
    """

    longitude: _Degrees
    """Shape (rows, cols), NaN where unknown."""
    latitude: _Degrees
    """Same shape."""
    scale: int = 1
    table: LookupTable | None = None

    def __post_init__(self) -> None:
        shape = self.longitude.shape
        if len(shape) != 2 or min(shape) < 2 or self.latitude.shape != shape:
            raise InputDataError(
                f"found longitudes {shape} and latitudes {self.latitude.shape}, expected two "
                "arrays of the scene's rows and columns, at least 2 x 2"
            )
        if not (np.isfinite(self.longitude) & np.isfinite(self.latitude)).any():
            raise InputDataError("no pixel has a longitude and a latitude; all are fill values")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the scene."""
        rows, cols = self.longitude.shape
        return rows * self.scale, cols * self.scale

    def finer(self, scale: int) -> "Geolocation":
        """The same ground on a grid with `scale` times smaller pixels."""
        return replace(self, scale=self.scale * scale)

    def coarser(self, scale: int) -> "Geolocation":
        """The same ground on a grid with `scale` times larger pixels; the table is left out."""
        longitude, latitude = self.positions(0, self.shape[0])
        rows, cols = self.shape
        blocks = rows // scale, scale, cols // scale, scale
        return Geolocation(
            longitude=_wrapped(_unwrapped(longitude).reshape(blocks).mean(axis=(1, 3))),
            latitude=latitude.reshape(blocks).mean(axis=(1, 3)),
        )

    def cropped(self, rows: int, cols: int) -> "Geolocation":
        """Of the upper left `rows` x `cols` pixels; the table is left out."""
        if self.scale != 1:
            raise InputDataError("only a scene as it was read can be cropped")
        return Geolocation(
            longitude=self.longitude[:rows, :cols], latitude=self.latitude[:rows, :cols]
        )

    def positions(
        self, row: int, row_end: int, col: int = 0, col_end: int | None = None
    ) -> tuple[_Degrees, _Degrees]:
        """Longitude and latitude of pixel centres, each of shape (row_end - row, cols).

        Between the centres of the file they are bilinear, beyond the outermost ones linear.
        """
        rows = _Axis.of(row, row_end, self.longitude.shape[0], self.scale)
        end = self.shape[1] if col_end is None else col_end
        cols = _Axis.of(col, end, self.longitude.shape[1], self.scale)
        longitude = _unwrapped(self.longitude[rows.part, cols.part])
        return (
            _wrapped(cols.between(rows.between(longitude, 0), 1)),
            cols.between(rows.between(self.latitude[rows.part, cols.part], 0), 1),
        )

    def control_points(self, most: int = 13) -> tuple[GroundControlPoint, ...]:
        """Up to `most` x `most` pixels with a known place, spread evenly over the scene."""
        longitude, latitude = self.longitude, self.latitude
        rows, cols = (np.unique(np.linspace(0, n - 1, most).round()) for n in longitude.shape)
        places = [(int(r), int(c)) for r in rows for c in cols]
        return tuple(
            GroundControlPoint(
                row=(r + 0.5) * self.scale,
                col=(c + 0.5) * self.scale,
                x=float(longitude[r, c]),
                y=float(latitude[r, c]),
                id=str(number),
            )
            for number, (r, c) in enumerate(places, start=1)
            if np.isfinite(longitude[r, c]) and np.isfinite(latitude[r, c])
        )


@dataclass(frozen=True, slots=True)
class _Axis:
    """Fine pixel centres along one axis between the centres of a part of the coarse ones."""

    part: slice
    before: npt.NDArray[np.intp]
    weight: _Degrees

    @classmethod
    def of(cls, start: int, end: int, size: int, scale: int) -> "_Axis":
        place = (np.arange(start, end) + 0.5) / scale - 0.5
        before = np.clip(np.floor(place).astype(np.intp), 0, size - 2)
        first = int(before[0])
        part = slice(first, int(before[-1]) + 2)
        return cls(part, before - first, place - before)

    def between(self, values: _Degrees, axis: int) -> _Degrees:
        low = values.take(self.before, axis)
        step = values.take(self.before + 1, axis) - low
        weight = self.weight[:, None] if axis == 0 else self.weight
        return np.where(weight == 0, low, low + step * weight)


def _unwrapped(longitude: _Degrees) -> _Degrees:
    """Longitudes without the jump at the date line."""
    known = longitude[np.isfinite(longitude)]
    return longitude % 360 if known.size and np.ptp(known) > 180 else longitude


def _wrapped(longitude: _Degrees) -> _Degrees:
    """Longitudes from -180 up to 180."""
    outside = (longitude < -180) | (longitude >= 180)
    return np.where(outside, (longitude + 180) % 360 - 180, longitude)
