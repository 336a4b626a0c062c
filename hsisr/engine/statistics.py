"""Mean, variance and range of every band of a scene, in one pass over its windows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from hsisr.io.base import Scene
from hsisr.scene.metadata import Cube
from hsisr.tiling import Window

_ROWS_BYTES = 64 * 2**20


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
        n = np.count_nonzero(cube.valid, axis=(1, 2))
        values = np.where(cube.valid, cube.values, 0).astype(np.float64)
        here = values.sum(axis=(1, 2)) / np.maximum(n, 1)
        spread = np.where(cube.valid, values - here[:, None, None], 0)
        delta = here - self._mean
        both = np.maximum(self._count + n, 1)
        self._squares += (spread**2).sum(axis=(1, 2)) + delta**2 * self._count * n / both
        self._mean += delta * n / both
        self._count += n
        low = np.where(cube.valid, cube.values, np.inf).min(axis=(1, 2))
        high = np.where(cube.valid, cube.values, -np.inf).max(axis=(1, 2))
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
