"""The `hsisr view` command."""

from pathlib import Path
from typing import Annotated

import typer

from hsisr.cli.console import print_json, say, tell
from hsisr.cli.options import Given, scene_argument, takes
from hsisr.commands.options import ViewOptions


@takes(ViewOptions)
def view(
    options: Given,
    scene: Annotated[Path, scene_argument("SCENE", "The observed scene.")],
    results: Annotated[
        list[Path] | None, scene_argument("RESULT", "Finer scenes that were made from it.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PAGE.html",
            help="Page to write. [default: NAME_view.html beside SCENE]",
        ),
    ] = None,
) -> None:
    """Make a page to look at a scene and its results: swipe, choose bands, click for spectra."""
    from hsisr.commands.view import view as make

    made = make(scene, results or (), output, options.made(ViewOptions))
    if options.json:
        print_json(made.as_dict())
        return
    tell(made.output)
    if not options.quiet:
        size, windows = made.bytes / 1e6, "; ".join(made.windows)
        say(f"{made.output.name}: {size:.1f} MB; at full size: {windows}")
