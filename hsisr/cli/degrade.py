"""The `hsisr degrade` command."""

from pathlib import Path
from typing import Annotated

import typer

from hsisr.cli.console import expected_errors, print_json, tell
from hsisr.cli.options import Given, Json, Quiet, SceneArgument, Verbose, takes, verbosity
from hsisr.commands.options import DegradeOptions
from hsisr.io.paths import scene_path


@takes(DegradeOptions)
def degrade(
    options: Given,
    scene: SceneArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PATH", parser=scene_path, help="Output file.")
    ],
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Make coarser pixels, centred: the LR scene that a sensor would have seen."""
    with expected_errors(verbosity(verbose, quiet=quiet)):
        from hsisr.commands.degrade import degrade as make

        result = make(scene, output, options.made(DegradeOptions))
        if json:
            print_json(result.as_dict())
        else:
            tell(result.output)
