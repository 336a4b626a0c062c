"""Progress on stderr: bars on a terminal; elsewhere lines, or nothing.

Whatever is printed while bars are shown goes through `hsisr.cli.console`, which prints
above them.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hsisr.cli.console import bars_on, say
from hsisr.commands.python.calls import Advance, SceneProgress, Task, terminal_bars

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from hsisr.training.loop import Observer
    from hsisr.training.state import Progress, Record

_Shown = TypeVar("_Shown")


@contextmanager
def _bars() -> Iterator["Bars"]:
    """Bars with name, count, `talk`, time gone and time left, on a terminal."""
    with terminal_bars(redirect=False) as bars, bars_on(bars.console):
        yield bars


@contextmanager
def _chosen(
    silent: _Shown, lines: _Shown, bar: "Callable[[Bars], _Shown]", *, enabled: bool
) -> Iterator[_Shown]:
    """What shows progress as the place on stderr allows: bars, else lines, else nothing."""
    if enabled and sys.stderr.isatty():
        with _bars() as bars:
            yield bar(bars)
    else:
        yield lines if enabled else silent


@contextmanager
def scene_bars(scenes: int) -> Iterator[Callable[[Path], Advance]]:
    """A function that opens the bar of the next scene and returns its callback (done, total).

    Of several scenes, another bar says how many are finished.
    """
    with _bars() as bars:
        whole = Task(bars, "scenes", "scenes") if scenes > 1 else None
        begun: list[SceneProgress] = []

        def open_bar(scene: Path) -> Advance:
            if begun:
                begun[-1].end()
            if whole is not None:
                whole.at(len(begun), scenes, "")
            begun.append(SceneProgress(bars, scene.name))
            return begun[-1]

        yield open_bar


class TrainingProgress:
    """Hears of steps, validations and downloads; says nothing by itself."""

    def stepped(self, progress: "Progress", total: int, loss: float, rate: float) -> None:
        """A training step is done."""

    def validated(self, record: "Record", progress: "Progress") -> None:
        """A validation is done."""

    def downloaded(self, done: int, total: int | None) -> None:
        """Some bytes have come."""


class _TrainingLines(TrainingProgress):
    """A line per validation."""

    def validated(self, record: "Record", progress: "Progress") -> None:  # noqa: ARG002
        loss = "" if record.loss is None else f", loss {record.loss:.4g}"
        gain, angle, over = record.gain
        say(
            f"step {record.step}{loss}: {record.score:.3f} dB ({gain:+.3f} over {over}), "
            f"{record.sam:.3f} degrees ({angle:+.3f}), {record.seconds:.0f} s"
        )


class _TrainingBar(_TrainingLines):
    """The same lines above a bar with loss, rate and the last score."""

    def __init__(self, bars: "Bars", minutes: float | None) -> None:
        self._bars, self._minutes = bars, minutes
        self._task: Task | None = None
        self._download: Task | None = None
        self._score = ""

    def stepped(self, progress: "Progress", total: int, loss: float, rate: float) -> None:
        if self._task is None:
            self._task = Task(self._bars, "training", "min" if self._minutes else "steps")
        words = f"loss {loss:.4g} rate {rate:.1e} {self._score}"
        if self._minutes:
            minutes, talk = progress.seconds / 60, f"step {progress.step} {words}"
            self._task.at(min(minutes, self._minutes), self._minutes, talk)
        else:
            self._task.at(progress.step, total, words)

    def validated(self, record: "Record", progress: "Progress") -> None:
        self._score = f"{record.score:.2f} dB ({record.gain[0]:+.2f})"
        super().validated(record, progress)

    def downloaded(self, done: int, total: int | None) -> None:
        self._download = self._download or Task(self._bars, "download", "MB")
        self._download.at(done // 10**6, total and total // 10**6)


@contextmanager
def training_progress(*, enabled: bool, minutes: float | None = None) -> Iterator[TrainingProgress]:
    """Something that shows the progress of a training run."""
    with _chosen(
        TrainingProgress(),
        _TrainingLines(),
        lambda bars: _TrainingBar(bars, minutes),
        enabled=enabled,
    ) as shown:
        yield shown


class BenchmarkProgress:
    """Hears of pieces, steps and downloads; says nothing by itself."""

    training: "Observer | None" = None

    def began(self, what: str, number: int, total: int) -> None:
        """A piece begins; `number` counts from 1."""

    def ended(self, what: str, words: str) -> None:
        """A piece is done, was found, or failed."""

    def downloaded(self, done: int, total: int | None) -> None:
        """Some bytes have come."""


class _BenchmarkLines(BenchmarkProgress):
    """A line per piece."""

    _place = ""

    def began(self, what: str, number: int, total: int) -> None:  # noqa: ARG002
        self._place = f"[{number}/{total}] "

    def ended(self, what: str, words: str) -> None:
        say(f"{self._place}{what}: {words}")


class _BenchmarkBar(_BenchmarkLines):
    """The same lines above a bar, which also shows the steps of the training at hand."""

    def __init__(self, bars: "Bars") -> None:
        self._task = Task(bars, "benchmark", "pieces")
        self._done: tuple[int, int | None] = (0, None)
        self.training: Any = self

    def began(self, what: str, number: int, total: int) -> None:
        super().began(what, number, total)
        self._done = number - 1, total
        self._task.at(*self._done, what)

    def stepped(self, progress: "Progress", total: int, loss: float, rate: float) -> None:  # noqa: ARG002
        """A training step is done."""
        self._task.at(*self._done, f"step {progress.step}, loss {loss:.4g}")

    def validated(self, record: "Record", progress: "Progress") -> None:
        """A validation is done."""

    def downloaded(self, done: int, total: int | None) -> None:
        of = f" of {total / 1e6:.0f}" if total else ""
        self._task.at(*self._done, f"downloaded {done / 1e6:.0f}{of} MB")


@contextmanager
def benchmark_progress(*, enabled: bool) -> Iterator[BenchmarkProgress]:
    """Something that shows the progress of a comparison."""
    shown = BenchmarkProgress(), _BenchmarkLines()
    with _chosen(*shown, _BenchmarkBar, enabled=enabled) as chosen:
        yield chosen
