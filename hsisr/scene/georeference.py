"""Where a scene lies on the ground, and the same ground on another grid.

Pixel coordinates follow GDAL: affine transforms and ground control points count from the outer
corner of the first pixel; the offsets of rational polynomials count from its centre. A scene in
sensor geometry (a swath) has a longitude and a latitude of every pixel instead.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
from affine import Affine

from hsisr.errors import InputDataError


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundControlPoint:
    """A pixel whose place on the ground is known."""

    row: float
    """Line, counted from the outer edge of the first line."""
    col: float
    """Sample, counted from the outer edge of the first sample."""
    x: float
    y: float
    z: float = 0.0
    id: str = ""
    info: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Georeference:
    """How pixels map to the ground; every part may be absent, and nothing is invented."""

    crs_wkt: str | None = None
    """Coordinate reference system of `transform`, as WKT."""
    transform: Affine | None = None
    """Pixel corner (col, row) to ground (x, y); rotation allowed."""
    gcps: tuple[GroundControlPoint, ...] = ()
    gcps_crs_wkt: str | None = None
    """Coordinate reference system of `gcps`, as WKT."""
    rpcs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """GDAL's RPC metadata (LINE_OFF, SAMP_OFF, ...), as text."""

    @property
    def exists(self) -> bool:
        """True if anything at all is known about the place."""
        return bool(self.transform or self.gcps or self.rpcs or self.crs_wkt)

    def finer(self, scale: int) -> "Georeference":
        """The same ground on a grid with `scale` times smaller pixels.

        >>> Georeference(transform=Affine(30, 0, 100, 0, -30, 200)).finer(4).transform.a
        7.5
        """
        return self._resampled(float(scale))

    def coarser(self, scale: int) -> "Georeference":
        """The same ground on a grid with `scale` times larger pixels.

        >>> Georeference(transform=Affine(5, 0, 100, 0, -5, 200)).coarser(2).transform.a
        10.0
        """
        return self._resampled(1.0 / scale)

    def shifted(self, row: int, col: int) -> "Georeference":
        """The georeference of a window whose first pixel is (`row`, `col`) of this grid."""
        return replace(
            self,
            transform=self.transform and self.transform @ Affine.translation(col, row),
            gcps=tuple(replace(g, row=g.row - row, col=g.col - col) for g in self.gcps),
            rpcs=_rpcs_mapped(self.rpcs, lambda v: v - row, lambda v: v - col, 1.0),
        )

    def _resampled(self, scale: float) -> "Georeference":
        def centre(offset: float) -> float:
            return (offset + 0.5) * scale - 0.5

        return replace(
            self,
            transform=self.transform and self.transform @ Affine.scale(1.0 / scale),
            gcps=tuple(replace(g, row=g.row * scale, col=g.col * scale) for g in self.gcps),
            rpcs=_rpcs_mapped(self.rpcs, centre, centre, scale),
        )


def plain_rpcs(rpcs: Mapping[str, str]) -> Mapping[str, str]:
    """RPCs whose offsets and scales have no unit behind them, as GDAL gives those of `_RPC.TXT`.

    Raises:
        InputDataError: What speaks of pixels is no finite number.

    >>> plain_rpcs({"LINE_OFF": "+0021.50 pixels"})
    {'LINE_OFF': '+0021.50'}
    """
    plain = {
        key: text.split(maxsplit=1)[0]
        if key.endswith(("_OFF", "_SCALE")) and text.strip()
        else text
        for key, text in rpcs.items()
    }
    for key in _OF_PIXELS & plain.keys():
        try:
            found = float(plain[key])
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            raise InputDataError(f"found {key} {plain[key]!r}, expected a number")
    return plain


_OF_PIXELS: Final = {"LINE_OFF", "SAMP_OFF", "LINE_SCALE", "SAMP_SCALE"}
"""RPCs that speak of pixels."""


