"""Finished rows gathered into whole blocks of the output file, so that none is written twice."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.io.protocol import SceneWriter


class BlockWriter:
    """Passes rows of one panel on to a writer, block by block.

    Rows that already are whole blocks go straight through; others wait for the rows below them.
    """

    def __init__(self, writer: SceneWriter, col: int, cols: int) -> None:
        self._writer, self._col, self._cols = writer, col, cols
        self._first = 0
        self._waiting: npt.NDArray[Any] | None = None
        self._mask: npt.NDArray[np.bool_] | None = None

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
        block, end = self._writer.block_rows, self._writer.metadata.rows
        aligned = row % block == 0 and ((row + rows) % block == 0 or row + rows == end)
        if aligned and self._waiting is None:
            self._writer.write(numbers, row=row, col=self._col, band=band, mask=mask)
            return
        self._make_room(row + rows, numbers.dtype)
        if self._waiting is None:
            return
        own = slice(row - self._first, row - self._first + rows)
        self._waiting[band : band + bands, own] = numbers
        if mask is not None and self._mask is not None:
            self._mask[own] = mask

    def flush(self, done: int) -> None:
        """Write the whole blocks above HR row `done`; every band has its rows up to there."""
        block, end = self._writer.block_rows, self._writer.metadata.rows
        upto = done if done == end else done // block * block
        ready = upto - self._first
        if self._waiting is None or self._mask is None:
            self._first = upto
            return
        if ready > 0:
            numbers, mask = self._waiting[:, :ready].copy(), self._mask[:ready].copy()
            self._writer.write(numbers, row=self._first, col=self._col, band=0, mask=mask)
            left = done - upto
            self._waiting[:, :left] = self._waiting[:, ready : ready + left].copy()
            self._mask[:left] = self._mask[ready : ready + left].copy()
            self._first = upto

    def _make_room(self, until: int, dtype: np.dtype[Any]) -> None:
        """A buffer that reaches HR row `until`."""
        rows = until - self._first
        if self._waiting is not None and self._waiting.shape[1] >= rows:
            return
        bands = self._writer.metadata.bands
        grown = np.empty((bands, rows, self._cols), dtype)
        mask = np.ones((rows, self._cols), np.bool_)
        if self._waiting is not None and self._mask is not None:
            grown[:, : self._waiting.shape[1]] = self._waiting
            mask[: len(self._mask)] = self._mask
        self._waiting, self._mask = grown, mask
