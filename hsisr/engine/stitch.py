"""From a scene to finished blocks: read, fill, upscale, blend, agree, mask, quantise, hand on.

Nothing here holds more than one row of tiles of one panel.
"""

import functools
import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from hsisr.engine.finish import MOST_FINISHING, PanelFinisher, overflow_error, strip_extent
from hsisr.engine.machine import HeapTrimmer, one_thread_each, page_tensor, torch_threads
from hsisr.engine.plan import BANDS_FINISHED_AT_ONCE, BandGroup, Panel, Plan, Segment
from hsisr.engine.reading import Observed, OddNumbers, fill_rounds, observe
from hsisr.io.base import Scene, SceneWriter
from hsisr.io.views import RowCache
from hsisr.resume.run import Journal, Recording
from hsisr.tiling import Window

if TYPE_CHECKING:
    from hsisr.engine.uncertainty import StandardErrors

_Result = TypeVar("_Result")


def prefetch(
    tasks: Iterable[Callable[[], _Result]], threads: ThreadPoolExecutor, ahead: int = 1
) -> Iterator[_Result]:
    """Results in order, of tasks in threads that may serve many calls; `ahead` beside the next one.

    An error of a task is raised where its result would have come. Whoever leaves the threads waits
    for the tasks under way.

    >>> with ThreadPoolExecutor(1) as thread:
    ...     list(prefetch([lambda: 1, lambda: 2], thread))
    [1, 2]
    """
    return under_way((threads.submit(task).result for task in tasks), ahead + 1)


def under_way(begun: Iterable[Callable[[], _Result]], most: int) -> Iterator[_Result]:
    """Results in order, of work that goes on by itself once begun; each gives what waits for it.

    At most `most` are under way at once; with 1 the next is begun when the last result was used.

    >>> list(under_way([lambda: 1, lambda: 2], most=2))
    [1, 2]
    """
    waiting: deque[Callable[[], _Result]] = deque()
    for wait in begun:
        waiting.append(wait)
        if len(waiting) >= most:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


@dataclass(frozen=True, slots=True)
class Stitched:
    """What happened on the way."""

    moved: int
    """Valid numbers that did not fit the data type, or met nodata, and were moved."""
    seen: bool = True
    """False if no pixel of the scene is data."""


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
    errors: "StandardErrors | None" = None,
) -> Stitched:
    """Upscale `bands` of a scene, in output order, into a writer; the plan counts within these.

    Args:
        scene: What to read.
        bands: 0-based bands of the scene.
        writer: Takes the finished blocks; its metadata say how numbers are stored.
        plan: The work.
        consistent: Make block means equal the observed pixels.
        masked: Hand the pixel mask to the writer.
        advance: Called with the number of tiles just finished.
        journal: Strips that are there are taken from it, the others are kept in it.
        only: Strips (panel, row of tiles) that are wanted: the writer gets no others. None: all.
        errors: Takes the standard errors of all that the writer gets, if they are wanted.

    Raises:
        InputDataError: The scene cannot be read, or holds numbers that are too large.
        WeightsError: The network's values are not finite.

    Warns:
        HsisrWarning: Numbers are infinite or lose digits, or one lies far beyond all others.
    """
    moved, seen = 0, False
    overflown = functools.partial(overflow_error, scene, bands, plan)
    holes, odd = HeapTrimmer(), OddNumbers(scene, bands, plan.halo)
    threads = torch.get_num_threads()
    with ExitStack() as pools:
        reader = pools.enter_context(ThreadPoolExecutor(1, thread_name_prefix="reader"))
        finishing = None
        if plan.side_by_side:  # threads that share each step wait for each other after it
            pools.enter_context(torch_threads(1))
            computing = pools.enter_context(one_thread_each(plan.batch_size, "tiles"))
            finishing = pools.enter_context(one_thread_each(min(threads, MOST_FINISHING), "bands"))
        else:
            computing = pools.enter_context(ThreadPoolExecutor(1, thread_name_prefix="ahead"))
        for place, panel in enumerate(plan.panels):
            finisher = PanelFinisher(
                writer,
                plan,
                panel,
                finishing,
                consistent=consistent,
                masked=masked,
                overflown=overflown,
                errors=errors,
            )
            own = range(panel.start, panel.start + panel.size)
            look = functools.partial(odd.look, cols=own)
            rolling = RowCache(scene, above=fill_rounds(plan.halo), look=look)
            reading = _Reading(rolling, bands, plan, panel, reader)
            column = _Column(reading, plan, panel, finisher, computing, holes)
            for number in range(len(plan.rows)):
                extent = strip_extent(plan, (place, number), writer.metadata, masked=masked)
                if only is not None and (place, number) not in only:
                    column.skip()
                elif journal is not None and journal.has(place, number, extent):
                    column.skip()
                    odd.skip()
                    seen_there = None if errors is None else reading.of(number)[0]
                    pieces = journal.pieces(place, number)
                    finisher.replay(pieces, plan.end_of(number), seen_there)
                    finisher.moved += journal.moved(place, number)
                else:
                    recording = None if journal is None else journal.recording(place, number)
                    column.compute(number, advance, recording)
                    continue
                advance(len(panel.segments) * len(plan.groups))
            moved += finisher.moved
            seen |= finisher.seen
    odd.warn()
    return Stitched(moved, seen)


