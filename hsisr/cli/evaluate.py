"""The `hsisr evaluate` command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsisr.cli.console import expected_errors, print_json, say
from hsisr.cli.options import Axes, Device, Json, Overwrite, Quiet, Variable, Verbose, verbosity

if TYPE_CHECKING:
    from hsisr.commands.evaluate import Report
    from hsisr.commands.wald import WaldReport
    from hsisr.metrics.report import Threshold


def evaluate(
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[REFERENCE] [ESTIMATE]",
            help="The truth, then what is judged; with --lr the estimate alone will do.",
            show_default=False,
        ),
    ] = None,
    lr: Annotated[
        Path | None,
        typer.Option(metavar="OBSERVED", help="The LR scene that the estimate must agree with."),
    ] = None,
    wald: Annotated[
        Path | None,
        typer.Option(
            metavar="SCENE",
            help="Degrade this scene, upscale it with --model, score it beside plain bicubic.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="With --wald: as for hsisr upscale.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="With --wald: area, gaussian, mtf or bicubic. [default: area]"),
    ] = None,
    device: Device = "auto",
    scale: Annotated[
        int | None,
        typer.Option("--scale", "-s", help="Ratio of pixel sizes, for ERGAS and --wald."),
    ] = None,
    convention: Annotated[
        str,
        typer.Option("--convention", "-c", help="hsisr, dacn, dacn-whole, sspsr or mcnet."),
    ] = "hsisr",
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
        typer.Option(metavar="PNG", help="Draw error map, angle map and three spectra."),
    ] = None,
    per_band: Annotated[bool, typer.Option("--per-band", help="Show every band too.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated text.")] = False,
    json: Json = False,
    variable: Variable = None,
    axes: Axes = None,
    overwrite: Overwrite = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Judge an estimate: MPSNR, MSSIM, SAM, CC, ERGAS, RMSE, UIQI; exit 1 if a limit fails."""
    with expected_errors(verbosity(verbose, quiet=quiet)):
        limits = {"minimum": tuple(minimum or ()), "maximum": tuple(maximum or ())}
        common = {"convention": convention, "variable": variable, "axes": axes, **limits}
        report: Report | WaldReport
        _require_one_format(csv=csv, json=json)
        if wald is not None:
            from hsisr.commands.wald import WaldOptions, evaluate_by_wald

            _refuse({"images": images, "--lr": lr, "--picture": picture}, "--wald")
            more = {"scale": scale or 4, "model": model, "method": method or "area"}
            report = evaluate_by_wald(
                wald,
                WaldOptions(**common, **more, device=device),  # type: ignore[arg-type]  # checked at birth
            )
        else:
            from hsisr.commands.evaluate import EvaluateOptions
            from hsisr.commands.evaluate import evaluate as judge

            if not (lr and images and len(images) == 1):
                _require_two(images)
            _refuse({"--model": model, "--method": method}, "judging without --wald")
            pair = [None, *(images or [])][-2:]
            options = EvaluateOptions(
                **common,  # type: ignore[arg-type]  # checked at birth
                scale=scale,
                observed=lr,
                picture=picture,
                overwrite=overwrite,
            )
            report = judge(pair[0], pair[1] or Path(), options)
        _show(report, per_band=per_band, csv=csv, json=json)
        _judge(report.failed, report)


def _require_one_format(*, csv: bool, json: bool) -> None:
    from hsisr.errors import UsageError

    if csv and json:
        raise UsageError("found --csv and --json, expected one of them")


def _require_two(images: list[Path] | None) -> None:
    from hsisr.errors import UsageError

    if not images or len(images) != 2:
        raise UsageError(
            f"found {len(images or [])} scenes, expected REFERENCE and ESTIMATE "
            "(or --lr OBSERVED and ESTIMATE, or --wald SCENE)"
        )


def _refuse(given: dict[str, object], mode: str) -> None:
    """Options that would be ignored are refused instead."""
    from hsisr.errors import UsageError

    for name, value in given.items():
        if value:
            what = "REFERENCE and ESTIMATE" if name == "images" else name
            raise UsageError(f"{what} cannot be combined with {mode}; leave one of them out")


def _show(report: "Report | WaldReport", *, per_band: bool, csv: bool, json: bool) -> None:
    """The result, and nothing else, on stdout."""
    if json:
        print_json(report.as_dict(per_band=per_band))
    elif csv:
        typer.echo(report.as_csv(per_band=per_band))
    else:
        typer.echo(report.as_table(per_band=per_band))


def _judge(failed: "tuple[Threshold, ...]", report: "Report | WaldReport") -> None:
    """One line per limit that is not kept, and exit code 1."""
    for limit in failed:
        value = report.values[limit.figure]
        say(f"error: {limit.figure} is {value:.6g}, expected {limit}", color="red")
    if failed:
        raise typer.Exit(1)
