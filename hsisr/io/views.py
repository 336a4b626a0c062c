"""Scenes seen through another one: without its last rows, described otherwise, read row by row.

Also which numbers of a scene mean no data: as named by the user, and constants that nobody named.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError, UsageError, about_scene, warn_of_scene
from hsisr.io.base import Scene
from hsisr.io.paths import RemotePath
from hsisr.option import ranges_of
from hsisr.scene.metadata import SceneMetadata
from hsisr.scene.quantisation import (
    LEAST_SHARE,
    StoredNumbers,
    are_whole_pixels,
    bands_apart,
    fill_among,
    holds,
    number_text,
    suffices,
    usual_of,
    varied_bands,
)
from hsisr.tiling import Window

_MOST_BLOCK_ROWS: Final = 512
"""Higher blocks (a file may be one single block) would take too much memory to be kept."""


class DelegatingScene(Scene):
    """Passes everything on to a scene; closing this closes it."""

    def __init__(self, scene: Scene) -> None:
        """Look like `scene`."""
        self.path, self.format, self.metadata = scene.path, scene.format, scene.metadata
        self.block_rows = scene.block_rows
        self._scene = scene

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        return self._scene.read_stored(window, bands)

    def read_mask(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """See `Scene.read_mask`."""
        return self._scene.read_mask(window)

    def nodata_of(self, band: int) -> float | None:
        """See `Scene.nodata_of`."""
        return self._scene.nodata_of(band)

    def grown(self, window: Window, margin: int) -> Window:
        """See `Scene.grown`."""
        return self._scene.grown(window, margin)

    def close(self) -> None:
        """Close the scene behind it."""
        self._scene.close()


class DescribedScene(DelegatingScene):
    """A scene of which more, or something else, is known than its file says.

    `metadata` is of the same size and data type. Its nodata, where it is another than the scene's,
    holds for every band, unless `nodata` has one for each.
    """

    def __init__(
        self, scene: Scene, metadata: SceneMetadata, nodata: Sequence[float | None] | None = None
    ) -> None:
        super().__init__(scene)
        if nodata is None and metadata.stored.nodata != scene.metadata.stored.nodata:
            nodata = [metadata.stored.nodata] * metadata.bands
        self.metadata, self._nodata = metadata, nodata

    def nodata_of(self, band: int) -> float | None:
        """See `Scene.nodata_of`."""
        return self._scene.nodata_of(band) if self._nodata is None else self._nodata[band]


class PartScene(DelegatingScene):
    """A window of a scene, and the 0-based bands, in this order, at their place on the ground.

    What lies around the window can still be read, and `whole` has all bands.

    Raises:
        InputDataError: The window reaches beyond the scene.
    """

    def __init__(
        self, scene: Scene, window: Window | None = None, bands: Sequence[int] | None = None
    ) -> None:
        super().__init__(scene)
        meta = scene.metadata
        self._bands = tuple(range(meta.bands) if bands is None else bands)
        self._window = own = window or Window(0, 0, meta.rows, meta.cols)
        if not (
            0 <= own.row < own.row_end <= meta.rows and 0 <= own.col < own.col_end <= meta.cols
        ):
            raise InputDataError(
                f"{scene.path}: found {meta.rows} x {meta.cols} pixels, expected a window inside "
                f"them, not {own.rows} x {own.cols} pixels from row {own.row}, column {own.col}"
            )
        if window is not None:
            place, swath = meta.georeference.shifted(window.row, window.col), meta.geolocation
            if swath is not None:
                swath = swath.cropped(window.row, window.col, window.rows, window.cols)
                place = replace(place, gcps=swath.control_points())
            meta = replace(
                meta, rows=window.rows, cols=window.cols, georeference=place, geolocation=swath
            )
        self.metadata = meta.with_bands(self._bands)

    @property
    def whole(self) -> Scene:
        """See `Scene.whole`."""
        return self._scene.whole

    def grown(self, window: Window, margin: int) -> Window:
        """See `Scene.grown`."""
        found = self._scene.grown(self._in_whole(window), margin)
        return replace(found, row=found.row - self._window.row, col=found.col - self._window.col)

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        return self._scene.read_stored(
            self._in_whole(window), [self._bands[band] for band in bands]
        )

    def read_mask(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """See `Scene.read_mask`."""
        return self._scene.read_mask(self._in_whole(window))

    def nodata_of(self, band: int) -> float | None:
        """See `Scene.nodata_of`."""
        return self._scene.nodata_of(self._bands[band])

    def _in_whole(self, window: Window) -> Window:
        return replace(window, row=window.row + self._window.row, col=window.col + self._window.col)


def chosen_bands(scene: Scene, bands: str | None, wavelengths: str | None) -> tuple[int, ...]:
    """0-based bands, rising, that options of a command name; all where there are none.

    Bands are numbers and runs from 1 on, such as "1-60,75", wavelengths ranges in nm, "400-1000".

    Raises:
        UsageError: Both are given.
        InputDataError: The scene has no such band, or no wavelengths.
    """
    every, axis = range(scene.metadata.bands), scene.metadata.spectral_axis
    if bands is not None and wavelengths is not None:
        raise UsageError("found --bands and --wavelengths, expected one of them")
    if bands is not None:
        runs = [[int(end) for end in run.split("-")] for run in bands.split(",")]
        if any(run[0] > run[-1] or run[-1] > len(every) for run in runs):
            raise InputDataError(
                f"{scene.path}: has bands 1 to {len(every)}, found --bands {bands}"
            )
        return tuple(b for b in every if any(run[0] <= b + 1 <= run[-1] for run in runs))
    if wavelengths is None:
        return tuple(every)
    if axis.wavelengths_nm is None:
        raise InputDataError(f"{scene.path}: says no wavelengths, so give --bands in their place")
    centres = axis.wavelengths_nm
    ranges = ranges_of(wavelengths)
    found = tuple(b for b in every if any(low <= centres[b] <= high for low, high in ranges))
    if not found:
        raise InputDataError(
            f"{scene.path}: has bands from {min(centres):g} to {max(centres):g} nm, none within "
            f"--wavelengths {wavelengths}"
        )
    return found


def window_of_bbox(scene: Scene, bbox: tuple[float, float, float, float]) -> Window:
    """The pixels that a rectangle of map coordinates touches, as far as the scene has them.

    `bbox` is x1, y1, x2, y2: two opposite corners, in the CRS of the scene.

    Raises:
        InputDataError: The scene has no such georeference, or lies elsewhere.
    """
    meta, (x1, y1, x2, y2) = scene.metadata, bbox
    transform = meta.georeference.transform
    if transform is None:
        raise InputDataError(
            f"{scene.path}: has no map coordinates, so give --window ROW,COL,ROWS,COLS in place of "
            "--bbox"
        )
    corners = [~transform @ point for point in ((x1, y1), (x1, y2), (x2, y1), (x2, y2))]
    cols, rows = zip(*corners, strict=True)
    # corners that lie on pixel borders are not to take one more pixel for their rounding
    row, col = (max(0, math.floor(min(places) + 1e-6)) for places in (rows, cols))
    row_end = min(meta.rows, math.ceil(max(rows) - 1e-6))
    col_end = min(meta.cols, math.ceil(max(cols) - 1e-6))
    if row_end <= row or col_end <= col:
        left, top = transform @ (0, 0)
        right, bottom = transform @ (meta.cols, meta.rows)
        raise InputDataError(
            f"{scene.path}: lies between ({left:.10g}, {top:.10g}) and ({right:.10g}, "
            f"{bottom:.10g}), expected a --bbox that touches it"
        )
    return Window(row, col, row_end - row, col_end - col)


def cropped_to_multiple(scene: Scene, scale: int) -> Scene:
    """The scene itself if its sides divide by `scale`, else the part whose sides do.

    Raises:
        InputDataError: A side is shorter than `scale`.
    """
    sides = scene.metadata.rows, scene.metadata.cols
    rows, cols = (side - side % scale for side in sides)
    return scene if (rows, cols) == sides else PartScene(scene, Window(0, 0, rows, cols))


def rows_at_once(scene: Scene) -> int:
    """Rows that are read at once: those of a block of the file."""
    rows = scene.block_rows
    return min(rows, scene.metadata.rows) if rows <= _MOST_BLOCK_ROWS else 1


class RowCache(DelegatingScene):
    """Remembers the last rows read, and reads whole rows of the file's blocks.

    Made for windows of the same columns and bands that go down the scene. Any other window is read
    as well; it only costs more.

    The next windows may still ask for rows as far `above` this one; `look` is called with the
    numbers that were read anew, and the window that they fill.
    """

    def __init__(
        self,
        scene: Scene,
        above: int,
        look: Callable[[npt.NDArray[Any], Window], None] | None = None,
    ) -> None:
        super().__init__(scene)
        self._look = look
        self._above, self._step = above, rows_at_once(scene)
        self._row = 0
        self._bottom = scene.grown(Window(0, 0, self.metadata.rows, 1), 2**40).row_end
        self._cols: tuple[int, int, tuple[int, ...]] | None = None
        self._parts: list[npt.NDArray[Any]] = []

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        cols = window.col, window.cols, tuple(bands)
        if cols != self._cols or not self._row <= window.row <= self._end:
            self._cols, self._row, self._parts = cols, window.row, []
        first = window.row - self._above
        if first > self._row and self._parts:
            self._row, self._parts = first, [self._cut(first, self._end)]
        if self._end < window.row_end:
            until = min(-(-window.row_end // self._step) * self._step, self._bottom)
            rows = Window(self._end, window.col, until - self._end, window.cols)
            self._parts.append(self._scene.read_stored(rows, bands))
            if self._look is not None:
                self._look(self._parts[-1], rows)
        return self._cut(window.row, window.row_end)

    @property
    def _end(self) -> int:
        """One past the last row that is remembered."""
        return self._row + sum(int(part.shape[1]) for part in self._parts)

    def _cut(self, row: int, end: int) -> npt.NDArray[Any]:
        """A copy of some rows."""
        pieces, first = [], self._row
        for part in self._parts:
            pieces.append(part[:, max(0, row - first) : max(0, end - first)])
            first += part.shape[1]
        return np.concatenate(pieces, axis=1)


_LOOKED_AT: Final = 9
"""Rows, at least, and bands, at most, that are looked at for fill before anything else is read."""
_SAMPLES_LOOKED_AT: Final = 2**21


def warn_of_fill(scene: Scene) -> Scene:
    """Warn where a usual fill value that a scene does not name looks like no data (`fill_among`).

    Nine bands are looked at: nine rows of them, or as many as hold two million samples. The scene
    to read on with, which is returned, warns of what lies between those rows once it was read.

    Raises:
        InputDataError: The scene cannot be read.
    """
    bands, rows = scene.metadata.bands, scene.metadata.rows
    few = np.unique(np.linspace(0, bands - 1, _LOOKED_AT).astype(int)).tolist()
    limited = scene.metadata.stored.limits is not None
    if limited or scene.read_mask(Window(0, 0, 1, 1)) is not None:
        return scene
    found = _some_rows(scene, few)
    for plane, named in zip(found, np.isin(found, _named(scene)), strict=True):
        plane[named] = np.resize(plane[~named], np.count_nonzero(named))  # as likely as before
    number = fill_among(found)
    if number is not None:
        _warn_of_fill(scene, number)
    return scene if number is not None or found.shape[1] == rows else FillWatch(scene, few, found)


def _named(scene: Scene) -> npt.NDArray[Any]:
    """Numbers that mean no data, in any band."""
    dtype = scene.metadata.stored.dtype
    said = {scene.nodata_of(band) for band in range(scene.metadata.bands)}
    return np.array([dtype.type(n) for n in said if n is not None and holds(dtype, n)], dtype)


def _some_rows(scene: Scene, bands: Sequence[int]) -> npt.NDArray[Any]:
    """Rows far apart, or all of a small scene; what lies in one block of the file is read once."""
    _, rows, cols = scene.metadata.shape
    many = 0 if isinstance(scene.path, RemotePath) else _SAMPLES_LOOKED_AT // (len(bands) * cols)
    chosen = np.unique(np.linspace(0, rows - 1, max(_LOOKED_AT, many)).astype(int))
    step = rows if len(chosen) == rows else rows_at_once(scene)
    parts = []
    for block in np.split(chosen, np.flatnonzero(np.diff(chosen // step)) + 1):
        first, last = int(block[0]), int(block[-1])
        part = scene.read_stored(Window(first, 0, last - first + 1, cols), bands)
        parts.append(part[:, block - first])
    return np.concatenate(parts, axis=1)


def _warn_of_fill(scene: Scene, number: float) -> None:
    text, named = number_text(number, scene.metadata.stored.dtype), scene.metadata.stored.nodata
    beside = "" if named is None else f", though the file names {named:g} as no data"
    with about_scene(scene.path):
        warn_of_scene(
            f"many samples are {text}, apart from all others{beside}; if they mean no data, give "
            f"--nodata {text}, else --nodata none"
        )


class FillWatch(DelegatingScene):
    """Counts fill values in what is read, and warns of them once that is the whole scene.

    It looks at the 0-based bands; `found` are some rows of them, that hold no fill to speak of.
    """

    def __init__(self, scene: Scene, bands: Sequence[int], found: npt.NDArray[Any]) -> None:
        super().__init__(scene)
        varied = varied_bands(found)
        few = found[varied, :: max(1, found.shape[1] // _LOOKED_AT)]
        self._numbers = [n for n in usual_of(few) if few.dtype.type(n) not in _named(scene)]
        self._apart = [bands_apart(few, number) for number in self._numbers]
        self._counts = {bands[n]: np.zeros(2 + len(self._numbers), np.uint64) for n in varied}
        """Of each band: samples, which of them are 0 (see `_trace`), how many each number."""

    @property
    def whole(self) -> Scene:
        """See `Scene.whole`."""
        return self if self._scene.whole is self._scene else self._scene.whole

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        numbers = self._scene.read_stored(window, bands)
        for plane, band in zip(numbers, bands, strict=True):
            if band in self._counts:
                hits = [np.count_nonzero(plane == number) for number in self._numbers]
                trace = self._trace(plane, window)
                self._counts[band] += np.array([plane.size, trace, *hits], np.uint64)
        if self._counts:
            self._judge()
        return numbers

    def _trace(self, plane: npt.NDArray[Any], window: Window) -> np.uint64:
        """A sum that is the same for bands whose zeros are the same pixels, and hardly for others.

        It is that of the squares of their places in the scene, modulo 2^64.
        """
        row, col = np.nonzero(plane == 0)
        place = (row + window.row).astype(np.uint64) * np.uint64(self.metadata.cols)
        place += (col + window.col).astype(np.uint64)
        return np.uint64((place * place).sum(dtype=np.uint64))

    def _judge(self) -> None:
        """Once all was read, say what fills enough of every band."""
        size, trace, *hits = np.array([*self._counts.values()]).T
        if size.min() < self.metadata.rows * self.metadata.cols:
            return
        self._counts = {}
        for number, apart, count in zip(self._numbers, self._apart, hits, strict=True):
            same = (count == count.min()) & (trace == trace[count.argmin()])
            if suffices(apart & (count >= LEAST_SHARE * size), number) or (
                number == 0 and are_whole_pixels(count, size.min(), same)
            ):
                _warn_of_fill(self._scene, number)
                return


def usable_numbers(stored: StoredNumbers) -> StoredNumbers:
    """The same without nodata that cannot occur, and without gains that are 0 or no numbers."""
    if stored.nodata is not None and not holds(stored.dtype, stored.nodata):
        warn_of_scene(
            f"nodata {stored.nodata:g} cannot occur among {stored.dtype} numbers and is left out"
        )
        stored = replace(stored, nodata=None)
    gains, offsets = stored.scales or (), stored.offsets or ()
    if not all(map(math.isfinite, (*gains, *offsets))) or 0 in gains:
        warn_of_scene("gains and offsets left out: found 0 or what is no number among them")
        stored = replace(stored, scales=None, offsets=None)
    return stored


def infinite_numbers(values: npt.NDArray[np.floating], nodata: float | None) -> int:
    """How many numbers are infinite and, other than a nodata of that name, not said to be no data.

    >>> infinite_numbers(np.array([np.inf, -np.inf, 1.0, np.nan]), nodata=-np.inf)
    1
    """
    infinite = np.isinf(values)
    if nodata is not None and np.isinf(nodata):
        infinite &= values != nodata
    return int(np.count_nonzero(infinite))


def warn_of_infinite(scene: Scene, count: int) -> None:
    """Say how many numbers of a scene are infinite, if any."""
    if count:
        with about_scene(scene.path):
            warn_of_scene(f"{count} numbers are infinite and count as no data")


def are_rounded(numbers: npt.NDArray[Any], nodata: float | None = None) -> bool:
    """True if whole numbers, as stored or in float32, are beyond the 24 bits that float32 keeps.

    >>> are_rounded(np.array([9, -(2**24) - 1])), are_rounded(np.array([9, -(2**31)]), -(2**31))
    (True, False)
    """
    beyond = (numbers >= 2**24) | (numbers <= -(2**24))
    return bool(beyond.any() and (beyond & (numbers != nodata)).any())


def warn_of_digits(scene: Scene, *, lost: bool) -> None:
    """Say that numbers of a scene lose digits, if they do."""
    if lost:
        with about_scene(scene.path):
            warn_of_scene(
                f"{scene.metadata.stored.dtype} numbers are computed in float32, which keeps 24 "
                "bits; larger ones lose their last digits"
            )