class _Reading:
    """What is observed for the rows of tiles of a panel, and what of it the model sees.

    Networks get the next one read ahead.
    """

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
        self._coming: tuple[int, Future[tuple[Observed, Observed]]] | None = None

    def of(self, number: int) -> tuple[Observed, Observed]:
        """Wait for a row of tiles, and begin to read the one below."""
        ahead, self._coming = self._coming, None
        if ahead is None or ahead[0] != number:  # no other thread reads, for a scene cannot bear it
            ahead = number, self._thread.submit(self._read, number)
        both = ahead[1].result()
        if self._plan.reads_ahead and number + 1 < len(self._plan.rows):
            self._coming = number + 1, self._thread.submit(self._read, number + 1)
        return both

    def _read(self, number: int) -> tuple[Observed, Observed]:
        tiles = self._panel.between(self._plan.rows[number])
        observed = observe(self._scene, self._bands, tiles, self._plan.halo)
        if (mixing := self._plan.mixing) is None:
            return observed, observed
        return observed, Observed(observed.window, *mixing.mixed(observed.values, observed.valid))


class _Column:
    """One panel, row of tiles by row of tiles."""

    def __init__(
        self,
        reading: _Reading,
        plan: Plan,
        panel: Panel,
        finisher: PanelFinisher,
        threads: ThreadPoolExecutor,
        holes: HeapTrimmer,
    ) -> None:
        self._reading, self._plan, self._panel = reading, plan, panel
        self._finisher, self._threads, self._holes = finisher, threads, holes
        self._skipped = False

    def skip(self) -> None:
        """A row of tiles is not computed here."""
        self._skipped = True

    def compute(
        self, number: int, advance: Callable[[int], None], recording: Recording | None
    ) -> None:
        """Compute a row of tiles and hand on what becomes final.

        After rows that were skipped, those that reach into this one are computed again.
        """
        if self._skipped:
            self._finisher.forget()
            start = self._plan.rows[number].start
            for early in (n for n in range(number) if self._plan.rows[n].end > start):
                self._add(early, lambda _: None)
            self._skipped = False
        with self._finisher.strip(recording, self._plan.end_of(number)):
            self._add(number, advance)

    def _add(self, number: int, advance: Callable[[int], None]) -> None:
        plan, rows = self._plan, self._plan.rows[number]
        observed, seen = self._reading.of(number)
        after = plan.end_of(number)

        def take(bands: tuple[int, ...], values: torch.Tensor) -> None:
            if not plan.ahead:  # no network is at work
                self._holes.trim()
            self._finisher.add(bands, values, rows, after, observed)

        TileRow(plan, self._panel, rows, seen, advance).upscale(self._threads, take)


