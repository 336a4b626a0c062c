"""Finished rows gathered into whole blocks of the output file, so that none is written twice."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.engine.buffers import page_buffer
from hsisr.io.base import SceneWriter

_LEAST_ROWS = 64
"""Lower blocks are written several at once."""


@dataclass(frozen=True, slots=True)
class _Gathering:
    """Rows of whole blocks, of all bands, that fill up."""

    row: int
    numbers: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_]

    @property
    def end(self) -> int:
        """One past its last HR row."""
        return self.row + len(self.mask)


class BlockWriter:
    """Passes rows of one panel on to a writer, block by block.

    Rows that already are whole blocks go straight through; others wait for the rows below them.
    Every band has its rows of a strip before the next strip begins.
    """

    def __init__(self, writer: SceneWriter, col: int, cols: int) -> None:
        self._writer, self._col, self._cols = writer, col, cols
        self._step = -(-_LEAST_ROWS // writer.block_rows) * writer.block_rows
        self._first = 0
        self._waiting: list[_Gathering] = []

    def put(
        self,
        numbers: npt.NDArray[Any],
        *,
        band: int,
        row: int,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Take finished numbers, shape (bands, rows, cols of the panel), at HR row `row`."""
        bands, rows, _ = numbers.shape
        block, last = self._writer.block_rows, self._writer.metadata.rows
        aligned = row % block == 0 and ((row + rows) % block == 0 or row + rows == last)
        if aligned and not self._waiting:
            self._writer.write(numbers, row=row, col=self._col, band=band, mask=mask)
            return
        self._make_room(row + rows, numbers.dtype)
        for gathering in self._waiting:
            start, end = max(row, gathering.row), min(row + rows, gathering.end)
            if start < end:
                there = slice(start - gathering.row, end - gathering.row)
                here = slice(start - row, end - row)
                gathering.numbers[band : band + bands, there] = numbers[:, here]
                if mask is not None:
                    gathering.mask[there] = mask[here]

    def flush(self, done: int) -> None:
        """Write the rows of blocks that are full; every band has its rows above HR row `done`."""
        block, last = self._writer.block_rows, self._writer.metadata.rows
        if not self._waiting:
            self._first = done if done == last else done // block * block
        while self._waiting and self._waiting[0].end <= done:
            full = self._waiting.pop(0)
            self._first = full.end
            self._writer.write(full.numbers, row=full.row, col=self._col, band=0, mask=full.mask)

    def _make_room(self, until: int, dtype: np.dtype[Any]) -> None:
        """Rows of blocks down to HR row `until`."""
        metadata = self._writer.metadata
        row = self._waiting[-1].end if self._waiting else self._first
        while row < until:
            rows = min(self._step, metadata.rows - row)
            numbers = page_buffer((metadata.bands, rows, self._cols), dtype)
            self._waiting.append(_Gathering(row, numbers, np.ones((rows, self._cols), np.bool_)))
            row += rows
