"""The `hsisr` program: one Typer application, one file per command.

Nothing here or in the command files imports torch or rasterio; a command loads what it needs when
it runs. The program itself loads only the file of the command that is called.
"""

import atexit
import gc
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated, Any, Final

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from hsisr.cli.console import StandardStreams, say
from hsisr.cli.options import examples
from hsisr.errors import ResourceError, one_line

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "upscale": (
        "hsisr upscale scene.tif",
        "hsisr upscale scenes/ --scale 2 --cog --skip-existing -o finer/",
    ),
    "info": ("hsisr info scene.hdr", "hsisr info cube.mat --variable data --json"),
    "view": (
        "hsisr view scene.tif scene_x4.tif",
        "hsisr view scene.tif a.tif b.tif --window 120,80 -o page.html",
    ),
    "evaluate": (
        "hsisr evaluate truth.tif estimate.tif --lr observed.tif",
        "hsisr evaluate --wald scene.tif --scale 4 --picture look.png",
    ),
    "degrade": (
        "hsisr degrade scene.tif --scale 4 -o coarse.tif",
        "hsisr degrade scene.hdr --scale 2 --method mtf --crop -o coarse.hdr",
    ),
    "train": (
        "hsisr train scenes/ --init dacn-any-x4 --max-minutes 20 -o my-run",
        "hsisr train --dataset cave --model edsr --scale 2 -o cave-run",
    ),
    "benchmark": (
        "hsisr benchmark --smoke -o report",
        "hsisr benchmark --methods bicubic,dacn-any --scenes test/ --train train/ -o report",
    ),
    "sample": ("hsisr sample", "hsisr sample data/"),
    "weights": (),
}
"""The commands, each in the file of its name, and two calls of each for its help."""


_CLICKS_ERROR: Final[type[Exception]] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""Of Typer's own Click or of Click itself: that depends on Typer's version."""


class PlainHelp:
    """Of a command: in its help, switches and arguments show no type of Python's."""

    def get_params(self, ctx: Any) -> Any:
        """See `TyperCommand.get_params`."""
        found = super().get_params(ctx)  # type: ignore[misc]
        for parameter in found:
            if getattr(parameter, "is_flag", False) or getattr(parameter, "count", False):
                parameter.metavar = ""
            if isinstance(parameter, TyperArgument):
                parameter.display_type = lambda *_: ""  # type: ignore[method-assign]
        return found


class Command(PlainHelp, TyperCommand):
    """A command of the program."""


class Group(PlainHelp, TyperGroup):
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
    see = f" see '{context.command_path} -h'" if context else ""
    say(f"error: {message}{'' if message.endswith('?') or not see else ';'}{see}", color="red")


def application(*names: str) -> typer.Typer:
    """The application with these commands; without names with all."""
    app = typer.Typer(
        name="hsisr",
        cls=Group,
        help="Super-resolution of hyperspectral scenes: finer pixels, same spectra, same ground.",
        no_args_is_help=True,
        # the tables of narrower panels would cut names of options
        rich_markup_mode="markdown" if get_terminal_size().columns >= 80 else None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(main)
    for name in names or EXAMPLES:
        command = getattr(import_module(f"hsisr.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            for own in command.registered_commands:
                own.cls = Command
            app.add_typer(command, name=name, cls=Group)
            continue
        app.command(
            cls=Command,
            short_help=(command.__doc__ or "").strip().split("\n")[0],
            epilog=examples(*EXAMPLES[name]),
        )(command)
    return app


def _version(*, wanted: bool) -> None:
    if wanted:
        from hsisr import __version__

        typer.echo(f"hsisr {__version__}")
        raise typer.Exit


def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda v: _version(wanted=v), is_eager=True, help="Show version."
        ),
    ] = False,
) -> None:
    """Super-resolution of hyperspectral scenes: finer pixels, same spectra, same ground."""


def __getattr__(name: str) -> Any:
    """`app`, with all commands, for callers from Python and for the reference page."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return application()


def __dir__() -> list[str]:
    return sorted({*globals(), "app"})


def program() -> None:
    """What the `hsisr` script calls.

    The libraries make many objects that live as long as the program; looking through them for
    garbage again and again, at last when it ends, would take a good part of a short command's time.
    """
    streams = StandardStreams()
    os.environ.setdefault("CPL_LOG", os.devnull)  # where GDAL's own lines go without a handler
    gc.set_threshold(100_000, 20, 20)
    atexit.register(gc.freeze)
    called = sys.argv[1:2] if sys.argv[1:2] and sys.argv[1] in EXAMPLES else []
    try:
        application(*called)(prog_name="hsisr")
    except SystemExit as ending:
        code = streams.verdict(ending.code)
        if code == ResourceError.exit_code:
            # all is said and closed; without memory, the interpreter's own end would say more
            os._exit(code)
        raise SystemExit(code) from None
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            # an exception while libraries in C++ are taken down would abort
            signal.signal(signal.SIGINT, signal.SIG_DFL)
