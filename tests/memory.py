"""A scene and a writer that live in memory, and what lies between them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.engine.plan import Layout, Plan
from hsisr.engine.stitch import stitch
from hsisr.io.base import Scene, SceneWriter
from hsisr.scene.metadata import SceneMetadata
from hsisr.tiling import Window
from tests.io.written import metadata_of


class MemoryScene(Scene):
    """An array (bands, rows, cols) that reads like a file; counts what was read."""

    def __init__(self, cube: npt.NDArray[Any], nodata: float | None = None) -> None:
        self.path = Path("memory.tif")
        self.format = "memory"
        bands, rows, cols = cube.shape
        self.metadata = metadata_of((bands, rows, cols), cube.dtype.name, nodata=nodata)
        self.cube = cube

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        return self.cube[
            list(bands), window.row : window.row_end, window.col : window.col_end
        ].copy()

    def close(self) -> None:
        pass


class MemoryWriter(SceneWriter):
    """Gathers what is written; refuses to write a number twice or across blocks."""

    def __init__(self, metadata: SceneMetadata, block: tuple[int, int] = (1, 1)) -> None:
        self.path = Path("memory-out.tif")
        self.metadata = metadata
        self.block_rows, self.block_cols = block
        self.cube = np.zeros(metadata.shape, metadata.stored.dtype)
        self.times = np.zeros(metadata.shape, np.uint8)
        self.moved = 0

    def write(
        self,
        numbers: npt.NDArray[Any],
        *,
        row: int,
        col: int,
        band: int,
        mask: npt.NDArray[np.bool_] | None = None,  # noqa: ARG002
    ) -> None:
        assert numbers.dtype == self.metadata.stored.dtype
        bands, rows, cols = numbers.shape
        for first, size, block, end in (
            (row, rows, self.block_rows, self.metadata.rows),
            (col, cols, self.block_cols, self.metadata.cols),
        ):
            assert first % block == 0
            assert (first + size) % block == 0 or first + size == end
        place = slice(band, band + bands), slice(row, row + rows), slice(col, col + cols)
        self.cube[place] = numbers
        self.times[place] += 1

    def commit(self) -> Path:
        return self.path

    def discard(self) -> None:
        pass


def layout_of(scene: Scene, block: tuple[int, int] = (1, 1), working_bytes: int = 10**9) -> Layout:
    bands, rows, cols = scene.metadata.shape
    return Layout(
        bands=bands,
        rows=rows,
        cols=cols,
        itemsize=scene.metadata.stored.dtype.itemsize,
        block_rows=block[0],
        block_cols=block[1],
        working_bytes=working_bytes,
    )


def stitched(
    scene: Scene, plan: Plan, writer: MemoryWriter | None = None, **how: Any
) -> MemoryWriter:
    """The whole scene, upscaled as planned; every number is written once, every tile counted."""
    writer = writer or MemoryWriter(scene.metadata.finer(plan.scale))
    ticks: list[int] = []
    how = {"consistent": True, "masked": False, "advance": ticks.append, **how}
    done = stitch(scene, tuple(range(scene.metadata.bands)), writer, plan, **how)
    writer.moved = done.moved
    if how.get("only") is None:
        assert (writer.times == 1).all()
        assert sum(ticks) == plan.tiles or how.get("journal")
    return writer
