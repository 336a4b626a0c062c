"""Where the time of an upscaled scene goes: reading, the network, waiting for the writer."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hsisr.engine.plan import Plan
from hsisr.engine.stitch import Stitched, stitch
from hsisr.engine.upscaler import Upscaler
from hsisr.io.base import Scene, SceneWriter
from hsisr.io.views import DelegatingScene
from hsisr.models.interpolation import Trim
from hsisr.resume.journal import Journal
from hsisr.tiling.windows import Window


@dataclass(slots=True)
class StageClock:
    """Seconds of each stage; `stitch` does what `hsisr.engine.stitch.stitch` does."""

    seconds: dict[str, float] = field(
        default_factory=lambda: {"reading": 0.0, "network": 0.0, "writing": 0.0}
    )
    """reading: in the reader. network: in upscalers, which interpolation runs beside the rest; of a
    device that goes on by itself, what it takes to ask it and to wait for it.
    writing: handing blocks on, which takes long only where the writer's thread is behind."""

    def stitch(
        self,
        scene: Scene,
        bands: tuple[int, ...],
        writer: SceneWriter,
        plan: Plan,
        *,
        consistent: bool,
        masked: bool,
        advance: Callable[[int], None],
        journal: Journal | None = None,
    ) -> Stitched:
        """See `hsisr.engine.stitch.stitch`."""
        timed: dict[int, Upscaler] = {}
        for group in plan.groups:
            timed.setdefault(id(group.upscaler), _TimedUpscaler(group.upscaler, self))
        groups = tuple(replace(g, upscaler=timed[id(g.upscaler)]) for g in plan.groups)
        return stitch(
            _TimedScene(scene, self),
            bands,
            _TimedWriter(writer, self),
            replace(plan, groups=groups),
            consistent=consistent,
            masked=masked,
            advance=advance,
            journal=journal,
        )

    @contextmanager
    def during(self, stage: str) -> Iterator[None]:
        """Count what happens inside."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - started


class _TimedScene(DelegatingScene):
    def __init__(self, scene: Scene, clock: StageClock) -> None:
        super().__init__(scene)
        self._clock = clock

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        with self._clock.during("reading"):
            return self._scene.read_stored(window, bands)


class _TimedUpscaler(Upscaler):
    def __init__(self, upscaler: Upscaler, clock: StageClock) -> None:
        self.scale, self.margin_lr_px = upscaler.scale, upscaler.margin_lr_px
        self.most_under_way = upscaler.most_under_way
        self._upscaler, self._clock = upscaler, clock

    def run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        with self._clock.during("network"):
            return self._upscaler.run(tiles, bands, trim)

    def begin(
        self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim
    ) -> Callable[[], torch.Tensor]:
        with self._clock.during("network"):
            wait = self._upscaler.begin(tiles, bands, trim)

        def result() -> torch.Tensor:
            with self._clock.during("network"):
                return wait()

        return result


class _TimedWriter(SceneWriter):
    def __init__(self, writer: SceneWriter, clock: StageClock) -> None:
        self.path, self.metadata = writer.path, writer.metadata
        self.block_rows, self.block_cols = writer.block_rows, writer.block_cols
        self._writer, self._clock = writer, clock

    def write(
        self,
        numbers: npt.NDArray[Any],
        *,
        row: int,
        col: int,
        band: int,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        with self._clock.during("writing"):
            self._writer.write(numbers, row=row, col=col, band=band, mask=mask)

    def commit(self) -> Path:
        return self._writer.commit()

    def discard(self) -> None:
        self._writer.discard()