def _rpcs_mapped(
    rpcs: Mapping[str, str],
    row_off: Callable[[float], float],
    col_off: Callable[[float], float],
    scale: float,
) -> Mapping[str, str]:
    """RPCs of another grid; only the four numbers that speak of pixels change."""
    if not rpcs:
        return rpcs
    change: dict[str, Callable[[float], float]] = {
        "LINE_OFF": row_off,
        "SAMP_OFF": col_off,
        "LINE_SCALE": lambda v: v * scale,
        "SAMP_SCALE": lambda v: v * scale,
    }
    return MappingProxyType(
        {key: repr(change[key](float(v))) if key in change else v for key, v in rpcs.items()}
    )


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

    def cropped(self, row: int, col: int, rows: int, cols: int) -> "LookupTable | None":
        """Of a window of the scene, on the part of the grid that shows it; None: no part does."""
        down, across = np.abs(self.rows) - row, np.abs(self.cols) - col
        shown = (down > 0) & (down <= rows) & (across > 0) & (across <= cols)
        if not shown.any():
            return None
        top, left, bottom, right = (
            end(side) for end in (np.min, np.max) for side in np.nonzero(shown)
        )
        part = slice(top, bottom + 1), slice(left, right + 1)
        return replace(
            self,
            rows=np.where(shown, np.sign(self.rows) * down, 0)[part],
            cols=np.where(shown, np.sign(self.cols) * across, 0)[part],
            transform=self.transform @ Affine.translation(int(left), int(top)),
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Geolocation:
    """Where the pixel centres lie, in degrees (WGS 84).

    The arrays are those of the file, of a window too: what lies around it tells the positions at
    its border. `scale` says how many pixels along a side of the scene share one of theirs;
    positions on the finer grid are interpolated when they are asked for.

    Raises:
        InputDataError: The arrays do not fit together, or have fewer than 2 rows or columns.
    """

    longitude: _Degrees
    """Shape (rows, cols), NaN where unknown."""
    latitude: _Degrees
    """Same shape."""
    scale: int = 1
    table: LookupTable | None = None
    window: tuple[int, int, int, int] | None = None
    """Of the arrays, what the scene shows: first row and column, rows, columns. None: all."""

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
        *_, rows, cols = self._window
        return rows * self.scale, cols * self.scale

    @property
    def _window(self) -> tuple[int, int, int, int]:
        rows, cols = self.longitude.shape
        return self.window or (0, 0, rows, cols)

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

    def cropped(self, row: int, col: int, rows: int, cols: int) -> "Geolocation":
        """Of `rows` x `cols` pixels from (`row`, `col`) on."""
        if self.scale != 1:
            raise InputDataError("only a scene as it was read can be cropped")
        first_row, first_col, *_ = self._window
        return replace(
            self,
            table=self.table and self.table.cropped(row, col, rows, cols),
            window=(first_row + row, first_col + col, rows, cols),
        )

    def positions(
        self, row: int, row_end: int, col: int = 0, col_end: int | None = None
    ) -> tuple[_Degrees, _Degrees]:
        """Longitude and latitude of pixel centres, each of shape (row_end - row, cols).

        Between the centres of the file they are bilinear, beyond the outermost ones linear.
        """
        top, left = (first * self.scale for first in self._window[:2])
        rows = _Axis.of(top + row, top + row_end, self.longitude.shape[0], self.scale)
        end = self.shape[1] if col_end is None else col_end
        cols = _Axis.of(left + col, left + end, self.longitude.shape[1], self.scale)
        longitude = _unwrapped(self.longitude[rows.part, cols.part])
        return (
            _wrapped(cols.between(rows.between(longitude, 0), 1)),
            cols.between(rows.between(self.latitude[rows.part, cols.part], 0), 1),
        )

    def control_points(self) -> tuple[GroundControlPoint, ...]:
        """Up to 13 x 13 pixels with a known place, spread evenly over the scene."""
        top, left, *size = self._window
        longitude, latitude = self.longitude[top:, left:], self.latitude[top:, left:]
        rows, cols = (np.unique(np.linspace(0, n - 1, 13).round()) for n in size)
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
