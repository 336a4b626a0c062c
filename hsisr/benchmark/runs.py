"""Runs: one method at one scale with one seed, trained under the budget or given as weights.

Finished pieces of a comparison are cells, one file each, so that nothing is done twice. A cell's
name ends in a digest of its fingerprint: what the piece depends on. With other settings it is
another cell, and a file that is there is finished, for it appears whole or not at all.
"""

import hashlib
import json
import math
import shlex
import shutil
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from hsisr import __version__
from hsisr.benchmark.methods import COMMON, LINEAR, Method
from hsisr.benchmark.options import MILESTONES, BenchmarkOptions
from hsisr.benchmark.splits import TrainTestSplit
from hsisr.commands.options import SceneOptions, TrainOptions
from hsisr.commands.training.data import expand_sources, training_data
from hsisr.commands.training.train import chosen_recipe, train
from hsisr.engine.machine import device_named
from hsisr.errors import DivergedError, HsisrError, InputDataError, UsageError, WeightsError
from hsisr.io.atomic import replace_file
from hsisr.io.open import open_scene
from hsisr.resume.record import scene_identity
from hsisr.training.loop import Observer
from hsisr.training.recipe import Recipe
from hsisr.training.start import described, milestone_path
from hsisr.weights import LoadedWeights, load_weights, resolve, save_weights


@dataclass(frozen=True, slots=True)
class Cell:
    """One piece: what it is called and what it depends on."""

    kind: str
    """train, score, cost."""
    name: str
    fingerprint: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Its file's name without suffix."""
        text = json.dumps({"hsisr": __version__, **self.fingerprint}, sort_keys=True, default=str)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


