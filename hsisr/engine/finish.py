"""From blended rows of tiles to stored numbers: add up, agree, mask, quantise, hand on."""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import torch

from hsisr.engine.consistency import agree
from hsisr.engine.machine import page_buffer, page_tensor
from hsisr.engine.mixing import Mixing
from hsisr.engine.plan import BANDS_FINISHED_AT_ONCE, Panel, Plan, Segment, base_of
from hsisr.engine.reading import Observed
from hsisr.engine.upscaler import NetworkUpscaler
from hsisr.errors import HsisrError, InputDataError, WeightsError
from hsisr.io.base import Scene, SceneWriter
from hsisr.io.write import quantise, storable_range
from hsisr.resume.run import Extent, Piece, Recording
from hsisr.scene.metadata import SceneMetadata, StoredNumbers, all_valid
from hsisr.tiling import Window

if TYPE_CHECKING:
    from hsisr.engine.uncertainty import StandardErrors

BANDS_EXPANDED_AT_ONCE: Final = 16
"""Bands made of detail together: so many that reading the detail anew for each batch costs little,
so few that memory stays small."""
MOST_FINISHING: Final = 4
"""Times so many bands are finished side by side, or wait to be handed on."""


@dataclass(frozen=True, slots=True)
class _Finished:
    """Numbers as they are stored, and their standard errors if these are wanted."""

    piece: Piece
    moved: int
    seen: bool
    """Any of them is data."""
    errors: npt.NDArray[np.float32] | None


