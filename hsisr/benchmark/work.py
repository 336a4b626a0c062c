"""The pieces of a comparison, one after the other; what fails is written down, the rest goes on."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hsisr.benchmark.cells import Cells
from hsisr.benchmark.methods import PLAIN, method_named
from hsisr.benchmark.options import BenchmarkOptions
from hsisr.benchmark.pictures import SceneMaps
from hsisr.benchmark.report import Findings
from hsisr.benchmark.runs import Run, StoppedError, most_bands, planned_runs, trained
from hsisr.benchmark.scoring import (
    Judging,
    judgings,
    pictured,
    scored,
    shares_of,
    words_of,
)
from hsisr.benchmark.speed.cost import measured_cost
from hsisr.benchmark.splits import TrainTestSplit
from hsisr.errors import HsisrError
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
    bands: dict[str, int] = field(default_factory=dict)
    """Of the scene of a course that has most."""
    number: int = 0
    total: int = 0

    def plan(self, found: tuple[TrainTestSplit, ...]) -> None:
        """Lay out all pieces; writes nothing.

        Raises:
            UsageError: A network has neither weights nor scenes to learn from.
            WeightsError: Weights given cannot be read or are another network's.
        """
        methods = [method_named(name) for name in self.options.methods]
        scales = self.options.scales
        self.plans = [(c, planned_runs(methods, c, scales, self.options)) for c in found]
        self.bands = {course.name: most_bands(course) for course in found}
        self.total = len(self._firsts) * len(self.options.batches)
        self.total += sum(
            (run.method.arch is not None)
            + len(course.judges) * len(judgings(self.options, shares_of(run)))
            for course, runs in self.plans
            for run in runs
        )

    def do(self) -> None:
        """Everything planned; what fails is noted and the rest goes on."""
        for course, runs in self.plans:
            for run in runs:
                self._judge(run, self.bands[course.name])
        for run in self._firsts:
            for batch in self.options.batches:
                self._cost(run, batch, self.bands[run.course.name])

    @property
    def _firsts(self) -> list[Run]:
        """The runs whose networks stand for all seeds in the cost."""
        return [run for run in self.plans[0][1] if run.seed == 0]

    def _judge(self, run: Run, bands: int) -> None:
        weights = None
        if run.method.arch is not None:
            training = None if self.observer is None else self.observer.training

            def train() -> dict[str, Any]:
                return trained(run, self.options, self.cells, bands, training)

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

        def score() -> dict[str, Any]:
            known = self.pixels.get(place)
            return scored(run, weights, scene, judging, options, self.cells, known)

        what = f"judging {run.name} on {scene.name}, {words_of(judging)}"
        facts = self._attempt("score", run, what, score)
        if facts is None:
            return
        self.findings.scores.append(facts)
        if run.method.name == PLAIN and pictured(run, scene, options.scales, judging):
            maps = SceneMaps.load(self.cells.folder / facts["maps"])
            self.pixels[place] = [(int(row), int(col)) for row, col in maps.pixels]

    def _cost(self, run: Run, batch: int, bands: int) -> None:
        def measure() -> dict[str, Any]:
            return measured_cost(run, self.options, batch, bands, self.cells)

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
        self.findings.failures.append(
            {
                "kind": kind,
                "course": run.course.name,
                "method": run.method.name,
                "scale": run.scale,
                "seed": run.seed,
                "what": what,
                "error": message,
            }
        )
        if self.observer is not None:
            self.observer.ended(what, f"failed: {message}")


def _words(kind: str, facts: dict[str, Any]) -> str:
    """What to say of a finished piece."""
    if kind == "train":
        if facts["ending"] in ("given", "fitted"):
            return f"weights {facts['weights']}"
        return f"{facts['steps']} steps in {facts['seconds']:.0f} s"
    if kind == "cost":
        return f"{facts['seconds_per_mpb']:.3g} s per megapixel and band"
    figures = facts["figures"]["hsisr"]
    return f"MPSNR {_short(figures['mpsnr'])} dB, SAM {_short(figures['sam'])} degrees"


def _short(value: float | str | None) -> str:
    """Two digits; infinities and nothing as they are."""
    return f"{value:.2f}" if isinstance(value, (int, float)) else str(value)
