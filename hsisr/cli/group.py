"""The group of commands: a wrong call is one line on stderr, like every other wrong input."""

import os
import sys
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperGroup

from hsisr.cli.console import say
from hsisr.errors import one_line

_CLICKS_ERROR: Final[type[Exception]] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""Of Typer's own Click or of Click itself: that depends on Typer's version."""


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
        except _CLICKS_ERROR as error:
            _show(error)
            code = error.exit_code  # type: ignore[attr-defined]
        sys.exit(code)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """See `TyperGroup.resolve_command`; a scene in place of a command is upscaled, in words."""
        name = args[0]
        if self.get_command(ctx, name) is None and ({".", os.sep} & {*name} or Path(name).exists()):
            output = " -o OUTPUT" if {"-o", "--output"} & {*args} else ""
            ctx.fail(
                f"no command {name!r}; to make that scene finer, write "
                f"{ctx.command_path} upscale {name}{output}"
            )
        return super().resolve_command(ctx, args)


def _show(error: Any) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    message = one_line(error.format_message())
    message = message[:1].lower() + message[1:].rstrip(".")
    context = getattr(error, "ctx", None)
    see = f"; see '{context.command_path} -h'" if context else ""
    say(f"error: {message}{see}", color="red")
