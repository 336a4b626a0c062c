"""The `hsisr` program: one Typer application, one file per command.

Nothing here or in the command files imports torch or rasterio; a command loads what it needs when
it runs.
"""

import atexit
import gc
import os
import signal
from collections.abc import Callable
from typing import Annotated, Final

import typer

from hsisr.cli.benchmark import benchmark
from hsisr.cli.degrade import degrade
from hsisr.cli.evaluate import evaluate
from hsisr.cli.group import Group
from hsisr.cli.info import info
from hsisr.cli.sample import sample
from hsisr.cli.streams import StandardStreams
from hsisr.cli.train import train
from hsisr.cli.upscale import upscale
from hsisr.cli.view import view
from hsisr.cli.weights import weights
from hsisr.errors import ResourceError

app = typer.Typer(
    name="hsisr",
    cls=Group,
    help="Super-resolution of hyperspectral scenes: finer pixels, same spectra, same ground.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(*, wanted: bool) -> None:
    if wanted:
        from hsisr import __version__

        typer.echo(f"hsisr {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda v: _version(wanted=v), is_eager=True, help="Show version."
        ),
    ] = False,
) -> None:
    """Super-resolution of hyperspectral scenes: finer pixels, same spectra, same ground."""


_EXAMPLES: Final[dict[Callable[..., None], tuple[str, str]]] = {
    upscale: (
        "hsisr upscale scene.tif",
        "hsisr upscale scenes/ --scale 2 --cog --skip-existing -o finer/",
    ),
    info: ("hsisr info scene.hdr", "hsisr info cube.mat --variable data --json"),
    view: (
        "hsisr view scene.tif scene_x4.tif -o page.html",
        "hsisr view scene.tif a.tif b.tif --window 120,80 -o page.html",
    ),
    evaluate: (
        "hsisr evaluate truth.tif estimate.tif --lr observed.tif",
        "hsisr evaluate --wald scene.tif --scale 4 --picture look.png",
    ),
    degrade: (
        "hsisr degrade scene.tif --scale 4 -o coarse.tif",
        "hsisr degrade scene.hdr --scale 2 --method mtf --crop -o coarse.hdr",
    ),
    train: (
        "hsisr train scenes/ --init dacn-any-x4 --max-minutes 20 -o my-run",
        "hsisr train --dataset cave --model edsr --scale 2 -o cave-run",
    ),
    benchmark: (
        "hsisr benchmark --smoke -o report",
        "hsisr benchmark --methods bicubic,dacn-any --scenes test/ --train train/ -o report",
    ),
    sample: ("hsisr sample", "hsisr sample data/"),
}
"""Two calls of each command, for its help."""

for _command, _calls in _EXAMPLES.items():
    app.command(
        short_help=(_command.__doc__ or "").strip().split("\n")[0],
        epilog="\n\n".join(["Examples:", *(f"- `{call}`" for call in _calls)]),
    )(_command)
app.add_typer(weights, name="weights")


def program() -> None:
    """What the `hsisr` script calls.

    The libraries make many objects that live as long as the program; looking through them for
    garbage again and again, at last when it ends, would take a good part of a short command's time.
    """
    streams = StandardStreams()
    os.environ.setdefault("CPL_LOG", os.devnull)  # where GDAL's own lines go without a handler
    gc.set_threshold(100_000, 20, 20)
    atexit.register(gc.freeze)
    try:
        app()
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