@dataclass(frozen=True, slots=True)
class TileRow:
    """The tiles of a panel between the same rows, and what is observed there."""

    plan: Plan
    panel: Panel
    rows: Segment
    observed: Observed
    advance: Callable[[int], None]

    def upscale(
        self, threads: ThreadPoolExecutor, take: Callable[[tuple[int, ...], torch.Tensor], None]
    ) -> None:
        """Upscale them, and hand on bands as soon as no later group adds to them.

        `threads` compute groups ahead, or tiles of all groups side by side, as the plan says.
        `take` gets a few consecutive bands and their HR rows, shape (bands, rows, cols), which
        nothing else uses.
        """
        plan, groups, tiles = self.plan, self.plan.groups, None
        if plan.side_by_side:
            each = itertools.product(groups, self.panel.segments)
            begun = (self._begun((segment,), group) for group, segment in each)
            tiles = prefetch(begun, threads, plan.batch_size)
        tasks = [functools.partial(self._blended, group, tiles) for group in groups]
        results = prefetch(tasks, threads) if plan.ahead else (task() for task in tasks)
        waiting: dict[int, torch.Tensor] = {}
        for number, group in enumerate(groups):  # a loop over results would hold one while it waits
            later = {band for other in groups[number + 1 :] for band in other.bands}
            values = next(results)
            if self._is_one_tile:
                self.advance(1)
            _hand_on(group, values, later & {*group.bands}, waiting, take)
            del values

    def _blended(
        self, group: BandGroup, tiles: Iterator[torch.Tensor | None] | None
    ) -> torch.Tensor:
        """One band group: shape (bands, rows * scale, panel cols * scale).

        The next of `tiles` are its own, one by one; without these they are computed, in batches.
        """
        panel, s = self.panel, self.plan.scale
        shape = len(group.bands), self.rows.size * s, panel.size * s
        batches: Iterable[tuple[Segment, ...]] = ((segment,) for segment in panel.segments)
        if tiles is None:
            batches = list(self._batches(group.upscaler.margin_lr_px))
            begun = (self._begun(batch, group) for batch in batches)
            tiles = under_way(begun, group.upscaler.most_under_way)
        if self._is_one_tile:
            alone = next(tiles)
            return page_tensor(shape) if alone is None else alone[0]
        total = page_tensor(shape)
        for batch in batches:
            if (fine := next(tiles)) is not None:
                self._add_tiles(total, fine, batch)
            del fine  # not held while the next is made
            self.advance(len(batch))
        return total

    @property
    def _is_one_tile(self) -> bool:
        """True if one tile alone is the whole width of the panel, and nothing is blended."""
        first, *others = self.panel.segments
        whole = (first.start, first.size) == (self.panel.start, self.panel.size)
        return whole and not others and first.weights is None and self.rows.weights is None

    def _batches(self, margin: int) -> Iterator[tuple[Segment, ...]]:
        """Neighbouring tiles whose context is cut alike, as even in number as can be.

        A few tiles at the end of a row, alone, would take nearly as long as a whole batch.
        """

        def shape(segment: Segment) -> tuple[int, int, int]:
            _, trim = self.observed.around(self._window(segment), margin)
            return trim.left, segment.size, trim.right

        for _, run in itertools.groupby(self.panel.segments, shape):
            alike = tuple(run)
            count = -(-len(alike) // self.plan.batch_size)
            for part in range(count):
                yield alike[len(alike) * part // count : len(alike) * (part + 1) // count]

    def _window(self, first: Segment, last: Segment | None = None) -> Window:
        end = (last or first).end
        return Window(self.rows.start, first.start, self.rows.size, end - first.start)

    def _begun(
        self, batch: tuple[Segment, ...], group: BandGroup
    ) -> Callable[[], torch.Tensor | None]:
        """What waits for tiles; without data none are computed, for they are masked afterwards."""
        observed, first, last = self.observed, group.bands[0], group.bands[-1]
        inside = observed.cut(self._window(batch[0], batch[-1]))
        if not observed.valid[list(group.bands)][:, *inside].any():
            return lambda: None
        own: slice | list[int] = list(group.bands)
        if last - first + 1 == len(group.bands):
            own = slice(first, last + 1)
        margin = group.upscaler.margin_lr_px
        near = [observed.around(self._window(segment), margin) for segment in batch]
        parts = [observed.values[own][:, *observed.cut(window)] for window, _ in near]
        _, trim = near[0]
        return group.upscaler.begin(torch.from_numpy(np.stack(parts)), group.bands, trim)

    def _add_tiles(
        self, total: torch.Tensor, fine: torch.Tensor, batch: tuple[Segment, ...]
    ) -> None:
        """Add tiles, weighted, where they lie in the panel; what lies outside is dropped."""
        panel, s = self.panel, self.plan.scale
        for segment, tile in zip(batch, fine, strict=True):
            start, end = max(segment.start, panel.start), min(segment.end, panel.start + panel.size)
            own = slice((start - segment.start) * s, (end - segment.start) * s)
            there = slice((start - panel.start) * s, (end - panel.start) * s)
            weights = torch.outer(_vector(self.rows, s), _vector(segment, s)[own])
            total[..., there].addcmul_(tile[..., own], weights)


def _vector(segment: Segment, s: int) -> torch.Tensor:
    """Weights of its HR rows or columns."""
    if segment.weights is None:
        return torch.ones(segment.size * s)
    return torch.from_numpy(segment.weights)


def _hand_on(
    group: BandGroup,
    values: torch.Tensor,
    later: set[int],
    waiting: dict[int, torch.Tensor],
    take: Callable[[tuple[int, ...], torch.Tensor], None],
) -> None:
    """Add what other groups gave to a group; bands that later ones add to wait for them."""
    if group.weights is not None:  # other groups have some of these bands
        values.mul_(torch.from_numpy(group.weights)[:, None, None])
        for band, plane in zip(group.bands, values, strict=True):
            if (other := waiting.pop(band, None)) is not None:
                plane.add_(other)
    for run in _handfuls(tuple(band for band in group.bands if band not in later)):
        first = group.bands.index(run[0])
        take(run, values[first : first + len(run)])
    if later:  # copies, so that the others can be let go
        places = [place for place, band in enumerate(group.bands) if band in later]
        aside = page_tensor((len(places), *values.shape[1:]))
        torch.index_select(values, 0, torch.tensor(places, dtype=torch.long), out=aside)
        waiting |= zip((group.bands[place] for place in places), aside, strict=True)


def _handfuls(bands: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Bands cut into short runs of consecutive ones.

    >>> list(_handfuls((1, 2, 5)))
    [(1, 2), (5,)]
    >>> list(_handfuls((0, 1, 2, 3, 4)))
    [(0, 1, 2, 3), (4,)]
    """
    start = 0
    for end in range(1, len(bands) + 1):
        full = end - start == BANDS_FINISHED_AT_ONCE
        if full or end == len(bands) or bands[end] != bands[end - 1] + 1:
            yield bands[start:end]
            start = end
