"""The `hsisr sample` command."""

from pathlib import Path
from typing import Annotated

import typer

from hsisr.cli.console import QUIET, expected_errors, say, tell
from hsisr.cli.options import Overwrite, Quiet


def sample(
    output: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="Header to write, or a folder. [default: indian-pines.hdr here]",
            show_default=False,
        ),
    ] = Path(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write a small real scene to try things on: AVIRIS, Indian Pines, as ENVI."""
    with expected_errors(QUIET if quiet else 0):
        from hsisr.commands.sample import CREDIT, write_sample

        tell(write_sample(output, overwrite=overwrite))
        if not quiet:
            say(CREDIT)
