"""The `hsisr upscale` command."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsisr.cli import console
from hsisr.cli.options import Given, scene_argument, takes
from hsisr.engine.options import MANY, OUTPUT, SelectOptions, UpscaleOptions

if TYPE_CHECKING:
    from hsisr.commands.archive.run import Outcome
    from hsisr.commands.archive.select import Selection
    from hsisr.commands.upscale import Progress, UpscaleResult


@takes(UpscaleOptions, SelectOptions)
def upscale(
    options: Given,
    sources: Annotated[
        list[Path] | None,
        scene_argument("SCENE", "Scene files, folders of scenes or of images, URLs, STAC Items."),
    ] = None,
    cog: Annotated[
        bool, typer.Option("--cog", help="The same as --format cog.", rich_help_panel=OUTPUT)
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Leave out finished scenes; redo interrupted ones.",
            rich_help_panel=MANY,
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan; write nothing.")
    ] = False,
) -> None:
    """Make finer pixels: same ground, same bands, same metadata, SCALE times the resolution."""
    from hsisr.commands.archive.run import Done, make_folder, upscale_all
    from hsisr.commands.archive.select import select
    from hsisr.engine.machine import tune_allocator

    how = options.made(UpscaleOptions, format=_format(options.values.get("format"), cog=cog))
    wanted = options.made(SelectOptions, sources=sources)
    selection = select(wanted, how, os.environ)
    if (shard := selection.shard) is not None and not options.quiet:
        own = len(selection.entries)
        idle = "" if own else "; nothing to do"
        console.say(f"shard {shard.number} of {shard.of}: {own} of {selection.total} scenes{idle}")
    if selection.in_folder and wanted.output is not None and not dry_run:
        make_folder(wanted.output)
    tune_allocator()
    outcomes: list[Outcome] = []
    with _bars(len(selection.entries), enabled=not (options.quiet or dry_run)) as bar:
        for outcome in upscale_all(
            selection, how, skip_existing=skip_existing, dry_run=dry_run, progress=bar
        ):
            outcomes.append(outcome)
            if not options.json and isinstance(outcome, Done):
                _show(outcome.result, selection.total, quiet=options.quiet)
    if options.json:
        console.print_json(_report(outcomes, selection))
    _judge(outcomes, quiet=options.quiet)


def _bars(
    scenes: int, *, enabled: bool
) -> "AbstractContextManager[Callable[[Path], Progress | None]]":
    """A bar for each scene, where stderr is a terminal."""
    if not (enabled and sys.stderr.isatty()):
        return nullcontext(lambda _: None)
    from hsisr.cli.progress import scene_bars

    return scene_bars(scenes)


def _format(named: str | None, *, cog: bool) -> str | None:
    if not cog:
        return named
    if named is not None and named.lower() not in ("cog", "gtiff"):
        from hsisr.errors import UsageError

        raise UsageError(f"found --cog and --format {named}, expected one of them")
    return "COG"


def _report(outcomes: "list[Outcome]", selection: "Selection") -> dict[str, Any]:
    from hsisr.commands.archive.run import Done, Skipped
    from hsisr.commands.archive.select import Failure

    shard, own = selection.shard, len(selection.entries)
    kinds = {"results": Done, "failed": Failure, "skipped": Skipped}
    return {
        **{
            name: [outcome.as_dict() for outcome in outcomes if isinstance(outcome, kind)]
            for name, kind in kinds.items()
        },
        "shard": shard
        and {"number": shard.number, "of": shard.of, "scenes": own, "of_scenes": selection.total},
    }


def _judge(outcomes: "list[Outcome]", *, quiet: bool) -> None:
    """One line per failure; the code of the only scene's error, or 1 if some of many failed."""
    from hsisr.commands.archive.run import Skipped
    from hsisr.commands.archive.select import Failure

    skipped = sum(isinstance(outcome, Skipped) for outcome in outcomes)
    if skipped and not quiet:
        console.say(f"{skipped} of {len(outcomes)} scenes finished already; left out")
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if len(outcomes) == 1 and failures:
        raise failures[0].error
    for failure in failures:
        console.say(f"error: {failure.error}", color="red")
    if failures:
        console.say(f"{len(failures)} of {len(outcomes)} scenes failed")
        raise typer.Exit(1)


