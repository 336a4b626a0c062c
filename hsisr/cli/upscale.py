"""The `hsisr upscale` command."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsisr.cli.console import QUIET, expected_errors, print_json, say
from hsisr.cli.openmp import sleep_beside_others
from hsisr.cli.options import Given, Json, Quiet, Verbose, takes, verbosity
from hsisr.cli.progress import progress_bars
from hsisr.engine.options import UpscaleOptions
from hsisr.io.paths import scene_path

if TYPE_CHECKING:
    from hsisr.commands.archive import Selection
    from hsisr.commands.batch import Outcome
    from hsisr.commands.upscale import UpscaleResult


@takes(UpscaleOptions)
def upscale(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            parser=scene_path,
            help="Output file; a folder for several scenes.",
        ),
    ],
    options: Given[UpscaleOptions],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SCENE...",
            parser=scene_path,
            help="Scene files, folders of scenes or of images, URLs, STAC Items.",
        ),
    ] = None,
    listed: Annotated[
        Path | None,
        typer.Option("--list", metavar="FILE", help="More scenes, one path a line; - for stdin."),
    ] = None,
    cog: Annotated[bool, typer.Option("--cog", help="Cloud-optimised GeoTIFF.")] = False,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Leave out finished scenes; redo broken-off ones."),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Do every N-th scene from the I-th on. [default: by the SLURM array task]",
        ),
    ] = None,
    asset: Annotated[
        str | None, typer.Option(metavar="KEY", help="Which asset of STAC Items is the scene.")
    ] = None,
    stac: Annotated[
        bool | None,
        typer.Option(
            help="Write STAC Items for outputs; --stac also takes items that lie beside scenes. "
            "[default: for scenes named by an item]"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan; write nothing.")
    ] = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Make finer pixels: same ground, same bands, same metadata, SCALE times the resolution."""
    level = verbosity(verbose, quiet=quiet)
    sleep_beside_others()
    with expected_errors(level):
        from hsisr.commands.archive import Wanted, select
        from hsisr.commands.batch import Done, make_folder, upscale_all
        from hsisr.engine.memory import tune_allocator

        how = options.made(format=_format(options.values.get("format"), cog=cog))
        wanted = Wanted(
            sources=sources or (),
            list=listed,
            output=output,
            shard=shard,
            asset=asset,
            items=stac,
        )
        selection = select(wanted, how, os.environ)
        if level > QUIET:
            _say_shard(selection)
        if selection.in_folder and not dry_run:
            make_folder(output)
        tune_allocator()
        outcomes: list[Outcome] = []
        with progress_bars(enabled=level > QUIET and not dry_run) as bar:
            for outcome in upscale_all(
                selection, how, skip_existing=skip_existing, dry_run=dry_run, progress=bar
            ):
                outcomes.append(outcome)
                if not json and isinstance(outcome, Done):
                    made = outcome.result
                    typer.echo(str(made.output) if made.written else _plan_text(made))
        if json:
            print_json(_report(outcomes, selection))
        _judge(outcomes, quiet=level <= QUIET)


def _format(named: str | None, *, cog: bool) -> str | None:
    """The format that both options name together."""
    if not cog:
        return named
    if named is not None and named.lower() not in ("cog", "gtiff"):
        from hsisr.errors import UsageError

        raise UsageError(f"found --cog and --format {named}, expected one of them")
    return "COG"


def _say_shard(selection: "Selection") -> None:
    shard, own = selection.shard, len(selection.entries)
    if shard is not None:
        idle = "" if own else "; nothing to do"
        say(f"shard {shard.number} of {shard.of}: {own} of {selection.total} scenes{idle}")


def _report(outcomes: "list[Outcome]", selection: "Selection") -> dict[str, Any]:
    """All outcomes as one object."""
    from hsisr.commands.archive import Failure
    from hsisr.commands.batch import Done, Skipped

    shard, own = selection.shard, len(selection.entries)
    return {
        "results": [o.as_dict() for o in outcomes if isinstance(o, Done)],
        "failed": [
            {"source": str(o.source), "error": str(o.error)}
            for o in outcomes
            if isinstance(o, Failure)
        ],
        "skipped": [o.as_dict() for o in outcomes if isinstance(o, Skipped)],
        "shard": shard
        and {"number": shard.number, "of": shard.of, "scenes": own, "of_scenes": selection.total},
    }


def _judge(outcomes: "list[Outcome]", *, quiet: bool) -> None:
    """One line per failure; the code of the only scene's error, or 1 if some of many failed."""
    from hsisr.commands.archive import Failure
    from hsisr.commands.batch import Skipped

    skipped = sum(isinstance(outcome, Skipped) for outcome in outcomes)
    if skipped and not quiet:
        say(f"{skipped} of {len(outcomes)} scenes finished already; left out")
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if len(outcomes) == 1 and failures:
        raise failures[0].error
    for failure in failures:
        say(f"error: {failure.error}", color="red")
    if failures:
        say(f"{len(failures)} of {len(outcomes)} scenes failed")
        raise typer.Exit(1)


def _plan_text(plan: "UpscaleResult") -> str:
    """What would be made, one fact a line."""
    size = "{} bands, {} rows, {} columns"
    rows = [
        ("output", f"{plan.output} ({plan.format}, {plan.dtype})"),
        ("size", f"{size.format(*plan.input_shape)} -> {size.format(*plan.output_shape)}"),
        ("model", f"{plan.model} x{plan.scale}"),
        ("work", f"{plan.tiles} tiles in {plan.groups} band groups"),
        ("bad bands", ", ".join(map(str, plan.bad_bands)) or "none"),
        ("output size", f"{plan.output_bytes / 1e6:,.1f} MB before compression"),
        ("peak memory", f"about {plan.peak_memory_bytes / 1e6:,.0f} MB"),
    ]
    return "\n".join([str(plan.source), *(f"  {name:<13}{value}" for name, value in rows)])
