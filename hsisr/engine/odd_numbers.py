"""Infinite numbers and spikes of a scene of floats, found while its rows are read."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import about_scene, warn_of_scene
from hsisr.io.base import Scene
from hsisr.tiling.windows import Window

_SPIKE: Final = 1e6
"""A number so many times the typical one is a spike."""
_SAMPLE: Final = 1000


class OddNumbers:
    """What of the numbers that were read cannot be right.

    Args:
        scene: Of which they are.
        bands: 0-based bands that are read, in order.
        reach: LR pixels around a pixel that its number has an influence on.
    """

    def __init__(self, scene: Scene, bands: Sequence[int], reach: int) -> None:
        self._scene, self._bands, self._reach = scene, bands, reach
        self._infinite = 0
        self._spikes: list[str] = []

    def look(self, numbers: npt.NDArray[Any], window: Window, cols: range) -> None:
        """Look at rows that are read for the first time.

        Args:
            numbers: As stored, shape (bands, rows, cols).
            window: Where they lie in the scene.
            cols: Columns to look at; others are looked at with another panel.
        """
        if numbers.dtype.kind != "f":
            return
        first, end = max(cols.start, window.col), min(cols.stop, window.col_end)
        for plane, band in zip(
            numbers[:, :, first - window.col : end - window.col], self._bands, strict=True
        ):
            told = np.isfinite(plane)
            nodata = self._scene.nodata_of(band)
            if nodata is not None:
                told &= plane != plane.dtype.type(nodata)
            if not told.all():
                infinite = np.isinf(plane)
                if nodata is not None and np.isinf(nodata):
                    infinite &= plane != nodata
                self._infinite += int(np.count_nonzero(infinite))
            size = np.where(told, np.abs(plane), 0)
            typical = np.median(size.ravel()[:: max(1, size.size // _SAMPLE)]) if size.size else 0
            if typical > 0 and (peak := size.max()) > _SPIKE * typical:
                row, col = np.unravel_index(size.argmax(), size.shape)
                self._spikes.append(
                    f"band {band + 1} holds {peak:g} in row {window.row + row + 1}, column "
                    f"{first + col + 1}, where numbers like {typical:.3g} are usual; it stays data "
                    f"and reaches {self._reach} pixels around it"
                )

    def warn(self) -> None:
        """Say what was found.

        Warns:
            HsisrWarning: Infinite numbers, which count as no data; a spike, which is data.
        """
        with about_scene(self._scene.path):
            if self._infinite:
                warn_of_scene(f"{self._infinite} numbers are infinite and count as no data")
            if self._spikes:
                more = f" (and {len(self._spikes) - 1} more)" if len(self._spikes) > 1 else ""
                warn_of_scene(f"{self._spikes[0]}{more}; --nodata NUMBER leaves it out")
