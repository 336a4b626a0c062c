"""What is read of a scene: all of it once, for statistics of its bands, then what tiles need.

The pixels of a row of tiles are filled where they are no data, and looked at for odd numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import about_scene, warn_of_scene
from hsisr.io.base import Scene
from hsisr.io.views import are_rounded, infinite_numbers, warn_of_digits, warn_of_infinite
from hsisr.models.interpolation import Trim
from hsisr.scene.metadata import Cube, all_valid
from hsisr.tiling import Window

_ROWS_BYTES = 64 * 2**20
_FILL_ROUNDS = 8
"""Rings to fill around valid pixels where the model's margin asks for fewer."""


@dataclass(frozen=True, slots=True, eq=False)
class BandStatistics:
    """Statistics over the valid samples, one number per band; NaN where a band has none."""

    count: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    minimum: npt.NDArray[np.float64]
    maximum: npt.NDArray[np.float64]

    def subset(self, bands: Sequence[int]) -> "BandStatistics":
        """Statistics of the bands named by their 0-based indices, in that order."""
        chosen = list(bands)
        return BandStatistics(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def constant(self) -> npt.NDArray[np.bool_]:
        """True for bands that hold nothing to sharpen: no valid sample, or one value only."""
        return np.asarray((self.count == 0) | (self.minimum == self.maximum), np.bool_)

    @property
    def floors(self) -> tuple[float, ...]:
        """The least number that detail may reach in each band: light is not negative.

        0 where no valid sample is negative; where one is, numbers mean something else: no floor.
        """
        return tuple(float(low) for low in np.where(self.minimum >= 0, 0.0, -np.inf))

    @property
    def deviation(self) -> npt.NDArray[np.float64]:
        """sqrt(variance + (0.01 mean)^2), never 0: water bands stay quiet, dead ones finite."""
        deviation = np.sqrt(self.variance + (0.01 * self.mean) ** 2)
        return np.where(np.isfinite(deviation) & (deviation > 0), deviation, 1.0)


class BandMoments:
    """Mean, variance and range of bands, strip by strip.

    Sums are kept relative to each band's first strip mean (Chan et al., "Algorithms for computing
    the sample variance", 1983), in float64.
    """

    def __init__(self, bands: int) -> None:
        self._count = np.zeros(bands, np.int64)
        self._mean, self._squares = np.zeros(bands), np.zeros(bands)
        self._low, self._high = np.full(bands, np.inf), np.full(bands, -np.inf)

    def add(self, cube: Cube) -> None:
        """Take a part of the scene."""
        whole = all_valid(cube.valid)  # then nothing is masked, nor copied for that
        n = np.count_nonzero(cube.valid, axis=(1, 2))
        values = (cube.values if whole else np.where(cube.valid, cube.values, 0)).astype(np.float64)
        here = values.sum(axis=(1, 2)) / np.maximum(n, 1)
        values -= here[:, None, None]
        spread = values if whole else np.where(cube.valid, values, 0)
        delta = here - self._mean
        both = np.maximum(self._count + n, 1)
        squares = np.square(spread, out=spread).sum(axis=(1, 2))
        self._squares += squares + delta**2 * self._count * n / both
        self._mean += delta * n / both
        self._count += n
        low, high = (
            fold(cube.values if whole else np.where(cube.valid, cube.values, end), axis=(1, 2))
            for fold, end in ((np.min, np.inf), (np.max, -np.inf))
        )
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)

    def statistics(self) -> BandStatistics:
        """Of all that was taken."""
        empty = self._count == 0
        return BandStatistics(
            count=self._count,
            mean=np.where(empty, np.nan, self._mean),
            variance=np.where(empty, np.nan, self._squares / np.maximum(self._count, 1)),
            minimum=np.where(empty, np.nan, self._low),
            maximum=np.where(empty, np.nan, self._high),
        )


Reading = Callable[[int, int], None]
"""Called with the rows read and the rows in all."""


