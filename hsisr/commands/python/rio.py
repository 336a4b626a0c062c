"""`rio hsisr`: the program as a plug-in of rasterio's command line."""

import subprocess
import sys

import click


@click.command(
    "hsisr",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def hsisr(arguments: tuple[str, ...]) -> None:
    """Super-resolution of hyperspectral scenes: `rio hsisr upscale scene.tif -o finer.tif`.

    Everything after `rio hsisr` is what the program `hsisr` takes; `rio hsisr --help` shows it.
    """
    sys.exit(subprocess.call([sys.executable, "-m", "hsisr", *arguments]))  # noqa: S603 - ourselves
