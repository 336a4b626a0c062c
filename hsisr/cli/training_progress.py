"""Progress of a training run on stderr: a bar on a terminal, a line per validation elsewhere."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from hsisr.cli.console import chosen_progress, say

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from hsisr.training.state import Progress, Record


class TrainingProgress:
    """Hears of steps, validations and downloads; says nothing by itself."""

    def stepped(self, progress: "Progress", total: int, loss: float, rate: float) -> None:
        """A training step is done."""

    def validated(self, record: "Record", progress: "Progress") -> None:
        """A validation is done."""

    def downloaded(self, done: int, total: int | None) -> None:
        """Some bytes have come."""


class _Lines(TrainingProgress):
    """A line per validation."""

    def validated(self, record: "Record", progress: "Progress") -> None:  # noqa: ARG002
        loss = "" if record.loss is None else f", loss {record.loss:.4g}"
        gain, angle, over = record.gain
        say(
            f"step {record.step}{loss}: {record.score:.3f} dB ({gain:+.3f} over {over}), "
            f"{record.sam:.3f} degrees ({angle:+.3f}), {record.seconds:.0f} s"
        )


class _Bar(_Lines):
    """A line per validation above a bar with loss, speed, time left and the last score."""

    def __init__(self, bars: "Bars") -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._download: TaskID | None = None
        self._score = ""

    def stepped(self, progress: "Progress", total: int, loss: float, rate: float) -> None:
        if self._task is None:
            self._task = self._bars.add_task("training", total=total, talk="")
            self._bars.update(self._task, completed=progress.step - 1)
        speed = self._bars.tasks[self._bars.task_ids.index(self._task)].speed
        pace = f"{speed:.2f} steps/s " if speed else ""
        talk = f"{pace}loss {loss:.4g} rate {rate:.1e} {self._score}"
        self._bars.update(self._task, completed=progress.step, talk=talk)

    def validated(self, record: "Record", progress: "Progress") -> None:
        self._score = f"{record.score:.2f} dB ({record.gain[0]:+.2f})"
        super().validated(record, progress)

    def downloaded(self, done: int, total: int | None) -> None:
        if self._download is None:
            self._download = self._bars.add_task("download", total=total, talk="")
        talk = f"{done / 1e6:.1f} MB"
        self._bars.update(self._download, completed=done, total=total, talk=talk)


def training_progress(*, enabled: bool) -> AbstractContextManager[TrainingProgress]:
    """Something that shows the progress of a run, as the place on stderr allows."""
    return chosen_progress(TrainingProgress(), _Lines(), _Bar, enabled=enabled)