@dataclass(frozen=True, slots=True)
class Cells:
    """The folder of cells of a report."""

    folder: Path

    def path(self, cell: Cell, suffix: str = ".json") -> Path:
        """Where a cell lies, or what lies beside it."""
        return self.folder / cell.kind / f"{cell.label}{suffix}"

    def found(self, cell: Cell) -> dict[str, Any] | None:
        """The facts of a finished cell; None if it is still to be done."""
        path = self.path(cell)
        if not path.exists():
            return None
        try:
            facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["facts"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputDataError(f"{path}: not a cell of a benchmark; remove it") from error
        return facts

    def keep(self, cell: Cell, facts: Mapping[str, Any]) -> None:
        """Write a finished cell, whole."""
        table = {"hsisr": __version__, "fingerprint": cell.fingerprint, "facts": facts}
        text = json.dumps(table, indent=1, allow_nan=False, default=str)
        replace_file(self.path(cell), f"{text}\n".encode())


_ALIKE: Final = (
    *("normalisation=band", "split=whole", "steps=10000000"),
    *("warmup_steps=100", "warmup_share=0.02", "precision=float32"),
)
"""Of all networks: bands normalised, and the whole budget spent on steps. Validating a large
network can take longer than a short budget, so nothing is held out and the last weights count."""
_SWEPT: Final = ("split=held-out", "validate_every=10000000")
_SWEEP_SHARE: Final = 1 / 12
"""Of the budget, for each rate that is tried."""
_LINEAR_BATCHES: Final = 200
_RUNS: Final = "runs"
_BULKY: Final = "state.safetensors"
"""What resumes an unfinished training; a finished one does not need it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row of a report, before its scenes."""

    method: Method
    course: TrainTestSplit
    scale: int
    seed: int
    given: str | None = None
    """Weights to take in place of training."""
    bands: int = 0
    """Of the scene of the course that has most."""

    @property
    def name(self) -> str:
        """For people and files."""
        method = self.method.name.replace(":", ".")  # the name becomes one of a file
        return f"{self.course.name}-{method}-x{self.scale}-seed{self.seed}"


class StoppedError(Exception):
    """Someone asked a training to stop; its state is kept."""

    def __init__(self, number: int | None) -> None:
        super().__init__("stopped")
        self.number = number


def planned_runs(
    methods: Sequence[Method],
    course: TrainTestSplit,
    scales: Sequence[int],
    options: BenchmarkOptions,
) -> list[Run]:
    """All runs of a course, quick answers first: scale by scale, seed by seed, method by method."""
    given = given_weights(options, {method.name: method for method in methods})
    if strays := sorted(options.own_seeds.keys() - {method.name for method in methods}):
        raise UsageError(f"--seeds for {', '.join(strays)}: not among the methods compared")
    bands = most_bands(course)

    def seeds(method: Method, scale: int) -> Sequence[str | None]:
        """Weights of each seed: those given, or None; a method without a network has one seed."""
        count = options.own_seeds.get(method.name, options.seeds) if method.arch else 1
        return given.get((method.name, scale)) or [None] * count

    runs = [
        Run(method=method, course=course, scale=scale, seed=seed, given=file, bands=bands)
        for scale in scales
        for method in methods
        for seed, file in enumerate(seeds(method, scale))
    ]
    runs.sort(key=lambda run: (scales.index(run.scale), run.seed))
    learning = [run for run in runs if run.method.arch is not None and run.given is None]
    if learning and not course.train:
        raise UsageError(
            f"found no scene for {learning[0].method.name} to learn from at "
            f"x{learning[0].scale}: name scenes with --train, or its weights with --weights"
        )
    return runs


def given_weights(
    options: BenchmarkOptions, methods: Mapping[str, Method]
) -> dict[tuple[str, int], list[str]]:
    """(method, scale) -> weights files, in the order given."""
    found: dict[tuple[str, int], list[str]] = {}
    for text in options.weights:
        name, _, file = text.partition("=")
        if name not in methods:
            raise UsageError(f"--weights {text}: {name} is not among the methods compared")
        descriptor = load_weights(resolve(file)).descriptor
        if descriptor.arch != methods[name].arch:
            raise WeightsError(f"{file} is a {descriptor.arch}, found --weights {text}")
        found.setdefault((name, descriptor.scale), []).append(file)
    return found


def most_bands(course: TrainTestSplit) -> int:
    """Bands of the scene that has most; 0 without scenes."""
    counts = [0]
    for path in {*course.train, *course.judges}:
        with closing(open_scene(path)) as scene:
            counts.append(scene.metadata.bands)
    return max(counts)


def train_options(
    run: Run, options: BenchmarkOptions, out: Path, more: Sequence[str] = ()
) -> TrainOptions:
    """How `hsisr train` is asked to train a run; see `AUTHORS` for what differs by method."""
    method, published = run.method, options.protocol == "dacn-published"
    settings = [] if published else list(_ALIKE)
    if published and run.course.dataset == "paviau" and run.scale == 4:
        settings.append("batch_size=8")
    if not published or method.arch != "dacn":
        settings += COMMON if options.recipe == "common" else method.authors
    settings += more
    settings += [*method.settings(run.bands), *_own_settings(options.settings, method.name)]
    return TrainOptions(
        scenes=() if run.course.dataset else run.course.train,
        dataset=run.course.dataset,
        scale=run.scale,
        model=method.arch,
        recipe="dacn-published" if published else "any",
        settings=tuple(settings),
        nodata=options.nodata,
        seed=run.seed,
        max_minutes=options.budget,
        processor_time=device_named(options.device).type == "cpu",
        milestones=MILESTONES,
        out=out,
        device=options.device,
        threads=options.threads,
        data_dir=options.data_dir,
        offline=options.offline,
        command=options.command,
    )


def _own_settings(settings: Sequence[str], method: str) -> list[str]:
    """Those for all methods, then those for this one.

    >>> _own_settings(["edsr:steps=1", "steps=2", "dacn:steps=3"], "dacn")
    ['steps=2', 'steps=3']
    """
    common, own = [], []
    for text in settings:
        key, equals, value = text.partition("=")
        whose, colon, setting = key.rpartition(":")  # a network's own name may have a colon
        if not colon:
            common.append(text)
        elif whose == method:
            own.append(f"{setting}{equals}{value}")
    return common + own


def recipe_of(run: Run, options: BenchmarkOptions) -> Recipe:
    """The recipe with every change, as it will be carried out."""
    return chosen_recipe(train_options(run, options, Path()))


def train_cell(run: Run, options: BenchmarkOptions) -> Cell:
    """The cell of a training, bound to all that decides its outcome."""
    recipe = recipe_of(run, options)
    return Cell(
        "train",
        run.name,
        {
            "method": run.method.name,
            "network": asdict(described(str(run.method.arch), run.scale, recipe)),
            "recipe": recipe.as_dict(),
            "seed": run.seed,
            "budget": options.budget,
            "rates": options.rates if options.recipe == "common" else None,
            "scenes": [scene_identity(path) for path in run.course.train],
            "device": options.device,
            "threads": options.threads,
            **({} if options.nodata is None else {"nodata": options.nodata}),
        },
    )


def trained(
    run: Run, options: BenchmarkOptions, cells: Cells, observer: Observer | None = None
) -> dict[str, Any]:
    """Facts of a run's weights: trained now, trained before, or given.

    Raises:
        StoppedError: Someone asked the training to stop.
        HsisrError: Training failed, or weights cannot be read.
    """
    if run.given is not None:
        return _facts(run, load_weights(resolve(run.given, run.scale)), None)
    cell = train_cell(run, options)
    if (facts := cells.found(cell)) is not None:
        return facts
    folder = cells.folder / _RUNS / cell.label
    if run.method.name == LINEAR:
        return _kept_linear(run, options, cells, cell, folder)
    begun = (folder / _BULKY).exists()
    rate = swept_rate(run, options, cells, observer)
    asked = train_options(run, options, folder, rate)
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        result = train(replace(asked, resume=begun), observer=observer)
    if result.weights is None:
        raise StoppedError(result.signal)
    (folder / _BULKY).unlink()
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    facts = _facts(
        run,
        load_weights(result.weights),
        cells.folder,
        ending=result.ending,
        steps=result.steps,
        best_step=result.best_step,
        seconds=round(result.seconds, 3),
        validation_db=result.score,
        validation_bicubic_db=result.bicubic,
        milestones={
            f"{share:g}": str(path.relative_to(cells.folder))
            for share in MILESTONES
            if (path := milestone_path(folder, share)).exists()
        },
        settings=list(asked.settings),
        command=train_command(asked),
        hardware=json.loads((folder / "run.json").read_text(encoding="utf-8"))["hardware"],
        remarks=sorted({str(remark.message) for remark in remarks}),
    )
    cells.keep(cell, facts)
    return facts


def _facts(run: Run, weights: LoadedWeights, folder: Path | None, **more: Any) -> dict[str, Any]:
    """What is known of a run's weights, their path from `folder`; `more` if they were made now."""
    place = weights.path if folder is None else weights.path.relative_to(folder)
    return {
        **row_of(run),
        "weights": str(place),
        "weights_sha256": weights.sha256,
        "ending": "given",
        "milestones": {},
        "settings": [],
        "remarks": [],
        **more,
    }


def _kept_linear(
    run: Run, options: BenchmarkOptions, cells: Cells, cell: Cell, folder: Path
) -> dict[str, Any]:
    """The linear upsampler, fitted to random patches of the recipe; no budget applies."""
    from hsisr.models.literature.linear import fitted_linear

    recipe = recipe_of(run, options)
    descriptor = described(LINEAR, run.scale, recipe)
    sources = expand_sources(run.course.train, SceneOptions(nodata=options.nodata))
    patches = training_data(sources, (), recipe, descriptor, run.seed).patches
    batches = (patches.batch(n, 0, recipe.batch_size) for n in range(_LINEAR_BATCHES))
    network = fitted_linear(descriptor, ((batch.lr, batch.hr) for batch in batches))
    path = folder / f"{LINEAR}-x{run.scale}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(path, network, descriptor, overwrite=True)
    facts = _facts(run, load_weights(path), cells.folder, ending="fitted")
    cells.keep(cell, facts)
    return facts


def swept_rate(
    run: Run, options: BenchmarkOptions, cells: Cells, observer: Observer | None = None
) -> tuple[str, ...]:
    """The setting of the rate that gained most on held-out strips of the training scenes.

    Only in the common recipe, and once for all seeds of a method and scale: a short training at
    each rate, with the seed 0.
    """
    if options.recipe != "common" or options.protocol != "disjoint":
        return ()
    if len(options.rates) == 1:
        return (f"learning_rate={options.rates[0]:g}",)
    first = replace(run, seed=0)
    cell = replace(train_cell(first, options), kind="sweep")
    facts = cells.found(cell)
    if facts is None:
        scores: dict[str, float] = {}
        for rate in options.rates:
            folder = cells.folder / _RUNS / f"{cell.label}-rate-{rate:g}"
            more = (f"learning_rate={rate:g}", *_SWEPT)
            short = replace(options, budget=options.budget * _SWEEP_SHARE)
            asked = train_options(first, short, folder, more)
            begun = (folder / _BULKY).exists()
            try:
                result = train(replace(asked, milestones=(), resume=begun), observer=observer)
            except DivergedError:
                continue
            if result.weights is None:
                raise StoppedError(result.signal)
            # not the best: where no rate gains on the start yet, that is the same for all
            scores[f"{rate:g}"] = result.last if result.last is not None else -math.inf
            shutil.rmtree(folder)
        if not scores:
            raise HsisrError(f"{run.name}: training broke down at every rate of {options.rates}")
        facts = {"rate": max(scores, key=lambda name: scores[name]), "validation_db": scores}
        cells.keep(cell, facts)
    return (f"learning_rate={facts['rate']}",)


def train_command(asked: TrainOptions) -> str:
    """The same training as a command line."""
    minutes = asked.max_minutes
    flags = {
        "--dataset": asked.dataset,
        "--scale": asked.scale,
        "--model": asked.model,
        "--recipe": asked.recipe,
        "--seed": asked.seed,
        "--max-minutes": None if minutes is None else f"{minutes:g}",
        "--nodata": asked.nodata,
    }
    words = ["hsisr", "train", *map(str, asked.scenes)]
    for flag, value in flags.items():
        words += [] if value is None else [flag, str(value)]
    for setting in asked.settings:
        words += ["--set", setting]
    return shlex.join([*words, "--out", str(asked.out)])


def row_of(run: Run) -> dict[str, Any]:
    """What names a run in a report."""
    return {
        "course": run.course.name,
        "method": run.method.name,
        "scale": run.scale,
        "seed": run.seed,
    }
