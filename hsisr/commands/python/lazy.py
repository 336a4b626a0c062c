"""Dask arrays: a plan made now, its strips computed when they are asked for."""

import threading
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from hsisr.commands.job import Job
from hsisr.commands.python.arrays import (
    ArrayScene,
    array_session,
    computed,
    prepared,
)
from hsisr.engine.device import torch_threads
from hsisr.engine.memory import Room
from hsisr.engine.mixing import SceneStatistics
from hsisr.engine.observed import fill_rounds
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.plan import Plan
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import SceneMetadata
from hsisr.tiling.windows import Window
from hsisr.weights.model import LoadedModel

_ALONE = threading.Lock()
"""A strip takes all processor threads and its memory once, however many threads Dask has."""


def is_lazy(data: Any) -> bool:
    """True for an array of Dask."""
    return hasattr(data, "__dask_graph__")


class PartScene(ArrayScene):
    """A scene of which one window is in memory."""

    def __init__(self, part: Any, axes: str, metadata: SceneMetadata, window: Window) -> None:
        super().__init__(part, axes, metadata, None)
        self._window = window

    def read_stored(self, window: Window, bands: Any) -> npt.NDArray[Any]:
        """See `Scene.read_stored`; the window lies inside what is in memory."""
        own = replace(window, row=window.row - self._window.row, col=window.col - self._window.col)
        return super().read_stored(own, bands)


class StripMaker:
    """Computes single strips; on another process of a cluster it makes its plan anew, once.

    Args:
        job: What is decided, statistics included.
        axes: Order of the axes of the parts.
        model: As the caller named it.
        room: Memory that the plan counts on, so that every process makes the same plan.
    """

    def __init__(self, job: Job, axes: str, model: str | LoadedModel | None, room: Room) -> None:
        self._job: Job | None = job
        self._axes, self._model, self._room = axes, model, room
        nothing: dict[str, str] = {}  # unlike the usual mapping proxies, this can be pickled
        self._metadata: SceneMetadata = replace(
            job.scene.metadata,
            header=nothing,
            tags=nothing,
            georeference=Georeference(rpcs=nothing),
        )
        self._options: UpscaleOptions = replace(job.options, creation_options=nothing)
        self._statistics: SceneStatistics | None = job.statistics

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_job": None}

    def __call__(
        self, part: npt.NDArray[Any], strip: tuple[int, int], read: Window, made: Window
    ) -> npt.NDArray[Any]:
        """Upscale a strip.

        Args:
            part: The LR numbers around it.
            strip: Number of the panel, number of the row of tiles.
            read: Where `part` lies, in LR pixels.
            made: What the strip fills, in HR pixels.

        Returns:
            Shape (bands, rows, cols).
        """
        with _ALONE:
            scene = PartScene(part, self._axes, self._metadata, read)
            if self._job is None:
                session = array_session(self._options, self._model, {})
                self._job = prepared(scene, session, self._room, self._statistics)
            job = replace(self._job, scene=scene)
            plan = replace(job.plan, reads_ahead=False)
            with torch_threads(job.session.threads):
                return computed(job, plan, strip=strip, window=made).numbers


def lazily_upscaled(
    job: Job, data: Any, axes: str, model: str | LoadedModel | None, room: Room
) -> Any:
    """A Dask array, shape (bands, rows, cols), of the strips of a plan.

    Args:
        job: What is decided.
        data: The array of Dask that the job's scene reads.
        axes: Order of its axes.
        model: As the caller named it.
        room: What the job was planned with.
    """
    import dask.array
    from dask.delayed import delayed

    da: Any = dask.array  # its functions are not typed
    make = delayed(StripMaker(job, axes, model, room), pure=False, traverse=False)
    plan, dtype = job.plan, job.metadata.stored.dtype
    columns = []
    for place, panel in enumerate(plan.panels):
        column = []
        for number, segment in enumerate(plan.rows):
            lr = Window(segment.start, panel.start, plan.end_of(number) - segment.start, panel.size)
            made, read = lr.scaled(plan.scale), _read_for(plan, job.scene.metadata, place, number)
            span = {"r": slice(read.row, read.row_end), "c": slice(read.col, read.col_end)}
            part = data[tuple(span.get(axis, slice(None)) for axis in axes)]
            strip = make(part, (place, number), read, made)
            shape = len(job.written), made.rows, made.cols
            column.append(da.from_delayed(strip, shape, dtype))
        columns.append(da.concatenate(column, axis=1))
    return da.concatenate(columns, axis=2)


def _read_for(plan: Plan, metadata: SceneMetadata, place: int, number: int) -> Window:
    """The LR window that a strip is made of: its tiles, those that reach into it, their context."""
    panel, segment = plan.panels[place], plan.rows[number]
    top = min(s.start for s in plan.rows[: number + 1] if s.end > segment.start)
    left = min(s.start for s in panel.segments)
    right = max(s.end for s in panel.segments)
    core = Window(top, left, segment.end - top, right - left)
    return core.grown(plan.halo + fill_rounds(plan), metadata.rows, metadata.cols)
