"""The strips of one scene, computed by workers into the journal of the run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt

from hsisr.commands.cluster.connection import connected
from hsisr.commands.cluster.tasks import WorkerContext, unseen
from hsisr.commands.job import Job
from hsisr.engine.finish import strip_extent
from hsisr.engine.machine import Room, torch_threads
from hsisr.engine.mixing import SceneStatistics
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.plan import Plan
from hsisr.engine.session import Session
from hsisr.errors import InputDataError, WeightsError
from hsisr.io.atomic import resource_errors
from hsisr.io.base import Scene, SceneWriter
from hsisr.io.open import open_with
from hsisr.io.paths import RemotePath
from hsisr.resume.record import has_changed, scene_identity
from hsisr.resume.run import Journal, RunLock
from hsisr.scene.metadata import SceneMetadata

Strip = tuple[int, int]
"""Number of the panel, number of the row of tiles."""

_SHORTEST: Final = 4
"""Strips of a task, so that the row computed again above them costs little."""
_LONGEST: Final = 16
_ROUNDS: Final = 3
"""Tasks that every worker should have, so that all end at about the same time."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Orders:
    """What a worker has to know to compute strips of a scene as the command would."""

    source: Path
    output: Path
    options: UpscaleOptions
    room: Room
    statistics: SceneStatistics | None
    threads: int
    strips: Path
    """Folder of the journal; its name is that of the run."""
    input: Any
    """From `scene_identity`, as the command sees it."""
    weights: str | None


def compute_strips(job: Job, run: RunLock, threads: int, advance: Callable[[int], None]) -> None:
    """Have the strips that are missing in a run's journal computed by workers, with `threads` each.

    `advance` is called with the number of tiles that are finished, first with those that were.
    """
    plan, scheduler = job.plan, job.options.scheduler
    every = [(panel, row) for panel in range(len(plan.panels)) for row in range(len(plan.rows))]
    extent = partial(strip_extent, plan, metadata=job.metadata, masked=job.target.masked)
    missing = [strip for strip in every if not run.journal.has(*strip, extent(strip))]
    there = set(every) - set(missing)
    advance(sum(_tiles(plan, strip) for strip in there))
    if not missing or scheduler is None:
        return
    with resource_errors(run.journal.folder):
        run.journal.folder.mkdir(exist_ok=True)
    do = partial(compute_run, orders_of(job, run, threads))
    with connected(scheduler) as workers:
        for task, report in workers.results(do, cut_runs(missing, workers.count())):
            if report.error is not None:
                raise report.error
            advance(sum(_tiles(plan, strip) for strip in task))


def orders_of(job: Job, run: RunLock, threads: int) -> Orders:
    """All that decides the numbers of a run, ready to travel."""
    asked = job.options.device
    return Orders(
        source=job.scene.path,
        output=job.output,
        options=replace(
            job.options,
            creation_options=dict(job.options.creation_options),
            device=job.session.device.type if asked == "auto" else asked,
            scheduler=None,
        ),
        room=run.room,
        statistics=job.statistics,
        threads=threads,
        strips=run.journal.folder,
        input=run.bound.input,
        weights=job.session.model.sha256,
    )


def cut_runs(strips: Sequence[Strip], workers: int) -> list[tuple[Strip, ...]]:
    """Strips cut into tasks of consecutive rows of one panel.

    >>> [len(run) for run in cut_runs([(0, row) for row in range(30)], workers=2)]
    [5, 5, 5, 5, 5, 5]
    >>> cut_runs([(0, 3), (0, 4), (0, 7), (1, 0)], workers=1)
    [((0, 3), (0, 4)), ((0, 7),), ((1, 0),)]
    """
    rounds = min(_ROUNDS, max(1, len(strips) // (workers * _SHORTEST)))
    longest = min(_LONGEST, -(-len(strips) // (workers * rounds)))
    cut = []
    for run in _consecutive(strips):
        parts = -(-len(run) // longest)
        ends = [len(run) * part // parts for part in range(parts + 1)]
        cut += [tuple(run[a:b]) for a, b in pairwise(ends)]
    return cut


def _consecutive(strips: Sequence[Strip]) -> Iterator[list[Strip]]:
    """Runs of rows of one panel without a gap; strips come sorted."""
    numbered = enumerate(strips)
    for _, run in groupby(numbered, key=lambda found: (found[1][0], found[1][1] - found[0])):
        yield [strip for _, strip in run]


def compute_run(orders: Orders, strips: tuple[Strip, ...], here: WorkerContext) -> None:
    """On a worker: compute strips of a scene into the journal of the run."""
    if not orders.strips.is_dir():
        raise unseen(orders.strips, here)
    _require_same_input(orders, here)
    options = orders.options
    with (
        torch_threads(orders.threads),
        closing(open_with(orders.source, options, all_bands=True)) as scene,
    ):
        job: Job = here.kept(orders.strips, partial(_prepared, orders, scene, here))
        replace(job, scene=scene).stitch(
            _Nowhere(orders.output, job.metadata),
            lambda _: here.require_wanted(),
            journal=Journal(orders.strips, required=True),
            only=set(strips),
        )


def _prepared(orders: Orders, scene: Scene, here: WorkerContext) -> Job:
    options = replace(orders.options, device=here.device(orders.options.device))
    session = Session(options)
    if session.model.sha256 != orders.weights:
        raise WeightsError(
            f"worker {here.name} finds other weights for {session.model.name} (sha256 "
            f"{(session.model.sha256 or 'none')[:12]}..., expected "
            f"{(orders.weights or 'none')[:12]}...); give all workers the same file"
        )
    return Job.prepare(scene, orders.output, options, session, orders.room, orders.statistics)


def _require_same_input(orders: Orders, here: WorkerContext) -> None:
    if not (isinstance(orders.source, RemotePath) or orders.source.exists()):
        raise unseen(orders.source, here)
    found = [list(file) for file in scene_identity(orders.source)]
    if has_changed([list(file) for file in orders.input], found):
        raise InputDataError(
            f"worker {here.name} finds another file at {orders.source} (name, size or time of "
            "change differ); share one file system, or run again once the scene is whole"
        )


class _Nowhere(SceneWriter):
    """Takes blocks and drops them: the journal has them."""

    def __init__(self, path: Path, metadata: SceneMetadata) -> None:
        self.path, self.metadata = path, metadata
        self.block_rows = self.block_cols = 1

    def write(self, numbers: npt.NDArray[Any], **place: Any) -> None:
        """Drop a block."""


def _tiles(plan: Plan, strip: Strip) -> int:
    return len(plan.panels[strip[0]].segments) * len(plan.groups)