class PanelFinisher:
    """Rows of one panel: adds the tiles above, and finishes what no later tile adds to.

    The writer takes the finished blocks, `errors` their standard errors where these are wanted.
    `consistent` makes block means equal the observed pixels, `masked` hands the pixel mask to the
    writer; bands are finished in `threads`, if there are any; `overflown` gives the error to raise
    where numbers of these bands are not finite.
    """

    def __init__(
        self,
        writer: SceneWriter,
        plan: Plan,
        panel: Panel,
        threads: ThreadPoolExecutor | None,
        *,
        consistent: bool,
        masked: bool,
        overflown: Callable[[tuple[int, ...], Observed], HsisrError],
        errors: "StandardErrors | None" = None,
    ) -> None:
        self.moved = 0
        self.seen = False
        place = panel.start * plan.scale, panel.size * plan.scale
        self._blocks = BlockWriter(writer, *place)
        self._errors = errors
        self._error_blocks = None if errors is None else BlockWriter(errors.writer, *place)
        self._stored: StoredNumbers = writer.metadata.stored
        self._limits = low, high = storable_range(self._stored)
        nodata = self._stored.nodata
        inside = self._stored.dtype.kind != "f" and nodata is not None and low < nodata < high
        self._avoid = nodata if inside else None
        self._plan, self._panel = plan, panel
        self._consistent, self._masked, self._overflown = consistent, masked, overflown
        self._waiting: dict[int, torch.Tensor] = {}
        self._threads = threads
        self._coming: deque[Future[list[_Finished]]] = deque()
        self._detail: torch.Tensor | None = None
        self._base = base_of(plan.scale)
        self._kept = range(writer.metadata.bands) if plan.kept is None else plan.kept
        self._open = False
        self._recording: Recording | None = None

    @contextmanager
    def strip(self, recording: Recording | None, after: int) -> Iterator[None]:
        """What is added inside becomes final before LR row `after`, is handed on, and is kept."""
        self._open, self._recording = True, recording
        moved = self.moved
        try:
            yield
            while self._coming:
                self._take(self._coming.popleft().result())
            self._flush(after)
            if recording is not None:
                recording.commit(self.moved - moved)
        finally:
            self._open, self._recording = False, None
            self._coming.clear()
            if recording is not None:
                recording.discard()

    def replay(self, pieces: Iterable[Piece], after: int, observed: Observed | None) -> None:
        """Hand on a strip that was finished before; standard errors need what was observed."""
        self.seen = True
        for piece in pieces:
            self._put(piece, None if observed is None else self._errors_of(piece, observed))
        self._flush(after)

    def _put(self, piece: Piece, errors: npt.NDArray[np.float32] | None) -> None:
        self._blocks.put(piece.numbers, band=piece.band, row=piece.row, mask=piece.mask)
        if self._error_blocks is not None and errors is not None:
            self._error_blocks.put(errors, band=piece.band, row=piece.row)

    def _errors_of(self, piece: Piece, observed: Observed) -> npt.NDArray[np.float32] | None:
        """Standard errors of finished numbers, if they are wanted."""
        if self._errors is None:
            return None
        scale = self._plan.scale
        rows = piece.numbers.shape[1] // scale
        window = Window(piece.row // scale, self._panel.start, rows, self._panel.size)
        bands = self._kept[piece.band : piece.band + len(piece.numbers)]
        return self._errors.of(piece.numbers, bands, window, observed)

    def _flush(self, after: int) -> None:
        self._blocks.flush(after * self._plan.scale)
        if self._error_blocks is not None:
            self._error_blocks.flush(after * self._plan.scale)

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
            self._settle(bands, values[:, :done], final, observed)

    def _settle(
        self, bands: tuple[int, ...], values: torch.Tensor, lr: Window, observed: Observed
    ) -> None:
        """Finish bands; where they are pseudo-bands, all bands once the last one's detail came."""
        mixing = self._plan.mixing
        if mixing is None:
            self._begin(functools.partial(self._finished, bands, values, lr, observed))
            return
        shape = mixing.count, *values.shape[1:]
        if self._detail is None or self._detail.shape != shape:
            self._detail = page_tensor(shape)
        self._detail[bands[0] : bands[-1] + 1] = values
        if bands[-1] + 1 < mixing.count:
            return
        every = tuple(range(len(observed.values)))
        for some in _batches(every, BANDS_EXPANDED_AT_ONCE):
            if not {*some} & {*self._kept}:
                continue
            self._begin(functools.partial(self._mixed, some, self._detail, mixing, lr, observed))

    def _begin(self, task: Callable[[], list[_Finished]]) -> None:
        """Finish bands in a thread, and hand on those that were begun long before."""
        if self._threads is None:
            self._take(task())
            return
        self._coming.append(self._threads.submit(task))
        if len(self._coming) > MOST_FINISHING:
            self._take(self._coming.popleft().result())

    def _take(self, few: list[_Finished]) -> None:
        for finished in few:
            self.moved += finished.moved
            self.seen |= finished.seen
            if self._recording is not None:
                self._recording.put(finished.piece)
            self._put(finished.piece, finished.errors)

    def _mixed(
        self,
        bands: tuple[int, ...],
        detail: torch.Tensor,
        mixing: Mixing,
        lr: Window,
        observed: Observed,
    ) -> list[_Finished]:
        """Consecutive bands: their own interpolation with agreement, and their share of detail.

        All are one product with matrices of the same shapes in every run, so that its sums have the
        same order; then a few at a time are finished.
        """
        near, trim = observed.around(lr, self._base.margin_lr_px)
        every = slice(bands[0], bands[-1] + 1)
        seen = observed.values[every][:, *observed.cut(near)]
        tiles = torch.from_numpy(np.ascontiguousarray(seen))[None]
        whole = self._base.run(tiles, bands, trim)[0]
        whole.flatten(1).addmm_(torch.from_numpy(mixing.expansion[every]), detail.flatten(1))
        finished: list[_Finished] = []
        for few in _batches(bands, BANDS_FINISHED_AT_ONCE):
            own = slice(few[0] - bands[0], few[-1] - bands[0] + 1)
            finished += self._finished(few, whole[own], lr, observed)
        return finished

    def _finished(
        self, bands: tuple[int, ...], values: torch.Tensor, lr: Window, observed: Observed
    ) -> list[_Finished]:
        """What is written of a few bands: one piece, or none."""
        inside = observed.cut(lr)
        wanted = [number for number, band in enumerate(bands) if band in self._kept]
        if not wanted:
            return []
        if len(wanted) < len(bands):
            bands, values = tuple(bands[number] for number in wanted), values[wanted]
        own, first = list(bands), self._kept.index(bands[0])
        seen = observed.values[:, *inside][own]
        valid = observed.valid[:, *inside][own]
        fine_valid = _repeated(valid, self._plan.scale)
        held = 0
        try:
            if self._consistent:
                values, held = self._agreed(bands, values, seen, valid)
            quantised = quantise(values.numpy(), fine_valid, self._stored)
        except FloatingPointError as error:
            raise self._overflown(bands, observed) from error
        mask = np.asarray(fine_valid.any(axis=0)) if self._masked and first == 0 else None
        piece = Piece(quantised.numbers, first, lr.row * self._plan.scale, mask)
        moved, errors = held + quantised.moved, self._errors_of(piece, observed)
        return [_Finished(piece, moved, bool(valid.any()), errors)]

    def _agreed(
        self,
        bands: tuple[int, ...],
        values: torch.Tensor,
        seen: npt.NDArray[np.float32],
        valid: npt.NDArray[np.bool_],
    ) -> tuple[torch.Tensor, int]:
        """Values whose block means are the observed pixels, and how many were held at a limit.

        Stored integers where that is exact.
        """
        whole, itemsize = self._stored.dtype.kind != "f", self._stored.dtype.itemsize
        floors, small = self._plan.floors, whole and itemsize <= 4
        precision = torch.float64 if whole and itemsize > 2 else torch.float32
        return agree(
            values.to(precision),
            torch.from_numpy(np.ascontiguousarray(seen)).to(precision),
            self._plan.scale,
            limits=self._limits,
            floors=None if floors is None else [floors[band] for band in bands],
            whole=whole,
            avoid=self._avoid,
            dtype=torch.from_numpy(np.empty(0, self._stored.dtype)).dtype if small else None,
            valid=torch.from_numpy(np.ascontiguousarray(valid)),
        )


def _batches(bands: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(bands), size):
        yield bands[start : start + size]


def strip_extent(
    plan: Plan, place: tuple[int, int], metadata: SceneMetadata, *, masked: bool
) -> Extent:
    """What the pieces of a strip (panel, row of tiles) fill that a `PanelFinisher` makes."""
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


def _repeated(valid: npt.NDArray[np.bool_], scale: int) -> npt.NDArray[np.bool_]:
    """A mask of LR pixels on the HR grid; a broadcast where all is valid."""
    bands, rows, cols = valid.shape
    if all_valid(valid):
        return np.broadcast_to(np.True_, (bands, rows * scale, cols * scale))
    return valid.repeat(scale, axis=1).repeat(scale, axis=2)


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


_LARGEST: Final = 1e36
"""Sums over a block of 8 x 8 pixels, however interpolation overshoots, then stay in float32."""
_NAMED: Final = 5


def overflow_error(
    scene: Scene, bands: tuple[int, ...], plan: Plan, positions: tuple[int, ...], observed: Observed
) -> HsisrError:
    """The error to raise for numbers that are not finite, at `positions` among the bands read.

    An InputDataError where numbers of the scene are too large, or no network is used; else a
    WeightsError.
    """
    seen = [(np.abs(observed.values[p]), observed.valid[p]) for p in positions]
    peaks = [float(values.max(where=valid, initial=0)) for values, valid in seen]
    large = [b for b, peak in zip(positions, peaks, strict=True) if peak > _LARGEST]
    if large or not any(isinstance(g.upscaler, NetworkUpscaler) for g in plan.groups):
        return InputDataError(
            f"{scene.path}: {_named(bands, large or positions)} numbers up to {max(peaks):.3g}, "
            f"expected at most {_LARGEST:g}, so that sums of them stay in float32; if they mean no "
            "data, let the file name them as nodata, else scale the numbers"
        )
    return WeightsError(
        f"{scene.path}: {_named(bands, positions)} numbers up to {max(peaks):.3g}, for which the "
        "network returned values that are too large for float32; these weights cannot be used on "
        "this scene (are its numbers scaled as the model card says?)"
    )


def _named(bands: tuple[int, ...], positions: list[int] | tuple[int, ...]) -> str:
    """Bands by their 1-based numbers, and a verb.

    >>> _named((4, 5, 6), [0, 2])
    'bands 5, 7 hold'
    """
    numbers = [str(bands[position] + 1) for position in positions]
    if len(numbers) == 1:
        return f"band {numbers[0]} holds"
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"bands {', '.join(numbers[:_NAMED])}{more} hold"
