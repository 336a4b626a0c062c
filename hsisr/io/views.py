"""Scenes seen through another one: described otherwise, read row by row, watched for fill.

What means no data is what the file or the user names; usual fill values that lie apart from all
other numbers look like it, though nobody names them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import about_scene, warn_of_scene
from hsisr.io.base import Scene
from hsisr.io.paths import RemotePath
from hsisr.scene.metadata import SceneMetadata, StoredNumbers, holds
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
        told, said = metadata.stored.nodata, scene.metadata.stored.nodata
        if nodata is None and str(told) != str(said):  # as texts, since NaN is not NaN
            nodata = [told] * metadata.bands
        self.metadata, self._nodata = metadata, nodata

    def nodata_of(self, band: int) -> float | None:
        """See `Scene.nodata_of`."""
        return self._scene.nodata_of(band) if self._nodata is None else self._nodata[band]


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


_USUAL: Final = (
    *(0.0, -1.0, -99.0, -999.0, -9999.0, -99999.0, 9999.0, -32768.0, -32767.0, 32767.0, 255.0),
    *(65535.0, 1e20, float(np.float32(9.969209968386869e36)), float(np.finfo(np.float32).min)),
)
"""Fill values of sensors, of ENVI, netCDF and GIS software."""
LEAST_SHARE: Final = 0.01
"""Of the samples of a band that fill takes; less is not noticed."""
_RANGES: Final = 10
_NEVER_MEASURED: Final = -99.0
"""Usual fill numbers from here down are no data where nothing else is below zero."""


def fill_among(found: npt.NDArray[Any]) -> float | None:
    """A usual fill value that looks like no data; None: there is none.

    It takes `LEAST_SHARE` of every band or a whole border, and in each band it lies more than ten
    interquartile ranges from the other numbers, or farther from them than they from each other,
    or is the only one below zero; numbers that are hardly ever measured (-9999) may do so in some
    bands alone. Zeros also count where most bands have them in the same pixels, which have none in
    any other band either.

    Args:
        found: Some rows of some bands, shape (bands, rows, cols).

    >>> fill_among(np.array([[[-9999, 5, 6, 7]]], "int16"))
    -9999.0
    """
    found = found[varied_bands(found)]
    for number in usual_of(found):
        hits = found == number
        wide = np.array(list(map(_is_wide, hits)), bool)
        if suffices(wide, number) and suffices(wide & bands_apart(found, number, wide), number):
            return number
        if number == 0:
            same = (hits == hits.all(axis=0)).all(axis=(1, 2))
            if are_whole_pixels(hits.sum(axis=(1, 2)), hits[:1].size, same):
                return number
    return None


def varied_bands(found: npt.NDArray[Any]) -> list[int]:
    """Bands that hold more than one number: those with one only tell nothing."""
    bands = (band[np.isfinite(band)] for band in found)
    return [n for n, band in enumerate(bands) if (band != band[:1]).any()]


def usual_of(found: npt.NDArray[Any]) -> list[float]:
    """Usual fill values that numbers of this type can be, the ends of the type among them."""
    limits = np.finfo(found.dtype) if found.dtype.kind == "f" else np.iinfo(found.dtype)
    numbers = (*_USUAL, float(limits.min), float(limits.max))
    return [number for number in dict.fromkeys(numbers) if holds(found.dtype, number)]


def bands_apart(
    found: npt.NDArray[Any], number: float, chosen: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """In which bands, of those chosen, a number is apart from the others; see `fill_among`."""
    of_bands = np.ones(len(found), bool) if chosen is None else chosen
    bands = zip(found, of_bands, strict=True)
    return np.array([bool(one) and _is_apart(band, number) for band, one in bands], bool)


def suffices(bands: npt.NDArray[np.bool_], number: float) -> bool:
    """True if the bands in which a number looks like fill are enough: all, or some of `-9999`."""
    return bool(len(bands) and (bands.all() or (number <= _NEVER_MEASURED and bands.any())))


def are_whole_pixels(counts: npt.NDArray[Any], size: float, same: npt.NDArray[np.bool_]) -> bool:
    """True if most bands have zeros in the same pixels only, in which all bands have them.

    Of zeros there are `counts` in each band of `size` samples; `same` are the bands whose zeros are
    those that all have.
    """
    return len(same) > 1 and counts.min() >= LEAST_SHARE * size and bool(same.mean() > 0.5)


def number_text(number: float, dtype: np.dtype[Any]) -> str:
    """A text that gives this very number back in that type.

    >>> number_text(float(np.finfo("f4").min), np.dtype("f4")), number_text(2.0**63, np.dtype("i8"))
    ('-3.4028235e+38', '9223372036854775807')
    """
    if dtype.kind != "f":
        return str(min(int(number), np.iinfo(dtype).max))
    return str(dtype.type(number)).removesuffix(".0")


def _is_wide(hits: npt.NDArray[np.bool_]) -> bool:
    border = any(edge.all() for edge in (hits[0], hits[-1], hits[:, 0], hits[:, -1]))
    return border or bool(hits.mean() >= LEAST_SHARE)


def _is_apart(band: npt.NDArray[Any], number: float) -> bool:
    rest = band[(band != number) & np.isfinite(band)].astype(np.float64)
    if not rest.size:
        return False
    least, low, high, most = np.percentile(rest, (0, 25, 75, 100))
    if number <= _NEVER_MEASURED and least >= 0:
        return True
    reach = _RANGES * (high - low)
    apart = max(least - number, number - most)
    return bool(number < low - reach or number > high + reach or apart > most - least)


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
    known = np.array([n for n in said if n is not None and holds(dtype, n)], np.float64)
    return known if dtype.kind in "iu" else known.astype(dtype)


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
        named, as_named = _named(scene), few.dtype.type if few.dtype.kind == "f" else float
        self._numbers = [number for number in usual_of(few) if as_named(number) not in named]
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


class DigitsWatch(DelegatingScene):
    """Warns once data are read that lose digits in float32."""

    _warned = False

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        numbers = self._scene.read_stored(window, bands)
        if not self._warned and are_rounded(numbers):
            self._warned = are_rounded(numbers[self._valid(numbers, window, bands)])
            warn_of_digits(self, lost=self._warned)
        return numbers


def watched_for_digits(scene: Scene) -> Scene:
    """The scene to read on with, which warns where whole numbers in it lose digits."""
    stored = scene.metadata.stored
    return scene if stored.dtype.kind == "f" or stored.exact_in_float32 else DigitsWatch(scene)
