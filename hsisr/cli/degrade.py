"""The `hsisr degrade` command."""

from pathlib import Path
from typing import Annotated

import typer

from hsisr.cli.console import expected_errors, print_json, tell
from hsisr.cli.options import (
    Axes,
    Bbox,
    Json,
    Nodata,
    Overwrite,
    Quiet,
    Variable,
    Verbose,
    WindowOf,
    verbosity,
)
from hsisr.engine.options import key_values, numbers_of
from hsisr.io.formats import CREATION_HELP, FORMAT_HELP
from hsisr.io.paths import scene_path


def degrade(
    scene: Annotated[
        Path,
        typer.Argument(metavar="SCENE", parser=scene_path, help="A scene in any supported format."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PATH", parser=scene_path, help="Output file.")
    ],
    scale: Annotated[
        int, typer.Option("--scale", "-s", help="HR pixels per LR pixel along a side.")
    ] = 4,
    method: Annotated[str, typer.Option(help="area, gaussian, mtf or bicubic.")] = "area",
    gain: Annotated[
        float | None,
        typer.Option(help="With mtf: gain at the LR Nyquist frequency. [default: 0.3]"),
    ] = None,
    crop: Annotated[
        bool,
        typer.Option("--crop", help="Leave out last rows and columns that fill no LR pixel."),
    ] = False,
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", "-t", help="Output data type. [default: the input's]"),
    ] = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option("--format", "-f", help=FORMAT_HELP),
    ] = None,
    creation_options: Annotated[
        list[str] | None,
        typer.Option("--co", metavar="KEY=VALUE", help=CREATION_HELP),
    ] = None,
    variable: Variable = None,
    axes: Axes = None,
    nodata: Nodata = None,
    window: WindowOf = None,
    bbox: Bbox = None,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Make coarser pixels, centred: the LR scene that a sensor would have seen."""
    with expected_errors(verbosity(verbose, quiet=quiet)):
        from hsisr.commands.degrade import DegradeOptions
        from hsisr.commands.degrade import degrade as make

        options = DegradeOptions(
            scale=scale,
            method=method,
            gain=gain,
            crop=crop,
            dtype=dtype,
            format=format,
            creation_options=key_values(creation_options or []),
            overwrite=overwrite,
            variable=variable,
            axes=axes,
            nodata=nodata,
            window=numbers_of(window, int),
            bbox=numbers_of(bbox, float),
        )
        result = make(scene, output, options)
        if json:
            print_json(result.as_dict())
        else:
            tell(str(result.output))
