"""The `hsisr evaluate` command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsisr.cli.console import expected_errors, print_json, say, tell
from hsisr.cli.options import (
    Axes,
    Device,
    Json,
    Nodata,
    Overwrite,
    Quiet,
    Variable,
    Verbose,
    verbosity,
)
from hsisr.io.paths import scene_path

if TYPE_CHECKING:
    from hsisr.commands.evaluate import Report
    from hsisr.commands.wald import WaldReport
    from hsisr.metrics.report import Threshold


def evaluate(
    reference: Annotated[
        Path | None,
        typer.Argument(
            metavar="[REFERENCE]",
            parser=scene_path,
            help="The truth on the estimate's grid; left out with --lr alone.",
        ),
    ] = None,
    estimate: Annotated[
        Path | None, typer.Argument(metavar="[ESTIMATE]", parser=scene_path, help="What is judged.")
    ] = None,
    lr: Annotated[
        Path | None,
        typer.Option(
            metavar="OBSERVED",
            parser=scene_path,
            help="The LR scene that the estimate must agree with.",
        ),
    ] = None,
    wald: Annotated[
        Path | None,
        typer.Option(
            metavar="SCENE",
            parser=scene_path,
            help="Degrade this scene, upscale it with --model, score it beside bicubic.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="With --wald: as for hsisr upscale.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="With --wald: area, gaussian, mtf or bicubic. [default: area]"),
    ] = None,
    consistency: Annotated[
        bool,
        typer.Option(
            "--consistency/--no-consistency",
            help="With --wald: draw the result to agree with the degraded scene.",
        ),
    ] = True,
    device: Device = "auto",
    scale: Annotated[
        int | None,
        typer.Option("--scale", "-s", help="Ratio of pixel sizes, for ERGAS and --wald."),
    ] = None,
    convention: Annotated[
        str,
        typer.Option("--convention", "-c", help="hsisr, dacn, dacn-whole, sspsr or mcnet."),
    ] = "hsisr",
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=scene_path,
            help="Standard errors of the estimate: how often the reference lies within them.",
        ),
    ] = None,
    minimum: Annotated[
        list[str] | None,
        typer.Option("--min", metavar="FIGURE=NUMBER", help="Fail below; repeatable."),
    ] = None,
    maximum: Annotated[
        list[str] | None,
        typer.Option("--max", metavar="FIGURE=NUMBER", help="Fail above; repeatable."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Draw the scenes side by side, error maps and spectra."),
    ] = None,
    per_band: Annotated[bool, typer.Option("--per-band", help="Show every band too.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated text.")] = False,
    json: Json = False,
    variable: Variable = None,
    estimate_variable: Annotated[
        str | None, typer.Option(metavar="NAME", help="The same for a .mat estimate.")
    ] = None,
    axes: Axes = None,
    nodata: Nodata = None,
    overwrite: Overwrite = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Judge an estimate: MPSNR, MSSIM, SAM, CC, ERGAS, RMSE, UIQI; exit 1 if a limit fails."""
    images = [path for path in (reference, estimate) if path is not None]
    with expected_errors(verbosity(verbose, quiet=quiet)):
        _require_sense(
            images,
            lr=lr,
            wald=wald,
            with_wald_only={
                "--model": model,
                "--method": method,
                "--no-consistency": not consistency,
            },
            without_wald_only={
                "--estimate-variable": estimate_variable,
                "--uncertainty": uncertainty,
            },
            formats=(csv, json),
        )
        common: dict[str, Any] = {
            "convention": convention,
            "minimum": tuple(minimum or ()),
            "maximum": tuple(maximum or ()),
            "picture": picture,
            "overwrite": overwrite,
            "variable": variable,
            "axes": axes,
            "nodata": nodata,
        }
        more: dict[str, Any]
        report: Report | WaldReport
        if wald is not None:
            from hsisr.commands.wald import WaldOptions, evaluate_by_wald

            more = {"scale": scale or 4, "model": model, "method": method or "area"}
            more |= {"device": device, "consistency": consistency}
            with _exit_1_is_a_verdict():
                report = evaluate_by_wald(wald, WaldOptions(**common, **more))
        else:
            from hsisr.commands.evaluate import EvaluateOptions
            from hsisr.commands.evaluate import evaluate as judge

            more = {
                "scale": scale,
                "observed": lr,
                "uncertainty": uncertainty,
                "estimate_variable": estimate_variable,
            }
            truth = images[0] if len(images) == 2 else None
            with _exit_1_is_a_verdict():
                report = judge(truth, images[-1], EvaluateOptions(**common, **more))
        _show(report, per_band=per_band, csv=csv, json=json)
        _judge(report.failed, report)


@contextmanager
def _exit_1_is_a_verdict() -> Iterator[None]:
    """A picture that is in the way is wrong usage, so that exit code 1 means a failed limit."""
    from hsisr.errors import OutputExistsError, UsageError

    try:
        yield
    except OutputExistsError as error:
        raise UsageError(str(error)) from error


def _require_sense(
    images: list[Path],
    *,
    lr: Path | None,
    wald: Path | None,
    with_wald_only: dict[str, object],
    without_wald_only: dict[str, object],
    formats: tuple[bool, bool],
) -> None:
    """Refuse too few or too many scenes, and options that would be ignored."""
    from hsisr.errors import UsageError

    if all(formats):
        raise UsageError("found --csv and --json, expected one of them")
    if wald is None and len(images) != 2 and not (lr and images):
        raise UsageError(
            f"found {len(images)} scenes, expected REFERENCE and ESTIMATE "
            "(or --lr OBSERVED and ESTIMATE, or --wald SCENE)"
        )
    if wald is None:
        ignored = [name for name, value in with_wald_only.items() if value]
    else:
        useless = {"REFERENCE": images, "--lr": lr, **without_wald_only}
        ignored = [name for name, value in useless.items() if value]
    if ignored:
        mode = "belongs to --wald" if wald is None else "cannot be combined with --wald"
        raise UsageError(f"{ignored[0]} {mode}; leave it out")


def _show(report: "Report | WaldReport", *, per_band: bool, csv: bool, json: bool) -> None:
    """The result, and nothing else, on stdout."""
    if json:
        print_json(report.as_dict(per_band=per_band))
    elif csv:
        tell(report.as_csv(per_band=per_band))
    else:
        tell(report.as_table(per_band=per_band))


def _judge(failed: "tuple[Threshold, ...]", report: "Report | WaldReport") -> None:
    """One line per limit that is not kept, and exit code 1."""
    for limit in failed:
        why = report.undefined.get(limit.figure)
        found = f"undefined ({why})" if why else f"{report.values[limit.figure]:.6g}"
        say(f"error: {limit.figure} is {found}, expected {limit}", color="red")
    if failed:
        raise typer.Exit(1)
