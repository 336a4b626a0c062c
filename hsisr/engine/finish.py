"""From blended rows of tiles to stored numbers: add up, agree, mask, quantise, hand on."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hsisr.engine.block_buffer import BlockWriter
from hsisr.engine.buffers import page_tensor
from hsisr.engine.consistency import agree
from hsisr.engine.observed import Observed
from hsisr.engine.plan import Panel, Plan, Segment
from hsisr.errors import HsisrError
from hsisr.io.base import SceneWriter
from hsisr.resume.journal import Piece, Recording
from hsisr.resume.journal_file import Extent
from hsisr.scene.cube import all_valid
from hsisr.scene.metadata import SceneMetadata
from hsisr.scene.quantisation import StoredNumbers, quantise, storable_range
from hsisr.tiling.windows import Window


class PanelFinisher:
    """Rows of one panel: adds the tiles above, and finishes what no later tile adds to.

    Args:
        writer: Takes the finished blocks.
        plan: The work.
        panel: Columns.
        consistent: Make block means equal the observed pixels.
        masked: Hand the pixel mask to the writer.
        overflown: The error to raise where numbers of these bands are not finite.
    """

    def __init__(
        self,
        writer: SceneWriter,
        plan: Plan,
        panel: Panel,
        *,
        consistent: bool,
        masked: bool,
        overflown: Callable[[tuple[int, ...], Observed], HsisrError],
    ) -> None:
        self.moved = 0
        self._blocks = BlockWriter(writer, panel.start * plan.scale, panel.size * plan.scale)
        self._stored: StoredNumbers = writer.metadata.stored
        self._limits = storable_range(self._stored)
        self._plan, self._panel = plan, panel
        self._consistent, self._masked, self._overflown = consistent, masked, overflown
        self._waiting: dict[int, torch.Tensor] = {}
        self._open = False
        self._recording: Recording | None = None

    @contextmanager
    def strip(self, recording: Recording | None, after: int) -> Iterator[None]:
        """What is added inside becomes final before LR row `after`, is handed on, and is kept."""
        self._open, self._recording = True, recording
        moved = self.moved
        try:
            yield
            self._blocks.flush(after * self._plan.scale)
            if recording is not None:
                recording.commit(self.moved - moved)
        finally:
            self._open, self._recording = False, None
            if recording is not None:
                recording.discard()

    def replay(self, pieces: Iterable[Piece], after: int) -> None:
        """Hand on a strip that was finished before."""
        for piece in pieces:
            self._blocks.put(piece.numbers, band=piece.band, row=piece.row, mask=piece.mask)
        self._blocks.flush(after * self._plan.scale)

    def forget(self) -> None:
        """Drop what reaches below the last row of tiles."""
        self._waiting.clear()

    def add(
        self,
        bands: tuple[int, ...],
        values: torch.Tensor,
        rows: Segment,
        after: int,
        observed: Observed,
    ) -> None:
        """Take blended bands of a row of tiles.

        LR rows before `after` become final in a `strip`; elsewhere only what reaches below them
        is remembered.
        """
        done = (after - rows.start) * self._plan.scale
        for band, plane in zip(bands, values, strict=True):
            if (above := self._waiting.pop(band, None)) is not None:
                plane[: len(above)] += above
        if done < values.shape[1]:
            below = page_tensor(values[:, done:].shape).copy_(values[:, done:])
            self._waiting |= dict(zip(bands, below, strict=True))
        if self._open:
            final = Window(rows.start, self._panel.start, after - rows.start, self._panel.size)
            self._finish(bands, values[:, :done], final, observed)

    def _finish(
        self, bands: tuple[int, ...], values: torch.Tensor, lr: Window, observed: Observed
    ) -> None:
        inside = observed.cut(lr)
        own = slice(bands[0], bands[-1] + 1)
        seen = observed.values[own][:, *inside]
        valid = observed.valid[own][:, *inside]
        fine_valid = _repeated(valid, self._plan.scale)
        try:
            if self._consistent:
                values = self._agreed(bands, values, seen, valid)
            quantised = quantise(values.numpy(), fine_valid, self._stored)
        except FloatingPointError as error:
            raise self._overflown(bands, observed) from error
        self.moved += quantised.moved
        mask = np.asarray(fine_valid.any(axis=0)) if self._masked and bands[0] == 0 else None
        row = lr.row * self._plan.scale
        if self._recording is not None:
            self._recording.put(Piece(quantised.numbers, bands[0], row, mask))
        self._blocks.put(quantised.numbers, band=bands[0], row=row, mask=mask)

    def _agreed(
        self,
        bands: tuple[int, ...],
        values: torch.Tensor,
        seen: npt.NDArray[np.float32],
        valid: npt.NDArray[np.bool_],
    ) -> torch.Tensor:
        """Values whose block means are the observed pixels; stored integers where that is exact."""
        whole = self._stored.dtype.kind != "f"
        floors = self._plan.floors
        itemsize = self._stored.dtype.itemsize
        precision = torch.float64 if whole and itemsize > 2 else torch.float32
        agreed, held = agree(
            values.to(precision),
            torch.from_numpy(np.ascontiguousarray(seen)).to(precision),
            self._plan.scale,
            limits=self._limits,
            floors=None if floors is None else floors[bands[0] : bands[-1] + 1],
            whole=whole,
            dtype=_tensor_type(self._stored.dtype) if whole and itemsize <= 4 else None,
            valid=torch.from_numpy(np.ascontiguousarray(valid)),
        )
        self.moved += held
        return agreed


def strip_extent(
    plan: Plan, place: tuple[int, int], metadata: SceneMetadata, *, masked: bool
) -> Extent:
    """What the pieces of a strip fill that a `PanelFinisher` makes.

    Args:
        plan: The work.
        place: Number of the panel, number of the row of tiles.
        metadata: Of the output.
        masked: Strips have the pixel mask.
    """
    panel, number = place
    start = plan.rows[number].start
    return Extent(
        dtype=metadata.stored.dtype,
        bands=metadata.bands,
        row=start * plan.scale,
        rows=(plan.end_of(number) - start) * plan.scale,
        cols=plan.panels[panel].size * plan.scale,
        masked=masked,
    )


def _tensor_type(dtype: np.dtype[Any]) -> torch.dtype:
    """Torch's name for a data type of NumPy's."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def _repeated(valid: npt.NDArray[np.bool_], scale: int) -> npt.NDArray[np.bool_]:
    """A mask of LR pixels on the HR grid; a broadcast where all is valid."""
    bands, rows, cols = valid.shape
    if all_valid(valid):
        return np.broadcast_to(np.True_, (bands, rows * scale, cols * scale))
    return valid.repeat(scale, axis=1).repeat(scale, axis=2)
