"""Progress on stderr: bars on a terminal with talk above them; elsewhere lines, or nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hsisr.cli.console import bars_on, say
from hsisr.commands.python.calls import Advance, SceneProgress, Task, terminal_bars

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from hsisr.training.loop import Observer
    from hsisr.training.state import Progress, Record


@contextmanager
def shown_bars(*, wanted: bool) -> Iterator["Bars | None"]:
    """Bars on stderr; None where they are not wanted, or it is no terminal."""
    if not (wanted and sys.stderr.isatty()):
        yield None
        return
    with terminal_bars(redirect=False) as bars, bars_on(bars.console):
        yield bars


@contextmanager
def scene_bars(scenes: int) -> Iterator[Callable[[Path], Advance]]:
    """A function that opens the bar of the next scene and returns its callback (done, total).

    Of several scenes, another bar says how many are finished.
    """
    with terminal_bars(redirect=False) as bars, bars_on(bars.console):
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
    """A line per validation, if wanted, above a bar with loss, rate and the last score."""

    def __init__(self, bars: "Bars | None", minutes: float | None, *, lines: bool) -> None:
        self._bars, self._minutes, self._lines = bars, minutes, lines
        self._task: Task | None = None
        self._download: Task | None = None
        self._before: Task | None = None
        self._score = ""

    def preparing(self, what: str) -> None:
        """Something that is done before the first step begins; nothing: the steps do."""
        if self._before is not None:
            self._before.end()
        self._before = Task(self._bars, what) if self._bars is not None and what else None
        if self._bars is None and self._lines and what:
            say(what)

    def stepped(self, progress: "Progress", total: int, loss: float, rate: float) -> None:
        """A training step is done; the bar counts minutes where these end the run."""
        if self._bars is None:
            return
        self.preparing("")
        self._task = self._task or Task(self._bars, "training", "min" if self._minutes else "steps")
        words = f"loss {loss:.4g} rate {rate:.1e} {self._score}"
        if self._minutes:
            minutes, talk = progress.seconds / 60, f"step {progress.step} {words}"
            self._task.at(min(minutes, self._minutes), self._minutes, talk)
        else:
            self._task.at(progress.step, total, words)

    def validated(self, record: "Record", progress: "Progress") -> None:  # noqa: ARG002
        """A validation is done."""
        gain, angle, over = record.gain
        self._score = f"{record.score:.2f} dB ({gain:+z.2f})"
        if self._lines:
            loss = "" if record.loss is None else f", loss {record.loss:.4g}"
            say(
                f"step {record.step}{loss}: {record.score:.3f} dB ({gain:+z.3f} over {over}), "
                f"{record.sam:.3f} degrees ({angle:+z.3f}), {record.seconds:.0f} s"
            )

    def downloaded(self, done: int, total: int | None) -> None:
        """Some bytes have come."""
        if self._bars is not None:
            self._download = self._download or Task(self._bars, "download", "MB")
            self._download.at(done // 10**6, total and total // 10**6)


class BenchmarkProgress:
    """A line per piece, if wanted, above a bar that also shows the steps of a training."""

    def __init__(self, bars: "Bars | None", *, lines: bool) -> None:
        self._task = None if bars is None else Task(bars, "benchmark", "pieces")
        self._lines = lines
        self._done: tuple[int, int | None] = (0, None)
        self.training: Observer | None = None if bars is None else self

    def _show(self, talk: str) -> None:
        if self._task is not None:
            self._task.at(*self._done, talk)

    def began(self, what: str, number: int, total: int) -> None:
        """A piece begins; `number` counts from 1."""
        self._done = number - 1, total
        self._show(what)

    def ended(self, what: str, words: str) -> None:
        """A piece is done, was found, or failed."""
        if self._lines:
            say(f"[{self._done[0] + 1}/{self._done[1]}] {what}: {words}")

    def stepped(self, progress: "Progress", total: int, loss: float, rate: float) -> None:  # noqa: ARG002
        """A training step is done."""
        self._show(f"step {progress.step}, loss {loss:.4g}")

    def validated(self, record: "Record", progress: "Progress") -> None:
        """A validation is done."""

    def downloaded(self, done: int, total: int | None) -> None:
        """Some bytes have come."""
        of = f" of {total / 1e6:.0f}" if total else ""
        self._show(f"downloaded {done / 1e6:.0f}{of} MB")
