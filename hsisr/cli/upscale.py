"""The `hsisr upscale` command."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsisr.cli.console import QUIET, expected_errors, print_json, say
from hsisr.cli.openmp import sleep_beside_others
from hsisr.cli.options import (
    Axes,
    Device,
    Json,
    Overwrite,
    Precision,
    Quiet,
    Scale,
    Threads,
    Variable,
    Verbose,
    key_values,
    verbosity,
)
from hsisr.cli.progress import progress_bars
from hsisr.io.paths import scene_path

if TYPE_CHECKING:
    from hsisr.commands.archive import Selection
    from hsisr.commands.batch import Outcome
    from hsisr.commands.upscale import UpscaleResult


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
    scale: Scale = 4,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="bicubic, nearest, lanczos, released weights by name, or a .safetensors file. "
            "[default: the released any-sensor weights of that scale]",
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option("--format", "-f", help="GTiff, COG, ENVI, MAT or Zarr. [default: by suffix]"),
    ] = None,
    cog: Annotated[bool, typer.Option("--cog", help="Cloud-optimised GeoTIFF.")] = False,
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", "-t", help="Output data type. [default: the input's]"),
    ] = None,
    creation_options: Annotated[
        list[str] | None,
        typer.Option("--co", metavar="KEY=VALUE", help="GDAL creation option; repeatable."),
    ] = None,
    overviews: Annotated[bool, typer.Option("--overviews", help="Add overviews.")] = False,
    quicklook: Annotated[
        Path | None,
        typer.Option(help="PNG with input and output side by side (a folder for several)."),
    ] = None,
    bad_bands: Annotated[
        str,
        typer.Option(help="Bands marked bad, empty or constant: interpolate, keep or drop."),
    ] = "interpolate",
    consistency: Annotated[
        bool, typer.Option(help="Make the area average of the output equal the input.")
    ] = True,
    tile: Annotated[int | None, typer.Option(help="Tile side in LR pixels.")] = None,
    overlap: Annotated[int | None, typer.Option(help="Blended tile border, LR pixels.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Tiles computed at once.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Dask scheduler whose workers do it (tcp://host:port), or local:N for N "
            "processes here.",
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "float32",
    threads: Threads = None,
    variable: Variable = None,
    axes: Axes = None,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the finished strips of a run broken off."),
    ] = False,
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
        from hsisr.engine.options import UpscaleOptions

        options = UpscaleOptions(
            scale=scale,
            model=model,
            bad_bands=bad_bands,  # type: ignore[arg-type]  # checked at birth
            consistency=consistency,
            tile=tile,
            overlap=overlap,
            batch_size=batch_size,
            scheduler=scheduler,
            device=device,
            precision=precision,
            threads=threads,
            dtype=dtype,
            format=_format(format, cog=cog),
            creation_options=key_values(creation_options or []),
            overviews=overviews,
            overwrite=overwrite,
            resume=resume,
            variable=variable,
            axes=axes,
            quicklook=quicklook,
        )
        wanted = Wanted(
            sources=sources or (),
            list=listed,
            output=output,
            shard=shard,
            asset=asset,
            items=stac,
        )
        selection = select(wanted, options, os.environ)
        if level > QUIET:
            _say_shard(selection)
        if selection.in_folder and not dry_run:
            make_folder(output)
        outcomes: list[Outcome] = []
        with progress_bars(enabled=level > QUIET and not dry_run) as bar:
            for outcome in upscale_all(
                selection, options, skip_existing=skip_existing, dry_run=dry_run, progress=bar
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
