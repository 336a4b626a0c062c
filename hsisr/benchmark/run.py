"""Compare methods: train, judge, measure, report; `hsisr benchmark` without its options."""

import logging
import shutil
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from hsisr.benchmark.methods import LINEAR, PLAIN, all_methods, method_named
from hsisr.benchmark.options import BenchmarkOptions
from hsisr.benchmark.pictures import SceneMaps
from hsisr.benchmark.report import Findings, report_facts, write_report
from hsisr.benchmark.runs import Cells, Run, StoppedError, planned_runs, row_of, trained
from hsisr.benchmark.scoring import Judging, judgings, pictured, scored, shares_of, words_of
from hsisr.benchmark.speed.cost import measured_cost
from hsisr.benchmark.splits import TrainTestSplit, courses, leaks, table_datasets
from hsisr.benchmark.tables import published
from hsisr.datasets.catalogue import Progress as DownloadProgress
from hsisr.engine.machine import torch_threads
from hsisr.errors import HsisrError, OutputExistsError, UsageError, warn
from hsisr.io.atomic import resource_errors
from hsisr.option import SCALES
from hsisr.training.loop import Observer as TrainingObserver

Pixels = list[tuple[int, int]]


class Observer(Protocol):
    """Hears of the pieces of a comparison."""

    @property
    def training(self) -> TrainingObserver | None:
        """Hears of steps and validations, if someone wants to."""

    def began(self, what: str, number: int, total: int) -> None:
        """A piece begins; `number` counts from 1."""

    def ended(self, what: str, words: str) -> None:
        """A piece is done, was found, or failed."""


@dataclass(slots=True, eq=False)
class Work:
    """What is to be done, and what came of it so far."""

    options: BenchmarkOptions
    cells: Cells
    observer: Observer | None
    findings: Findings = field(default_factory=Findings)
    pixels: dict[tuple[str, int], Pixels] = field(default_factory=dict)
    """Of a course and scale: whose spectra are shown."""
    plans: list[tuple[TrainTestSplit, list[Run]]] = field(default_factory=list)
    number: int = 0
    total: int = 0

    def plan(self, found: tuple[TrainTestSplit, ...]) -> None:
        """Lay out all pieces; writes nothing."""
        methods = [method_named(name) for name in self.options.methods]
        scales = self.options.scales
        self.plans = [(c, planned_runs(methods, c, scales, self.options)) for c in found]
        self.total = len(self._firsts) * len(self.options.batches)
        self.total += sum(
            (run.method.arch is not None)
            + len(course.judges) * len(judgings(self.options, shares_of(run)))
            for course, runs in self.plans
            for run in runs
        )

    def do(self) -> None:
        """Everything planned; what fails is noted and the rest goes on."""
        for _, runs in self.plans:
            for run in runs:
                self._judge(run)
        for run in self._firsts:
            for batch in self.options.batches:
                self._cost(run, batch)

    @property
    def _firsts(self) -> list[Run]:
        """The runs whose networks stand for all seeds in the cost."""
        return [run for run in self.plans[0][1] if run.seed == 0]

    def _judge(self, run: Run) -> None:
        weights = None
        if run.method.arch is not None:
            training = None if self.observer is None else self.observer.training
            train = partial(trained, run, self.options, self.cells, training)
            weights = self._attempt("train", run, f"training {run.name}", train)
            if weights is None:
                ways = judgings(self.options, shares_of(run))
                self.number += len(run.course.judges) * len(ways)
                return
            self.findings.trainings.append(weights)
        kept = tuple(map(float, weights["milestones"])) if weights else ()
        self.total -= (len(shares_of(run)) - len(kept)) * len(run.course.judges)
        for scene in run.course.judges:
            for judging in judgings(self.options, kept):
                self._score(run, weights, scene, judging)

    def _score(
        self, run: Run, weights: dict[str, Any] | None, scene: Path, judging: Judging
    ) -> None:
        options, place = self.options, (run.course.name, run.scale)
        known = self.pixels.get(place)
        score = partial(scored, run, weights, scene, judging, options, self.cells, known)
        what = f"judging {run.name} on {scene.name}, {words_of(judging)}"
        facts = self._attempt("score", run, what, score)
        if facts is None:
            return
        self.findings.scores.append(facts)
        if run.method.name == PLAIN and pictured(run, scene, options.scales, judging):
            maps = SceneMaps.load(self.cells.folder / facts["maps"])
            self.pixels[place] = [(int(row), int(col)) for row, col in maps.pixels]

    def _cost(self, run: Run, batch: int) -> None:
        measure = partial(measured_cost, run, self.options, batch, self.cells)
        what = f"cost of {run.method.name} at x{run.scale}, {batch} at once"
        facts = self._attempt("cost", run, what, measure)
        if facts is not None:
            self.findings.costs.append(facts)

    def _attempt(
        self, kind: str, run: Run, what: str, action: Callable[[], dict[str, Any]]
    ) -> dict[str, Any] | None:
        """Do one piece; a failure is written down, whatever it is, and costs no other piece."""
        self.number += 1
        if self.observer is not None:
            self.observer.began(what, self.number, self.total)
        try:
            with warnings.catch_warnings(record=True) as remarks:
                warnings.simplefilter("always")
                facts = action()
        except StoppedError:
            raise
        except Exception as error:  # noqa: BLE001 - one network's bug must not cost a night's work
            self._note_failure(kind, run, what, error)
            return None
        for remark in remarks:
            logging.getLogger("hsisr").info("%s: %s", what, remark.message)
        if self.observer is not None:
            self.observer.ended(what, _words(kind, facts))
        return facts

    def _note_failure(self, kind: str, run: Run, what: str, error: Exception) -> None:
        text = " ".join(str(error).split())
        message = text if isinstance(error, HsisrError) else f"{type(error).__name__}: {text}"
        logging.getLogger("hsisr").info("%s failed", what, exc_info=error)
        self.findings.failures.append({"kind": kind, **row_of(run), "what": what, "error": message})
        if self.observer is not None:
            self.observer.ended(what, f"failed: {message}")


def _words(kind: str, facts: dict[str, Any]) -> str:
    if kind == "train":
        if facts["ending"] in ("given", "fitted"):
            return f"weights {facts['weights']}"
        return f"{facts['steps']} steps in {facts['seconds']:.0f} s"
    if kind == "cost":
        return f"{facts['seconds_per_mpb']:.3g} s per megapixel and band"
    figures = facts["figures"]["hsisr"]
    return f"MPSNR {_short(figures['mpsnr'])} dB, SAM {_short(figures['sam'])} degrees"


def _short(value: float | str | None) -> str:
    return f"{value:.2f}" if isinstance(value, (int, float)) else str(value)


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

    `observer` hears of every piece, `downloading` of bytes.

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
            warn(
                f"{leak['dataset']}: {leak['leak_px']} of {leak['test_px']} test pixels "
                f"({100 * leak['leak_share']:.0f} %) are also trained on, as in the published "
                "notebooks; scores on them flatter"
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
    """The options with nothing left open; plain bicubic is always among the methods, first."""
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
