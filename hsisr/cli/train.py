"""The `hsisr train` command."""

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsisr.cli.console import INTERRUPTED, QUIET, TERMINATED, expected_errors, print_json, say, tell
from hsisr.cli.options import (
    Axes,
    Device,
    Json,
    Nodata,
    Overwrite,
    Quiet,
    Scale,
    Threads,
    Variable,
    Verbose,
    verbosity,
)
from hsisr.cli.progress import training_progress

if TYPE_CHECKING:
    from hsisr.commands.train import TrainResult


def train(
    scenes: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SCENE...]", help="Scene files, or folders of them."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="A public dataset: cave, indianpines, paviac, paviau, salinas or ucmerced."
        ),
    ] = None,
    scale: Scale = 4,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="dacn-any, dacn, edsr, ..., or package.module:build. [default: the recipe's]",
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Start from these weights: a released name or a .safetensors file; of another "
            "scale, from all but their upsampling."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="any, adapt, dacn-paper, dacn-published, or a .toml file. "
            "[default: any; adapt with --init]"
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe."),
    ] = None,
    photographs: Annotated[
        Path | None,
        typer.Option(
            help="Colour photographs to learn spatial detail from, for recipes that do: a folder, "
            "or an .npz file with `images`."
        ),
    ] = None,
    val: Annotated[
        list[Path] | None,
        typer.Option(help="Scenes to validate on. [default: a strip of each training scene]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, splits and patches.")] = 0,
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop after so long; the learning rate falls in time.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for weights, card, state and curve.")
    ] = Path("hsisr-run"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out; same options otherwise.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where datasets lie. [default: $HSISR_DATA, or the user's cache]"),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Download nothing.")] = False,
    variable: Variable = None,
    axes: Axes = None,
    nodata: Nodata = None,
    device: Device = "auto",
    threads: Threads = None,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Train a network on your scenes or a public dataset, or adapt released weights (--init)."""
    level = verbosity(verbose, quiet=quiet)
    with expected_errors(level):
        from hsisr.commands.train import TrainOptions
        from hsisr.commands.train import train as run
        from hsisr.engine.memory import tune_allocator

        options = TrainOptions(
            scenes=tuple(scenes or ()),
            dataset=dataset,
            photographs=photographs,
            val=tuple(val or ()),
            scale=scale,
            model=model,
            init=init,
            recipe=recipe,
            settings=tuple(settings or ()),
            seed=seed,
            max_minutes=max_minutes,
            out=out,
            resume=resume,
            overwrite=overwrite,
            device=device,
            threads=threads,
            variable=variable,
            axes=axes,
            nodata=nodata,
            data_dir=data_dir,
            offline=offline,
            command=shlex.join(["hsisr", *sys.argv[1:]]),
        )
        tune_allocator()
        with training_progress(enabled=level > QUIET, minutes=max_minutes) as progress:
            result = run(options, observer=progress, downloading=progress.downloaded)
        if result.first:
            _report(result, json=json, quiet=level <= QUIET)
        if result.ending == "stopped":
            _leave_stopped(result)


def _report(result: "TrainResult", *, json: bool, quiet: bool) -> None:
    """The weights' path on stdout, or one JSON object; how it went on stderr."""
    if json:
        print_json(result.as_dict())
    elif result.weights is not None:
        tell(result.weights)
    if quiet or result.score is None:
        return
    start = (
        "" if result.start is None else f"{result.score - result.start:+.2f} dB over its start, "
    )
    say(
        f"{result.score:.2f} dB on what was held out, {start}{result.gain}; best at step "
        f"{result.best_step} of {result.steps}"
    )


def _leave_stopped(result: "TrainResult") -> None:
    say(f"stopped after step {result.steps}; the same command with --resume continues")
    raise typer.Exit(TERMINATED if result.signal == signal.SIGTERM else INTERRUPTED)
