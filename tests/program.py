"""The program as its user calls it, in this process."""

from typer.testing import CliRunner, Result

from hsisr.cli.main import app


def hsisr(*arguments: object, stdin: str | None = None) -> Result:
    """Run a command; its exit code, and what it wrote to either stream."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
