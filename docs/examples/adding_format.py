"""A format: how a scene of it is read, and its row of the table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import hsisr
from hsisr.io import formats
from hsisr.io.base import Scene
from hsisr.scene.metadata import SceneMetadata, SpectralAxis, StoredNumbers
from hsisr.tiling import Window


class TextScene(Scene):
    """Numbers in text, one band a line, of a square scene."""

    format = "Text"

    def __init__(self, path: Path) -> None:
        lines = np.loadtxt(path, ndmin=2)
        side = int(lines.shape[1] ** 0.5)
        self.path, self.cube = path, lines.reshape(-1, side, side)
        self.metadata = SceneMetadata(
            rows=side,
            cols=side,
            stored=StoredNumbers(dtype=lines.dtype),
            spectral_axis=SpectralAxis(count=len(lines)),
        )

    def read_stored(self, window: Window, bands: Sequence[int]) -> Any:
        rows, cols = slice(window.row, window.row_end), slice(window.col, window.col_end)
        return self.cube[list(bands), rows, cols]

    def close(self) -> None:
        """Nothing stays open."""


ROW = formats.Format(
    name="Text",
    suffixes=(".cube",),
    recognise=lambda path, _start: path.suffix == ".cube",
    read=f"{__name__}:TextScene",
    searched=(".cube",),
)
# a row of hsisr itself is written into the table
formats.ROWS = (ROW, *formats.ROWS)  # type: ignore[misc]

np.savetxt("a.cube", np.arange(2 * 9).reshape(2, 9))
hsisr.upscale("a.cube", "a_x2.tif", scale=2, model="bicubic")
print(hsisr.info("a.cube"), hsisr.info("a_x2.tif"))