def row_strips(scene: Scene, reading: Reading | None = None) -> Iterator[tuple[int, Cube]]:
    """A scene by whole rows, a few tens of megabytes at a time: first row, and the rows."""
    bands, rows, cols = scene.metadata.shape
    step = max(1, _ROWS_BYTES // (bands * cols * 8))
    for row in range(0, rows, step):
        yield row, scene.read(Window(row, 0, min(step, rows - row), cols))
        if reading is not None:
            reading(min(row + step, rows), rows)


def scene_statistics(scene: Scene) -> BandStatistics:
    """Read a scene once and describe its bands."""
    moments = BandMoments(scene.metadata.bands)
    for _, cube in row_strips(scene):
        moments.add(cube)
    return moments.statistics()


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """The LR pixels around a row of tiles, filled, and which of them are data."""

    window: Window
    values: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]

    def cut(self, window: Window) -> tuple[slice, slice]:
        """Where a window of the scene lies in these arrays."""
        row, col = window.row - self.window.row, window.col - self.window.col
        return slice(row, row + window.rows), slice(col, col + window.cols)

    def around(self, window: Window, margin: int) -> tuple[Window, Trim]:
        """A window with up to `margin` pixels around it, as far as there are any, and these."""
        own = self.window
        top, left = min(margin, window.row - own.row), min(margin, window.col - own.col)
        bottom = min(margin, own.row_end - window.row_end)
        right = min(margin, own.col_end - window.col_end)
        rows, cols = top + window.rows + bottom, left + window.cols + right
        near = Window(window.row - top, window.col - left, rows, cols)
        return near, Trim(top, bottom, left, right)


def fill_rounds(halo: int) -> int:
    """Pixels around a tile's context of `halo` that invalid ones in it may be filled from."""
    return max(halo, _FILL_ROUNDS)


def observe(scene: Scene, bands: tuple[int, ...], tiles: Window, halo: int) -> Observed:
    """Read a row of tiles and `halo` around it; with invalid pixels what fills them, too."""
    near = scene.grown(tiles, halo)
    cube = scene.read(near, bands)
    if all_valid(cube.valid):
        return Observed(near, cube.values, cube.valid)
    rounds = fill_rounds(halo)
    far = scene.grown(near, rounds)
    cube = scene.read(far, bands)
    filled = fill_invalid(cube.values, cube.valid, rounds)
    inside = Observed(far, filled, cube.valid).cut(near)
    return Observed(near, filled[:, *inside], cube.valid[:, *inside])


_NEIGHBOURS = tuple((r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0))


def fill_invalid(
    values: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], rounds: int
) -> npt.NDArray[np.float32]:
    """Values (bands, rows, cols) with every invalid sample replaced, band by band, in a copy.

    Invalid pixels beside valid ones take the mean of those neighbours; then the ring around them,
    `rounds` times. What is farther away takes the band's mean over the window; a band without any
    valid sample becomes 0.

    >>> v = np.array([[[4.0, 0.0, 9.0, 0.0]]], dtype="float32")
    >>> fill_invalid(v, np.array([[[True, True, False, False]]]), rounds=1)
    array([[[4., 0., 0., 2.]]], dtype=float32)
    """
    if all_valid(valid):
        return values
    filled = np.where(valid, values, np.float32(0))
    flat = np.packbits(valid.reshape(len(valid), -1), axis=1)
    patterns, members = np.unique(flat, axis=0, return_inverse=True)
    for number in range(len(patterns)):
        bands = np.flatnonzero(members.ravel() == number)
        mask = valid[bands[0]]
        if mask.all() or not mask.any():
            continue
        filled[bands] = _fill_alike(filled[bands], mask, rounds)
    return filled


