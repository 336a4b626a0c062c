"""`hsisr benchmark --speed`: its own options, one call, one table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from hsisr.cli.console import print_json, say
from hsisr.errors import UsageError


def benchmark_speed(
    options: Mapping[str, Any], *, json: bool, quiet: bool, others: Mapping[str, bool]
) -> None:
    """Measure, print the tables or the JSON object.

    Args:
        options: Of `hsisr.benchmark.speed.run.SpeedOptions`; empty scales: all.
        json: Print JSON in place of the tables.
        quiet: Say nothing on the way.
        others: Options of a comparison, and whether they were given.

    Raises:
        UsageError: One of `others` was given.
    """
    if found := [name for name, given in others.items() if given]:
        raise UsageError(
            f"found --speed with {', '.join(found)}; --speed compares no scores, leave them out"
        )
    from hsisr.benchmark.speed.report import speed_page
    from hsisr.benchmark.speed.run import SpeedOptions
    from hsisr.benchmark.speed.run import benchmark_speed as run

    table = {key: value for key, value in options.items() if key != "scales" or value}
    facts = run(SpeedOptions(**table), say=None if quiet else say)
    if json:
        print_json(facts)
    else:
        typer.echo(speed_page(facts), nl=False)


def folder_or_default(out: Path | None) -> Path:
    """Where a comparison goes if nothing is said."""
    return Path("report") if out is None else out
