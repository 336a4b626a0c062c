"""From a scene to finished blocks: read, fill, upscale, blend, agree, mask, quantise, hand on.

Nothing here holds more than one row of tiles of one panel.
"""

import functools
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from hsisr.engine.allocator import HeapTrimmer
from hsisr.engine.diagnosis import overflow_error
from hsisr.engine.finish import PanelFinisher, strip_extent
from hsisr.engine.observed import Observed, fill_rounds, observe
from hsisr.engine.plan import Panel, Plan
from hsisr.engine.tile_rows import upscale_tile_row
from hsisr.io.base import Scene, SceneWriter
from hsisr.io.row_cache import RowCache
from hsisr.resume.journal import Journal, Recording


@dataclass(frozen=True, slots=True)
class Stitched:
    """What happened on the way."""

    moved: int
    """Valid numbers that did not fit the data type, or met nodata, and were moved."""


def stitch(
    scene: Scene,
    bands: tuple[int, ...],
    writer: SceneWriter,
    plan: Plan,
    *,
    consistent: bool,
    masked: bool,
    advance: Callable[[int], None],
    journal: Journal | None = None,
    only: Collection[tuple[int, int]] | None = None,
) -> Stitched:
    """Upscale `bands` of a scene into a writer, as planned.

    Args:
        scene: What to read.
        bands: 0-based bands of the scene, in output order; the plan counts within these.
        writer: Takes the finished blocks; its metadata say how numbers are stored.
        plan: The work.
        consistent: Make block means equal the observed pixels.
        masked: Hand the pixel mask to the writer.
        advance: Called with the number of tiles just finished.
        journal: Strips that are there are taken from it, the others are kept in it.
        only: Strips, (number of the panel, number of the row of tiles), that are wanted; the
            writer gets nothing of the others. None: all.

    Raises:
        InputDataError: The scene cannot be read, or holds numbers that are too large.
        WeightsError: The network's values are not finite.
    """
    moved = 0
    overflown = functools.partial(overflow_error, scene, bands, plan)
    holes = HeapTrimmer()
    # one thread for all: memory that comes and goes in many threads is never given back
    with (
        ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread,
        ThreadPoolExecutor(1, thread_name_prefix="reader") as reader,
    ):
        for place, panel in enumerate(plan.panels):
            finisher = PanelFinisher(
                writer, plan, panel, consistent=consistent, masked=masked, overflown=overflown
            )
            rolling = RowCache(scene, above=fill_rounds(plan))
            reading = _Reading(rolling, bands, plan, panel, reader)
            column = _Column(reading, plan, panel, finisher, thread, holes)
            for number in range(len(plan.rows)):
                extent = strip_extent(plan, (place, number), writer.metadata, masked=masked)
                if only is not None and (place, number) not in only:
                    column.skip()
                elif journal is not None and journal.has(place, number, extent):
                    column.skip()
                    finisher.replay(journal.pieces(place, number), plan.end_of(number))
                    finisher.moved += journal.moved(place, number)
                else:
                    column.warm_up(number)
                    recording = None if journal is None else journal.recording(place, number)
                    column.compute(number, advance, recording)
                    continue
                advance(len(panel.segments) * len(plan.groups))
            moved += finisher.moved
    return Stitched(moved)


class _Reading:
    """What is observed for the rows of tiles of a panel; networks get the next one read ahead."""

    def __init__(
        self,
        scene: Scene,
        bands: tuple[int, ...],
        plan: Plan,
        panel: Panel,
        thread: ThreadPoolExecutor,
    ) -> None:
        self._scene, self._bands, self._plan, self._panel = scene, bands, plan, panel
        self._thread = thread
        self._coming: tuple[int, Future[Observed]] | None = None

    def of(self, number: int) -> Observed:
        """Wait for a row of tiles, and begin to read the one below."""
        ahead, self._coming = self._coming, None
        found = None if ahead is None else ahead[1].result()  # one thread at a time reads a scene
        right = ahead is not None and ahead[0] == number
        observed = found if found is not None and right else self._read(number)
        if self._plan.reads_ahead and number + 1 < len(self._plan.rows):
            self._coming = number + 1, self._thread.submit(self._read, number + 1)
        return observed

    def _read(self, number: int) -> Observed:
        return observe(self._scene, self._bands, self._plan, self._panel, self._plan.rows[number])


class _Column:
    """One panel, row of tiles by row of tiles."""

    def __init__(
        self,
        reading: "_Reading",
        plan: Plan,
        panel: Panel,
        finisher: PanelFinisher,
        thread: ThreadPoolExecutor,
        holes: HeapTrimmer,
    ) -> None:
        self._reading, self._plan, self._panel = reading, plan, panel
        self._finisher, self._thread, self._holes = finisher, thread, holes
        self._skipped = False

    def skip(self) -> None:
        """A row of tiles is not computed here."""
        self._skipped = True

    def warm_up(self, number: int) -> None:
        """After rows of tiles that were skipped: compute again those that reach into this one."""
        if self._skipped:
            self._finisher.forget()
            start = self._plan.rows[number].start
            for early in (n for n in range(number) if self._plan.rows[n].end > start):
                self._add(early, lambda _: None)
            self._skipped = False

    def compute(
        self, number: int, advance: Callable[[int], None], recording: Recording | None
    ) -> None:
        """Compute a row of tiles and hand on what becomes final."""
        with self._finisher.strip(recording, self._plan.end_of(number)):
            self._add(number, advance)

    def _add(self, number: int, advance: Callable[[int], None]) -> None:
        plan, panel, rows = self._plan, self._panel, self._plan.rows[number]
        observed = self._reading.of(number)
        after = plan.end_of(number)

        def take(bands: tuple[int, ...], values: torch.Tensor) -> None:
            if not plan.ahead:  # no network is at work
                self._holes.trim()
            self._finisher.add(bands, values, rows, after, observed)

        upscale_tile_row(plan, panel, rows, observed, advance, self._thread, take)
