"""`hsisr.train`: training with keywords."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hsisr.commands.options import TrainOptions
from hsisr.commands.python.calls import Advance, Progress, chosen_options, keywords_of, shown
from hsisr.commands.training import train as training
from hsisr.commands.training.record import TrainResult
from hsisr.training.state import Progress as Steps
from hsisr.training.state import Record


class _Observer:
    """Tells a function of every step."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance

    def stepped(self, progress: Steps, total: int, loss: float, rate: float) -> None:  # noqa: ARG002
        """A step is done."""
        self._advance(progress.step, total)

    def validated(self, record: Record, progress: Steps) -> None:
        """A validation is done."""


@keywords_of(TrainOptions)
def train(
    scenes: str | Path | Sequence[str | Path] = (),
    options: TrainOptions | None = None,
    *,
    progress: Progress = None,
    **keywords: Any,
) -> TrainResult:
    """Train a network, or adapt released weights; writes weights, model card and run.json.

    Args:
        scenes: Files and folders to learn from; empty where `dataset` names a public scene.
        options: What and how; keywords change it.
        progress: True for a bar in a notebook or on a terminal, or a function that is called with
            the steps done and the steps in all.
        keywords: Fields of `TrainOptions`, such as scale, model, init, recipe, max_minutes or out.

    Raises:
        UsageError: The options are unknown, impossible or contradict the data.
        InputDataError: A scene cannot be read or used.
        WeightsError: The weights to start from cannot be used.
        OutputExistsError: The folder holds a run, and neither `resume` nor `overwrite` is given.
        ResourceError: The machine lacks something.
        HsisrError: Training broke down.
    """
    named = {"scenes": scenes} if scenes else {}
    chosen = chosen_options(TrainOptions, options, {**named, **keywords})
    with shown(progress, "training", "steps") as advance:
        return training.train(chosen, observer=advance and _Observer(advance))