def _fill_alike(
    values: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], rounds: int
) -> npt.NDArray[np.float32]:
    """Fill bands that share one mask of shape (rows, cols); invalid samples come in as 0."""
    from scipy import ndimage  # takes as long to load as numpy, and most scenes have no holes

    means = values.sum(axis=(1, 2), dtype=np.float64) / np.count_nonzero(mask)
    wide = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    known = np.pad(mask, 1)
    inside = np.pad(np.ones_like(mask), 1)
    for _ in range(rounds):
        ring = ndimage.binary_dilation(known, np.ones((3, 3))) & ~known & inside
        rows, cols = np.nonzero(ring)
        if rows.size == 0:
            break
        total = np.zeros((len(values), rows.size))
        count = np.zeros(rows.size)
        for down, right in _NEIGHBOURS:
            there = known[rows + down, cols + right]
            total += wide[:, rows + down, cols + right] * there
            count += there
        wide[:, rows, cols] = total / count
        known |= ring
    filled = wide[:, 1:-1, 1:-1]
    far = ~known[1:-1, 1:-1]
    filled[:, far] = means[:, None]
    return filled


_SPIKE: Final = 1e6
"""A number so many times the typical one is a spike."""
_SAMPLE: Final = 1000


class OddNumbers:
    """What of the numbers that were read cannot be right, and `reach` LR pixels around it."""

    def __init__(self, scene: Scene, bands: Sequence[int], reach: int) -> None:
        self._scene, self._bands, self._reach = scene, bands, reach
        self._infinite = 0
        self._rounded = False
        self._spikes: list[str] = []

    def look(self, numbers: npt.NDArray[Any], window: Window, cols: range) -> None:
        """Look at numbers as stored that are read for the first time, in columns of this panel."""
        if numbers.dtype.kind != "f":
            pairs = zip(numbers, self._bands, strict=True) if self._may_be_rounded else ()
            self._rounded |= any(are_rounded(n, self._scene.nodata_of(band)) for n, band in pairs)
            return
        first, end = max(cols.start, window.col), min(cols.stop, window.col_end)
        for plane, band in zip(
            numbers[:, :, first - window.col : end - window.col], self._bands, strict=True
        ):
            told = np.isfinite(plane)
            nodata, limits = self._scene.nodata_of(band), self._scene.metadata.stored.limits
            if limits is not None:
                told &= (plane >= limits[0]) & (plane <= limits[1])
            if nodata is not None:
                told &= plane != plane.dtype.type(nodata)
            if not told.all():
                self._infinite += infinite_numbers(plane, nodata)
            size = np.where(told, np.abs(plane), 0)
            typical = np.median(size.ravel()[:: max(1, size.size // _SAMPLE)]) if size.size else 0
            if typical > 0 and float(size.max()) > _SPIKE * float(typical):  # beyond float16
                row, col = np.unravel_index(size.argmax(), size.shape)
                self._spikes.append(
                    f"band {band + 1} holds {plane[row, col]:g} in row {window.row + row}, column "
                    f"{first + col}, where numbers like {typical:.3g} are usual; it stays data "
                    f"and reaches {self._reach} pixels around it"
                )

    @property
    def _may_be_rounded(self) -> bool:
        stored = self._scene.metadata.stored
        return stored.dtype.kind != "f" and not stored.exact_in_float32

    def skip(self) -> None:
        """Numbers are not looked at, since what is made of them is there already."""
        self._rounded |= self._may_be_rounded

    def warn(self) -> None:
        """Say what was found.

        Warns:
            HsisrWarning: Infinite numbers, which count as no data; a spike, which is data; whole
                numbers that float32 does not hold, or that may be among those not looked at.
        """
        warn_of_digits(self._scene, lost=self._rounded)
        warn_of_infinite(self._scene, self._infinite)
        if self._spikes:
            more = f" (and {len(self._spikes) - 1} more)" if len(self._spikes) > 1 else ""
            with about_scene(self._scene.path):
                warn_of_scene(f"{self._spikes[0]}{more}; --nodata NUMBER leaves it out")
