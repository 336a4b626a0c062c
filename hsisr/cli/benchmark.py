"""The `hsisr benchmark` command."""

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsisr.cli.benchmark_speed import benchmark_speed, folder_or_default
from hsisr.cli.console import INTERRUPTED, QUIET, TERMINATED, expected_errors, print_json, say, tell
from hsisr.cli.options import Device, Json, Nodata, Overwrite, Quiet, Threads, Verbose, verbosity
from hsisr.cli.progress import benchmark_progress

if TYPE_CHECKING:
    from hsisr.benchmark.run import BenchmarkResult


def benchmark(
    methods: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="What to compare. [default: the table's, or all]"),
    ] = None,
    scenes: Annotated[
        list[Path] | None, typer.Option(help="Scenes to judge by, or folders of them.")
    ] = None,
    train: Annotated[
        list[Path] | None, typer.Option(help="Other scenes, to learn from, or folders of them.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Public scenes in place of both, such as paviau or paviac,paviau: a part of each "
            "teaches, another judges."
        ),
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(metavar="2,4,8", help="HR pixels per LR pixel. [default: all]"),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="disjoint: all networks alike, on pixels that do not judge. dacn-published: the "
            "notebooks' split and settings, leak included."
        ),
    ] = "disjoint",
    seeds: Annotated[
        str,
        typer.Option(
            metavar="N[,METHOD=N,...]", help="Trainings of each network, or of the one named."
        ),
    ] = "1",
    budget: Annotated[
        float, typer.Option(metavar="MINUTES", help="Processor time of each training.")
    ] = 60.0,
    recipe: Annotated[
        str,
        typer.Option(
            help="common: one loss for all, at the best of --rates. authors: loss, unit and rate "
            "of each network's authors."
        ),
    ] = "common",
    rates: Annotated[
        str,
        typer.Option(metavar="A,B,...", help="Learning rates that the common recipe tries."),
    ] = "1e-3,3e-4,1e-4",
    blurs: Annotated[
        str, typer.Option(metavar="A,B,...", help="How judging scenes are degraded.")
    ] = "area,mtf",
    indoor: Annotated[
        str,
        typer.Option(metavar="A,B,...", help="File names of scenes that are not remote sensing."),
    ] = "cave-*,stereomsi-*",
    batches: Annotated[
        str,
        typer.Option(metavar="1,2,4,8", help="Tiles at once to measure the cost with."),
    ] = "1,2,4,8",
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="METHOD=FILE", help="Judge these in place of training."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="[METHOD:]KEY=VALUE", help="Change a value of the training recipe."
        ),
    ] = None,
    nodata: Nodata = None,
    table: Annotated[
        int | None,
        typer.Option(min=1, max=2, help="Print this table of the paper, re-measured."),
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="See in a minute that all works, on the sample scene.")
    ] = False,
    speed: Annotated[
        bool,
        typer.Option(
            "--speed",
            help="Measure this machine instead: seconds and rates of tiles and of a whole scene.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for the report and its cells. [default: report; with --speed: none]",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep what is finished in --out, do the rest.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where datasets lie. [default: $HSISR_DATA, or the user's cache]"),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Download nothing.")] = False,
    device: Device = "auto",
    threads: Threads = None,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Compare methods: train alike, judge, measure cost, report; exit 1 if one failed."""
    level = verbosity(verbose, quiet=quiet)
    with expected_errors(level):
        if speed:
            table_of_speed = {
                "scales": _numbers("--scales", scales),
                "smoke": smoke,
                "device": device,
                "threads": threads,
                "out": out,
                "overwrite": overwrite,
                "command": shlex.join(["hsisr", *sys.argv[1:]]),
            }
            given = {
                "--methods": methods is not None,
                "--scenes": bool(scenes),
                "--train": bool(train),
                "--dataset": dataset is not None,
                "--protocol": protocol != "disjoint",
                "--seeds": seeds != "1",
                "--budget": budget != 60.0,
                "--recipe": recipe != "common",
                "--rates": rates != "1e-3,3e-4,1e-4",
                "--blurs": blurs != "area,mtf",
                "--indoor": indoor != "cave-*,stereomsi-*",
                "--batches": batches != "1,2,4,8",
                "--weights": bool(weights),
                "--set": bool(settings),
                "--nodata": nodata is not None,
                "--table": table is not None,
                "--resume": resume,
            }
            benchmark_speed(table_of_speed, json=json, quiet=level <= QUIET, others=given)
            return
        from hsisr.benchmark.run import BenchmarkOptions
        from hsisr.benchmark.run import benchmark as run

        options = BenchmarkOptions(
            methods=_listed(methods),
            scenes=tuple(scenes or ()),
            train=tuple(train or ()),
            datasets=_listed(dataset),
            scales=_numbers("--scales", scales),
            protocol=protocol,  # type: ignore[arg-type]  # checked at birth
            seeds=_seeds(seeds)[0],
            own_seeds=_seeds(seeds)[1],
            budget=budget,
            recipe=recipe,  # type: ignore[arg-type]  # checked at birth
            rates=_decimals("--rates", rates),
            blurs=_listed(blurs),
            indoor=_listed(indoor),
            batches=_numbers("--batches", batches),
            weights=tuple(weights or ()),
            settings=tuple(settings or ()),
            nodata=nodata,
            table=table,
            smoke=smoke,
            out=folder_or_default(out),
            resume=resume,
            overwrite=overwrite,
            device=device,
            threads=threads or 1,
            data_dir=data_dir,
            offline=offline,
            command=shlex.join(["hsisr", *sys.argv[1:]]),
        )
        with benchmark_progress(enabled=level > QUIET) as progress:
            result = run(options, observer=progress, downloading=progress.downloaded)
        if result.signal is not None:
            say("stopped; finished pieces are kept, the same command with --resume goes on")
            code = TERMINATED if result.signal == signal.SIGTERM else INTERRUPTED
            raise typer.Exit(code)
        _show(result, table=table, json=json)


def _listed(text: str | None) -> tuple[str, ...]:
    """Names between commas."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _numbers(option: str, text: str | None) -> tuple[int, ...]:
    """Whole numbers between commas."""
    from hsisr.errors import UsageError

    try:
        return tuple(int(part) for part in _listed(text))
    except ValueError as error:
        raise UsageError(f"{option} {text}: expected numbers such as 2,4,8") from error


def _decimals(option: str, text: str) -> tuple[float, ...]:
    """Numbers between commas."""
    from hsisr.errors import UsageError

    try:
        return tuple(float(part) for part in _listed(text))
    except ValueError as error:
        raise UsageError(f"{option} {text}: expected numbers such as 1e-3,1e-4") from error


def _seeds(text: str) -> tuple[int, dict[str, int]]:
    """Seeds of all networks, and of those that have their own number.

    >>> _seeds("1,dacn=3")
    (1, {'dacn': 3})
    """
    from hsisr.errors import UsageError

    common, own = 1, {}
    for part in _listed(text):
        method, equals, number = part.rpartition("=")
        if not number.isdecimal() or (equals and not method):
            raise UsageError(f"--seeds {text}: expected a number, or one such as 1,dacn=3")
        if method:
            own[method] = int(number)
        else:
            common = int(number)
    return common, own


def _show(result: "BenchmarkResult", *, table: int | None, json: bool) -> None:
    """The report's path, the table asked for, or one JSON object; a line per failure."""
    from hsisr.benchmark.report import paper_table_text

    facts: dict[str, Any] = result.facts
    if json:
        print_json(facts)
    else:
        tell(result.page if table is None else paper_table_text(facts))
    for failure in result.failures:
        say(f"error: {failure['what']}: {failure['error']}", color="red")
    if result.failures:
        raise typer.Exit(1)
