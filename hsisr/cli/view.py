"""The `hsisr view` command."""

from pathlib import Path
from typing import Annotated

import typer

from hsisr.cli.console import QUIET, expected_errors, print_json, say
from hsisr.cli.options import Axes, Json, Nodata, Overwrite, Quiet, Variable, Verbose, verbosity
from hsisr.io.paths import scene_path


def view(
    scene: Annotated[
        Path,
        typer.Argument(metavar="SCENE", parser=scene_path, help="The observed scene."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PAGE.html", help="Page to write.")
    ],
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RESULT...]", parser=scene_path, help="Finer scenes that were made from it."
        ),
    ] = None,
    window: Annotated[
        list[str] | None,
        typer.Option(
            "--window",
            metavar="ROW,COLUMN",
            help="Middle of a full-size window, in pixels of SCENE counted from 1; repeatable. "
            "[default: where most detail was added]",
        ),
    ] = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            metavar="SCENE", parser=scene_path, help="Uncertainty of the first RESULT's values."
        ),
    ] = None,
    variable: Variable = None,
    axes: Axes = None,
    nodata: Nodata = None,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Make a page to look at a scene and its results: swipe, choose bands, click for spectra."""
    level = verbosity(verbose, quiet=quiet)
    with expected_errors(level):
        from hsisr.commands.view import ViewOptions
        from hsisr.commands.view import view as make

        options = ViewOptions(
            windows=tuple(_place(text) for text in window or ()),
            uncertainty=uncertainty,
            variable=variable,
            axes=axes,
            nodata=nodata,
            overwrite=overwrite,
        )
        made = make(scene, results or (), output, options)
        if json:
            print_json(made.as_dict())
            return
        typer.echo(str(made.output))
        if level > QUIET:
            say(f"{made.bytes / 1e6:.1f} MB; at full size: {'; '.join(made.windows)}")


def _place(text: str) -> tuple[int, int]:
    """0-based row and column.

    >>> _place("12,40")
    (11, 39)
    """
    from hsisr.errors import UsageError

    row, comma, col = text.partition(",")
    if not (comma and row.strip().isdecimal() and col.strip().isdecimal()):
        raise UsageError(f"--window {text}: expected ROW,COLUMN such as 120,80")
    return int(row) - 1, int(col) - 1
