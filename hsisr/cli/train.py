"""The `hsisr train` command."""

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsisr.cli.console import INTERRUPTED, TERMINATED, print_json, say, tell
from hsisr.cli.options import Given, takes
from hsisr.cli.progress import TrainingProgress, shown_bars
from hsisr.commands.options import TrainOptions

if TYPE_CHECKING:
    from hsisr.commands.training.train import TrainResult


@takes(TrainOptions)
def train(
    options: Given,
    scenes: Annotated[
        list[Path] | None, typer.Argument(metavar="SCENE", help="Scene files, or folders of them.")
    ] = None,
) -> None:
    """Train a network on your scenes or a public dataset, or adapt released weights (--init)."""
    from hsisr.commands.training.train import train as run
    from hsisr.engine.machine import tune_allocator

    command = shlex.join(["hsisr", *sys.argv[1:]])
    how = options.made(TrainOptions, scenes=tuple(scenes or ()), command=command)
    tune_allocator()
    with shown_bars(wanted=not options.quiet) as bars:
        progress = TrainingProgress(bars, how.max_minutes, lines=not options.quiet)
        result = run(
            how,
            observer=progress,
            downloading=progress.downloaded,
            preparing=progress.preparing,
        )
    if result.first:
        _report(result, json=options.json, quiet=options.quiet)
    if result.ending == "stopped":
        say(f"stopped after step {result.steps}; the same command with --resume continues")
        raise typer.Exit(TERMINATED if result.signal == signal.SIGTERM else INTERRUPTED)


def _report(result: "TrainResult", *, json: bool, quiet: bool) -> None:
    """The weights' path on stdout, or one JSON object; how it went on stderr."""
    if json:
        print_json(result.as_dict())
    elif result.weights is not None:
        tell(result.weights)
    if quiet or result.score is None:
        return
    start = (
        "" if result.start is None else f"{result.score - result.start:+z.2f} dB over its start, "
    )
    say(
        f"{result.score:.2f} dB on what was held out, {start}{result.gain}; best at step "
        f"{result.best_step} of {result.steps}"
    )
