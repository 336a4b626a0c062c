"""Scenes seen through another one: without its last rows, described otherwise, read row by row."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError
from hsisr.io.base import Scene
from hsisr.scene.metadata import SceneMetadata
from hsisr.tiling.windows import Window

_MOST_BLOCK_ROWS: Final = 512
"""Higher blocks (a file may be one single block) would take too much memory to be kept."""


class DelegatingScene(Scene):
    """Passes everything on to a scene but `read_stored`; closing this closes it."""

    def __init__(self, scene: Scene) -> None:
        """Look like `scene`."""
        self.path, self.format, self.metadata = scene.path, scene.format, scene.metadata
        self.block_rows = scene.block_rows
        self._scene = scene

    def read_mask(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """See `Scene.read_mask`."""
        return self._scene.read_mask(window)

    def nodata_of(self, band: int) -> float | None:
        """See `Scene.nodata_of`."""
        return self._scene.nodata_of(band)

    def close(self) -> None:
        """Close the scene behind it."""
        self._scene.close()


class DescribedScene(DelegatingScene):
    """A scene of which more, or something else, is known than its file says.

    The nodata of `metadata`, where it is another than the scene's, holds for every band.
    """

    def __init__(self, scene: Scene, metadata: SceneMetadata) -> None:
        """`metadata` is of the same size and data type as the scene's; closing closes `scene`."""
        super().__init__(scene)
        self._renamed = metadata.stored.nodata != scene.metadata.stored.nodata
        self.metadata = metadata

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        return self._scene.read_stored(window, bands)

    def nodata_of(self, band: int) -> float | None:
        """See `Scene.nodata_of`."""
        return self.metadata.stored.nodata if self._renamed else self._scene.nodata_of(band)


class CroppedScene(DelegatingScene):
    """The upper left part of a scene; its georeference stays as it is.

    Raises:
        InputDataError: The part is larger than the scene, or empty.
    """

    def __init__(self, scene: Scene, rows: int, cols: int) -> None:
        """Keep `rows` x `cols` pixels; closing this closes `scene`."""
        whole = scene.metadata
        if not (0 < rows <= whole.rows and 0 < cols <= whole.cols):
            raise InputDataError(
                f"{scene.path}: found {whole.rows} x {whole.cols} pixels, too few to keep "
                f"{rows} x {cols}"
            )
        super().__init__(scene)
        places = whole.geolocation and whole.geolocation.cropped(rows, cols)
        self.metadata = replace(whole, rows=rows, cols=cols, geolocation=places)

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        return self._scene.read_stored(window, bands)


def cropped_to_multiple(scene: Scene, scale: int) -> Scene:
    """The scene itself if its sides divide by `scale`, else the part whose sides do.

    Raises:
        InputDataError: A side is shorter than `scale`.
    """
    rows, cols = scene.metadata.rows, scene.metadata.cols
    if rows % scale == 0 and cols % scale == 0:
        return scene
    return CroppedScene(scene, rows - rows % scale, cols - cols % scale)


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
        look: Called with the numbers that were read anew, and the window that they fill.
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
            if self._look is not None:
                self._look(self._parts[-1], rows)
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
