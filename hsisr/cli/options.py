"""Options that several commands share; each is declared once.

Verbose, Quiet: every command. Json: every command with a result. Overwrite: upscale, degrade,
sample, weights import. Variable, Axes: every command that reads a scene. Scale: upscale, degrade,
evaluate. Device, Precision, Threads: every command that runs a network.
"""

from typing import Annotated

import typer

Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv shows tracebacks.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Variable = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Variable of a .mat file, or array of a Zarr store, that holds the cube.",
    ),
]
Axes = Annotated[
    str | None,
    typer.Option(
        metavar="ORDER",
        help="Axis order of a .mat or .npy file or Zarr store: b(and) r(ow) c(olumn), as rcb.",
    ),
]
Scale = Annotated[
    int, typer.Option("--scale", "-s", help="HR pixels per LR pixel along a side: 2, 4 or 8.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[
    str, typer.Option(help="float32, or bfloat16 / float16 for the network alone.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Processor threads; all cores by default.")
]


def verbosity(verbose: int, *, quiet: bool) -> int:
    """One number for how much to say: -1 quiet, 0 normal, 1 verbose, 2 debug."""
    return -1 if quiet else verbose


def key_values(texts: list[str]) -> dict[str, str]:
    """Creation options from KEY=VALUE texts.

    Raises:
        UsageError: A text is not of that form.
    """
    from hsisr.errors import UsageError

    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--co {text}: expected KEY=VALUE")
        pairs[key.upper()] = value
    return pairs
