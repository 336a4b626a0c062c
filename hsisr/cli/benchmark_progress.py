"""Progress of a comparison on stderr: a bar over its pieces on a terminal, else a line for each."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from hsisr.cli.console import chosen_progress, say

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from hsisr.training.loop import Observer
    from hsisr.training.state import Progress, Record


class BenchmarkProgress:
    """Hears of pieces, steps and downloads; says nothing by itself."""

    training: "Observer | None" = None

    def began(self, what: str, number: int, total: int) -> None:
        """A piece begins; `number` counts from 1."""

    def ended(self, what: str, words: str) -> None:
        """A piece is done, was found, or failed."""

    def downloaded(self, done: int, total: int | None) -> None:
        """Some bytes have come."""


class _Lines(BenchmarkProgress):
    """A line per piece."""

    _place = ""

    def began(self, what: str, number: int, total: int) -> None:  # noqa: ARG002
        self._place = f"[{number}/{total}] "

    def ended(self, what: str, words: str) -> None:
        say(f"{self._place}{what}: {words}")


class _Bar(_Lines):
    """The same lines above a bar, which also shows the steps of the training at hand."""

    def __init__(self, bars: "Bars") -> None:
        self._bars = bars
        self._task = bars.add_task("benchmark", total=None, talk="")
        self.training = self

    def began(self, what: str, number: int, total: int) -> None:
        super().began(what, number, total)
        self._bars.update(self._task, completed=number - 1, total=total, talk=what)

    def stepped(self, progress: "Progress", total: int, loss: float, rate: float) -> None:  # noqa: ARG002
        """A training step is done."""
        self._bars.update(self._task, talk=f"step {progress.step}, loss {loss:.4g}")

    def validated(self, record: "Record", progress: "Progress") -> None:
        """A validation is done."""

    def downloaded(self, done: int, total: int | None) -> None:
        of = f" of {total / 1e6:.0f}" if total else ""
        self._bars.update(self._task, talk=f"downloaded {done / 1e6:.0f}{of} MB")


def benchmark_progress(*, enabled: bool) -> AbstractContextManager[BenchmarkProgress]:
    """Something that shows the progress of a comparison, as the place on stderr allows."""
    return chosen_progress(BenchmarkProgress(), _Lines(), _Bar, enabled=enabled)
