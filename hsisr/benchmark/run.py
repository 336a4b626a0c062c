"""Compare methods: train, judge, measure, report; `hsisr benchmark` without its options."""

import shutil
import signal
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hsisr.benchmark.cells import Cells
from hsisr.benchmark.methods import LINEAR, PLAIN, all_methods
from hsisr.benchmark.options import BenchmarkOptions
from hsisr.benchmark.report import report_facts, write_report
from hsisr.benchmark.runs import StoppedError
from hsisr.benchmark.splits import courses, leaks, table_datasets
from hsisr.benchmark.tables import published
from hsisr.benchmark.work import Observer, Work
from hsisr.datasets.download import Progress as DownloadProgress
from hsisr.engine.device import torch_threads
from hsisr.errors import HsisrWarning, OutputExistsError, UsageError
from hsisr.io.atomic import resource_errors
from hsisr.models.descriptor import SCALES

__all__ = ["BenchmarkOptions", "BenchmarkResult", "Observer", "benchmark"]

CELLS = "cells"
PARTS = "parts"
REPORT = "report.json"


_SMOKE_METHODS: Final = ("bicubic", "linear", "dacn-any", "edsr")
_SMOKE_SETTINGS: Final = (
    *("dacn-any:network.width=8", "dacn-any:network.blocks=1", "dacn-any:network.heads=2"),
    *("edsr:network.width=16", "edsr:network.blocks=2"),
    *("steps=4", "validate_every=4", "batch_size=2", "crop_lr_px=8", "warmup_steps=1"),
    *("precision=float32", "ema_decay=0.0"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """What came of a comparison."""

    out: Path
    facts: dict[str, Any]
    """Everything in report.json; empty if it was stopped."""
    signal: int | None = None
    """That stopped it, if one did; nothing is reported then, and finished cells are kept."""

    @property
    def page(self) -> Path:
        """The report to look at."""
        return self.out / "report.html"

    @property
    def failures(self) -> list[dict[str, Any]]:
        """What could not be done."""
        return list(self.facts.get("failures", ()))


def benchmark(
    options: BenchmarkOptions,
    *,
    observer: Observer | None = None,
    downloading: DownloadProgress | None = None,
) -> BenchmarkResult:
    """Compare methods and write report.json, .csv, .md and .html.

    Args:
        options: What and how.
        observer: Hears of every piece.
        downloading: Hears of bytes downloaded.

    Raises:
        UsageError: The options contradict each other, or there is nothing to learn from.
        InputDataError: A scene cannot be read.
        WeightsError: Weights given cannot be used.
        OutputExistsError: The folder holds a report, and neither `resume` nor `overwrite` is given.
        ResourceError: Something cannot be had or written.
    """
    options = resolved(options)
    _refuse_existing(options)
    cells = Cells(options.out / CELLS)
    with torch_threads(options.threads):
        found = courses(options, cells.folder / PARTS, downloading)
        if options.protocol == "dacn-published":
            _say_leaks(options.datasets)
        work = Work(options, cells, observer)
        work.plan(found)  # what can be refused is refused before an old report goes
        if options.overwrite:
            _throw_away(options.out)
        try:
            work.do()
        except StoppedError as stop:
            return BenchmarkResult(out=options.out, facts={}, signal=stop.number)
        except KeyboardInterrupt:
            return BenchmarkResult(out=options.out, facts={}, signal=signal.SIGINT)
        facts = report_facts(options, found, work.findings)
        write_report(options.out, facts, cells)
    return BenchmarkResult(out=options.out, facts=facts)


def _say_leaks(datasets: Sequence[str]) -> None:
    for leak in leaks():
        if leak["dataset"] in datasets and leak["leak_px"]:
            warnings.warn(
                f"{leak['dataset']}: {leak['leak_px']} of {leak['test_px']} test pixels "
                f"({100 * leak['leak_share']:.0f} %) are also trained on, as in the published "
                "notebooks; scores on them flatter",
                HsisrWarning,
                stacklevel=3,
            )


def _refuse_existing(options: BenchmarkOptions) -> None:
    there = (options.out / CELLS).exists() or (options.out / REPORT).exists()
    if there and not options.resume and not options.overwrite:
        raise OutputExistsError(
            f"{options.out} holds a report already; --resume fills what is missing, --overwrite "
            "starts anew, --out names another folder"
        )


def _throw_away(out: Path) -> None:
    """Remove a report and its cells; parts that were cut from scenes stay."""
    with resource_errors(out):
        for folder in (out / CELLS).glob("*"):
            if folder.is_dir() and folder.name != PARTS:
                shutil.rmtree(folder)
        for path in out.glob("report.*"):
            path.unlink()


def resolved(options: BenchmarkOptions) -> BenchmarkOptions:
    """The options with nothing left open; plain bicubic is always among the methods, first.

    Raises:
        UsageError: The published protocol is asked for and no Pavia scene is at hand.
    """
    if options.smoke:
        options = replace(
            options,
            settings=(*_SMOKE_SETTINGS, *options.settings),
            batches=options.batches[:1],
            scales=options.scales or (4,),
            methods=options.methods or _SMOKE_METHODS,
            rates=options.rates[:1],
        )
    datasets = options.datasets or table_datasets(options)
    if options.protocol == "dacn-published" and not datasets:
        raise UsageError(
            "found no Pavia scene on this disk; --dataset paviau or --dataset paviac gets one"
        )
    names = options.methods or _methods_of(options.table)
    return replace(
        options,
        datasets=datasets,
        scales=options.scales or ((4,) if options.table == 1 else SCALES),
        methods=(PLAIN, *(name for name in dict.fromkeys(names) if name != PLAIN)),
    )


def _methods_of(table: int | None) -> tuple[str, ...]:
    """Those of a table of the paper that can be built, and linear; without a table, all."""
    known = all_methods()
    if table is None:
        return tuple(known)
    wanted = {row["method"] for row in published()[f"table{table}"]}
    return tuple(name for name in known if name in wanted | {LINEAR})
