"""The `hsisr degrade` command."""

from pathlib import Path
from typing import Annotated

import typer

from hsisr.cli.console import print_json, tell
from hsisr.cli.options import Given, SceneArgument, takes
from hsisr.commands.options import DegradeOptions
from hsisr.io.paths import scene_path


@takes(DegradeOptions)
def degrade(
    options: Given,
    scene: SceneArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PATH", parser=scene_path, help="Output file.")
    ],
) -> None:
    """Make coarser pixels, centred: the LR scene that a sensor would have seen."""
    from hsisr.commands.degrade import degrade as make

    result = make(scene, output, options.made(DegradeOptions))
    if options.json:
        print_json(result.as_dict())
    else:
        tell(result.output)