def _show(made: "UpscaleResult", scenes: int, *, quiet: bool) -> None:
    """The path of an output on stdout and what was done on stderr; or the plan on stdout.

    One line of talk for each of several scenes, so that a list of thousands stays readable.
    """
    if not made.written:
        rows = [*_plan_rows(made), *_cost_rows(made)]
        console.tell(console.fact_table(str(made.source), rows, 15, sys.stdout))
        return
    console.tell(made.output)
    if quiet:
        return
    if scenes > 1:
        size = "{} bands, {} rows, {} columns".format(*made.output_shape)
        console.say(f"{_names(made)}: {size}, {made.model}, {console.duration(made.seconds)}")
    else:
        title = f"{made.source.name} -> {_names(made)}"
        console.say_table(console.fact_table(title, _done_rows(made), 15, sys.stderr))
        console.say_table("  detail inside an observed pixel is estimated, not measured")


def _names(made: "UpscaleResult") -> str:
    """All files that were written, those in another folder than the output with theirs."""
    here = made.output.parent
    files = dict.fromkeys((made.output, *made.files))
    return ", ".join(file.name if file.parent == here else str(file) for file in files)


def _plan_rows(made: "UpscaleResult") -> list[tuple[str, str]]:
    size, sha = "{} bands, {} rows, {} columns", made.weights_sha256
    pixel = "" if made.pixel_m is None else "; pixels {:.4g} m -> {:.4g} m".format(*made.pixel_m)
    dropped = made.written_bands is not None and not {*made.bad_bands} & {*made.written_bands}
    fate = "dropped" if dropped else f"interpolated{' beside the network' if sha else ''}"
    bad = f"{console.ranges(made.bad_bands)}: {fate}" if made.bad_bands else "none"
    return [
        ("output", f"{made.output} ({made.format}, {made.dtype})"),
        ("size", f"{size.format(*made.input_shape)} -> {size.format(*made.output_shape)}{pixel}"),
        ("model", f"{made.model}{f' (weights {sha[:8]})' if sha else ''} x{made.scale}"),
        ("device", made.device),
        ("bad bands", bad),
    ]


def _cost_rows(plan: "UpscaleResult") -> list[tuple[str, str]]:
    seconds, groups = plan.estimated_seconds, console.counted(plan.groups, "band group")
    groups += f" of {plan.pseudo_bands} pseudo-bands" if plan.pseudo_bands else ""
    return [
        ("work", f"{console.counted(plan.tiles, 'tile')} in {groups}"),
        ("output size", f"{console.megabytes(plan.output_bytes)} before compression"),
        ("peak memory", f"about {plan.peak_memory_bytes / 1e6:,.0f} MB"),
        (
            "time",
            "unknown"
            if seconds is None
            else f"about {console.duration(seconds)} here, tiles alone",
        ),
    ]


def _done_rows(made: "UpscaleResult") -> list[tuple[str, str]]:
    written, used = made.file_bytes, made.used_memory_bytes
    size = "" if written is None else f", {console.megabytes(written)}"
    near = f"are within {made.agreement:.2g} of" if made.agreement else "equal"
    return [
        ("format", f"{made.format}, {made.dtype}{size}"),
        *_plan_rows(made)[1:],
        (
            "agreement",
            "not measured"
            if made.agreement is None
            else f"block averages {near} the observed pixels (first, middle and last rows)",
        ),
        (
            "took",
            console.duration(made.seconds)
            + ("" if used is None else f", at most {used / 1e6:,.0f} MB of memory"),
        ),
    ]
