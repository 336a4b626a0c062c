"""An option: one field; flag, help, check and the value in tags derive from it."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from hsisr.cli.console import tell
from hsisr.cli.options import Given, takes
from hsisr.commands.options import SceneOptions
from hsisr.option import Option
from hsisr.resume.record import decisive_options


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftOptions(SceneOptions):
    """How to shift; a SceneOptions checks every declared option when it is made."""

    rows: Annotated[
        int, Option("Rows to shift by.", ("--rows", "-r"), affects_result=True, least=0)
    ] = 0


app = typer.Typer()


@app.command()
@takes(ShiftOptions)
def shift(options: Given) -> None:
    """Show what the options are."""
    tell(decisive_options(options.made(ShiftOptions)))


for arguments in (["--rows", "2", "--nodata", "0"], ["-r", "-1"], ["--help"]):
    done = CliRunner().invoke(app, arguments)
    print(done.exit_code, done.output)
