"""The `hsisr benchmark` command."""

import shlex
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsisr.benchmark.options import BenchmarkOptions, SpeedOptions
from hsisr.cli.console import INTERRUPTED, TERMINATED, print_json, say, tell
from hsisr.cli.options import Given, takes
from hsisr.cli.progress import BenchmarkProgress, shown_bars
from hsisr.errors import UsageError
from hsisr.option import names_of

if TYPE_CHECKING:
    from hsisr.benchmark.run import BenchmarkResult


@takes(BenchmarkOptions, SpeedOptions)
def benchmark(
    options: Given,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="N[,METHOD=N,...]",
            help="Trainings of each network, or of the one named. [default: 1]",
        ),
    ] = None,
    speed: Annotated[
        bool,
        typer.Option(
            "--speed",
            help="Measure this machine instead: seconds and rates of tiles and of a whole scene.",
        ),
    ] = False,
) -> None:
    """Compare methods: train alike, judge, measure cost, report; exit 1 if one failed."""
    command = shlex.join(["hsisr", *sys.argv[1:]])
    if speed:
        found = [*options.foreign(SpeedOptions), *(["--seeds"] if seeds else [])]
        if found:
            raise UsageError(
                f"found --speed with {', '.join(found)}; --speed compares no scores, leave them out"
            )
        how = options.made(SpeedOptions, command=command)
        _measure_speed(how, json=options.json, quiet=options.quiet)
        return
    from hsisr.benchmark.run import benchmark as run

    common, own = _seeds(seeds or "1")
    wanted = options.made(BenchmarkOptions, seeds=common, own_seeds=own, command=command)
    with shown_bars(wanted=not options.quiet) as bars:
        progress = BenchmarkProgress(bars, lines=not options.quiet)
        result = run(wanted, observer=progress, downloading=progress.downloaded)
    if result.signal is not None:
        say("stopped; finished pieces are kept, the same command with --resume goes on")
        code = TERMINATED if result.signal == signal.SIGTERM else INTERRUPTED
        raise typer.Exit(code)
    _show(result, table=wanted.table, json=options.json)


def _measure_speed(options: SpeedOptions, *, json: bool, quiet: bool) -> None:
    from hsisr.benchmark.speed.run import benchmark_speed, speed_page

    facts = benchmark_speed(options, say=None if quiet else say)
    if json:
        print_json(facts)
    else:
        tell(speed_page(facts).removesuffix("\n"))


def _seeds(text: str) -> tuple[int, dict[str, int]]:
    """Seeds of all networks, and of those that have their own number.

    >>> _seeds("1,dacn=3")
    (1, {'dacn': 3})
    """
    common, own = 1, {}
    for part in names_of(text):
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
