"""The `hsisr evaluate` command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsisr.cli.console import counted, print_json, say, tell
from hsisr.cli.options import Given, scene_argument, takes
from hsisr.commands.options import EvaluateOptions, WaldOptions
from hsisr.errors import OutputExistsError, UsageError
from hsisr.io.paths import scene_path

if TYPE_CHECKING:
    from hsisr.commands.evaluation.evaluate import Report
    from hsisr.commands.evaluation.wald import WaldReport


@takes(EvaluateOptions, WaldOptions)
def evaluate(
    options: Given,
    reference: Annotated[
        Path | None,
        scene_argument("REFERENCE", "The truth on the estimate's grid; left out with --lr alone."),
    ] = None,
    estimate: Annotated[Path | None, scene_argument("ESTIMATE", "What is judged.")] = None,
    wald: Annotated[
        Path | None,
        typer.Option(
            metavar="SCENE",
            parser=scene_path,
            help="Degrade this scene, upscale it with --model, score it beside bicubic.",
        ),
    ] = None,
    per_band: Annotated[bool, typer.Option("--per-band", help="Show every band too.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated text.")] = False,
) -> None:
    """Judge an estimate: MPSNR, MSSIM, SAM, CC, ERGAS, RMSE, UIQI; exit 1 if a limit fails."""
    images = [path for path in (reference, estimate) if path is not None]
    if csv and options.json:
        raise UsageError("found --csv and --json, expected one of them")
    report: Report | WaldReport
    try:
        if wald is None:
            from hsisr.commands.evaluation.evaluate import evaluate as judge

            truth = _reference(images, options)
            report = judge(truth, images[-1], options.made(EvaluateOptions))
        else:
            report = _judged_by_wald(wald, images, options)
    except OutputExistsError as error:  # wrong usage, so that code 1 means a failed limit
        raise UsageError(str(error)) from error
    _show(report, per_band=per_band, csv=csv, json=options.json)
    _judge(report)


def _reference(images: list[Path], options: Given) -> Path | None:
    """The first of two images; None where one is judged by `--lr` alone."""
    if len(images) != 2 and not ("observed" in options.values and images):
        raise UsageError(
            f"found {counted(len(images), 'scene')}, expected REFERENCE and ESTIMATE "
            "(or --lr OBSERVED and ESTIMATE, or --wald SCENE)"
        )
    _refuse_foreign(options.foreign(EvaluateOptions), "belongs to --wald")
    return images[0] if len(images) == 2 else None


def _judged_by_wald(scene: Path, images: list[Path], options: Given) -> "WaldReport":
    from hsisr.commands.evaluation.wald import evaluate_by_wald

    foreign = [*(["REFERENCE"] if images else []), *options.foreign(WaldOptions)]
    _refuse_foreign(foreign, "cannot be combined with --wald")
    return evaluate_by_wald(scene, options.made(WaldOptions))


def _refuse_foreign(flags: list[str], why: str) -> None:
    if flags:
        raise UsageError(f"{flags[0]} {why}; leave it out")


def _show(report: "Report | WaldReport", *, per_band: bool, csv: bool, json: bool) -> None:
    if json:
        print_json(report.as_dict(per_band=per_band))
    elif csv:
        tell(report.as_csv(per_band=per_band))
    else:
        tell(report.as_table(per_band=per_band))


def _judge(report: "Report | WaldReport") -> None:
    """One line per limit that is not kept, and exit code 1."""
    for limit in report.failed:
        why = report.undefined.get(limit.figure)
        found = f"undefined ({why})" if why else f"{report.values[limit.figure]:.6g}"
        say(f"error: {limit.figure} is {found}, expected {limit}", color="red")
    if report.failed:
        raise typer.Exit(1)
