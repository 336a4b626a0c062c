"""A scene read from top to bottom: rows that two windows share are read once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.io.base import Scene
from hsisr.io.delegating import DelegatingScene
from hsisr.tiling.windows import Window

_MOST_BLOCK_ROWS = 512
"""Higher blocks (a file may be one single block) would take too much memory to be kept."""


def rows_at_once(scene: Scene) -> int:
    """Rows that are read at once: those of a block of the file."""
    rows = scene.block_rows
    return min(rows, scene.metadata.rows) if rows <= _MOST_BLOCK_ROWS else 1


class RowCache(DelegatingScene):
    """Remembers the last rows read, and reads whole rows of the file's blocks.

    Made for windows of the same columns and bands that go down the scene. Any other window is read
    as well; it only costs more.

    Args:
        scene: What to read; closing this closes it.
        above: Rows above a window that the next ones may still ask for.
    """

    def __init__(self, scene: Scene, above: int) -> None:
        super().__init__(scene)
        self._above, self._step = above, rows_at_once(scene)
        self._row = 0
        self._cols: tuple[int, int, tuple[int, ...]] | None = None
        self._parts: list[npt.NDArray[Any]] = []

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        cols = window.col, window.cols, tuple(bands)
        if cols != self._cols or not self._row <= window.row <= self._end:
            self._cols, self._row, self._parts = cols, window.row, []
        self._forget(window.row - self._above)
        if self._end < window.row_end:
            until = min(-(-window.row_end // self._step) * self._step, self.metadata.rows)
            rows = Window(self._end, window.col, until - self._end, window.cols)
            self._parts.append(self._scene.read_stored(rows, bands))
        return self._cut(window.row, window.row_end)

    @property
    def _end(self) -> int:
        """One past the last row that is remembered."""
        return self._row + sum(int(part.shape[1]) for part in self._parts)

    def _forget(self, row: int) -> None:
        """Let go of the rows above `row`."""
        if row <= self._row or not self._parts:
            return
        left = self._cut(row, self._end)
        self._row, self._parts = row, [left]

    def _cut(self, row: int, end: int) -> npt.NDArray[Any]:
        """A copy of some rows."""
        pieces, first = [], self._row
        for part in self._parts:
            pieces.append(part[:, max(0, row - first) : max(0, end - first)])
            first += part.shape[1]
        return np.concatenate(pieces, axis=1)
