"""The group of commands: a wrong call is one line on stderr, like every other wrong input."""

import sys
from typing import Any, Final, cast

import typer
from typer.core import TyperGroup

from hsisr.cli.console import say
from hsisr.errors import UsageError

_WRONG_CALL: Final = cast("type[Exception]", typer.BadParameter.__bases__[0])
"""Of Click's errors; whether of Typer's own Click depends on Typer's version."""


class Group(TyperGroup):
    """Typer would show a usage, a hint and the error, on four lines."""

    def main(self, *given: Any, **named: Any) -> Any:
        """See `TyperGroup.main`."""
        ends_program = named.get("standalone_mode", True)
        named["standalone_mode"] = False
        if not ends_program:
            return super().main(*given, **named)
        try:
            code = super().main(*given, **named)
        except _WRONG_CALL as error:
            _show(error)
            code = UsageError.exit_code
        sys.exit(code)


def _show(error: Any) -> None:
    message = error.format_message()
    if "\n" in message:  # help, for a call without arguments
        error.show()
        return
    message = message[:1].lower() + message[1:].rstrip(".")
    see = f"; see '{error.ctx.command_path} -h'" if error.ctx else ""
    say(f"error: {message}{see}", color="red")
