"""Train a network, or adapt released weights, on one's own scenes or on public ones."""

import functools
import time
import tomllib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hsisr.commands.options import TrainOptions
from hsisr.commands.training import record
from hsisr.commands.training.data import Source, expand_sources, training_data
from hsisr.commands.training.record import TrainResult
from hsisr.datasets.catalogue import Dataset, Fetching, data_folder, dataset_named, dataset_scenes
from hsisr.datasets.catalogue import Progress as DownloadProgress
from hsisr.datasets.photographs import Photographs, photograph_files, read_photographs
from hsisr.engine.machine import torch_threads
from hsisr.errors import OutputExistsError, UsageError, warn
from hsisr.io.atomic import alone_in, resource_errors
from hsisr.metrics.report import jsonable
from hsisr.training.distributed import Workers, joined_workers
from hsisr.training.loop import Observer, Outcome, Plan
from hsisr.training.loop import train as run_plan
from hsisr.training.recipe import Recipe, recipe_named
from hsisr.training.reporting import RunLog, TensorBoard, tensorboard_installed
from hsisr.training.start import (
    CANDIDATES,
    Start,
    fresh_start,
    keep_milestone,
    start_from,
    timed_precisions,
    training_device,
)
from hsisr.training.state import load_state

__all__ = ["TrainOptions", "TrainResult", "train"]


def train(
    options: TrainOptions,
    *,
    observer: Observer | None = None,
    downloading: DownloadProgress | None = None,
    preparing: Callable[[str], None] = lambda _: None,
) -> TrainResult:
    """Train a network and write weights, model card, state, run.json and learning curve.

    Raises as `hsisr.train` does. `observer` hears of steps and validations, `downloading` of bytes,
    `preparing`, in words, of what is done before the first step.
    """
    recipe = chosen_recipe(options)
    with (
        torch_threads(options.threads),
        joined_workers(options.device) as workers,
        _alone(options.out, workers),
    ):
        preparing = preparing if workers.first else lambda _: None
        return _train(options, recipe, workers, observer, downloading, preparing)


def _alone(out: Path, workers: Workers) -> AbstractContextManager[None]:
    """One training at a time in a folder; its first process keeps the others out."""
    if not workers.first:
        return nullcontext()
    with resource_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    return alone_in(
        out, f"another training runs in {out} now; wait until it is done, or give another --out"
    )


def _train(
    options: TrainOptions,
    recipe: Recipe,
    workers: Workers,
    observer: Observer | None,
    downloading: DownloadProgress | None,
    preparing: Callable[[str], None],
) -> TrainResult:
    resume = _prepared(options, workers)
    device = training_device(options.device, workers)
    start = _start(options, recipe)
    sources, datasets = _sources(options, workers, downloading)
    validation = expand_sources(options.val, options)
    photographs = _photographs(options, recipe, sources)
    sources = [s for s in sources if s.dataset is None or not s.dataset.photographs]
    preparing("reading scenes")
    data = training_data(sources, validation, recipe, start.descriptor, options.seed, photographs)
    plan = Plan(
        network=start.network.to(device),
        descriptor=replace(start.descriptor, wavelengths_nm=data.wavelengths_nm),
        recipe=recipe,
        source=data.patches,
        judges=data.judges,
        total_steps=data.total_steps,
        validate_every=data.validate_every,
        state_path=options.out / record.STATE,
        fingerprint={},
        device=device,
        workers=workers,
        max_seconds=options.max_minutes and options.max_minutes * 60,
        clock=time.process_time if options.processor_time else time.monotonic,
        milestones=options.milestones,
        keep=functools.partial(keep_milestone, options.out, start),
    )
    if recipe.precision == "auto" and not resume:
        preparing(f"timing steps in {' and '.join(CANDIDATES)}")
    plan, timed = _with_precision(plan, resume=resume)
    recipe = plan.recipe
    identity = record.fingerprint(recipe, start, data, options.seed, workers.count)
    plan = replace(plan, fingerprint=identity)
    facts = {**record.run_facts(options, recipe, start, data, plan), **timed}
    log = RunLog(options.out / record.RUN, facts)
    if plan.judges and not resume:
        preparing("scoring the start")
    outcome = _run(plan, [log, observer], options, resume=resume)
    if not workers.first:
        return record.training_result(options, outcome, None, first=False)
    return record.written_result(options, recipe, plan, outcome, log, data, datasets)


def _with_precision(plan: Plan, *, resume: bool) -> tuple[Plan, dict[str, Any]]:
    """The plan with `precision = "auto"` resolved, and what was timed for it, for run.json.

    A resumed run keeps the precision that its training state names.
    """
    if plan.recipe.precision != "auto":
        return plan, {}
    timed: dict[str, Any] = {}
    if resume:
        recipe = load_state(plan.state_path, tensors=False).fingerprint.get("recipe")
        kept = recipe.get("precision") if isinstance(recipe, dict) else None
        chosen = next((name for name in CANDIDATES if name == kept), CANDIDATES[0])
    else:
        seconds = timed_precisions(plan)
        fastest = min(CANDIDATES, key=lambda name: seconds[name])
        (index,) = plan.workers.from_first([float(CANDIDATES.index(fastest))])
        chosen = CANDIDATES[int(index)]
        timed = {"seconds_per_step": {name: jsonable(took) for name, took in seconds.items()}}
    return replace(plan, recipe=replace(plan.recipe, precision=chosen)), timed


def _run(
    plan: Plan, observers: Sequence[Observer | None], options: TrainOptions, *, resume: bool
) -> Outcome:
    """Run a plan with its observers, and TensorBoard's where that is installed."""
    if not plan.workers.first:
        return run_plan(plan, resume=resume)
    watching = [observer for observer in observers if observer is not None]
    if not tensorboard_installed():
        return run_plan(plan, watching, resume=resume)
    with closing(TensorBoard(options.out / "tensorboard")) as board:
        shown = replace(plan, show=board.show)
        return run_plan(shown, [*watching, board], resume=resume)


def _prepared(options: TrainOptions, workers: Workers) -> bool:
    """Whether to continue a run; refuses to begin where one lies."""
    state = options.out / record.STATE
    there = state.exists()
    workers.from_first([0.0])  # all have looked before any writes
    if not workers.first:
        return options.resume and there
    if there and not options.resume and not options.overwrite:
        raise OutputExistsError(
            f"{state} is there already; continue that run with --resume, start anew with "
            "--overwrite, or choose another --out"
        )
    if options.resume and not there:
        warn(f"{state} is not there, so training starts from the beginning")
    return options.resume and there


def _start(options: TrainOptions, recipe: Recipe) -> Start:
    if options.init is not None:
        return start_from(options.init, options.model, options.scale, recipe, options.seed)
    return fresh_start(options.model or recipe.model, options.scale, recipe, options.seed)


def _photographs(
    options: TrainOptions, recipe: Recipe, sources: Sequence[Source]
) -> Photographs | None:
    """Those of `--photographs`, else those of a dataset of photographs; None: neither is given."""
    named = [s.path for s in sources if s.dataset is not None and s.dataset.photographs]
    files = named if options.photographs is None else photograph_files(options.photographs)
    if not files:
        if recipe.photograph_share:
            warn(
                f"recipe {recipe.name!r} also learns from photographs and none are given, so it "
                "learns from the scenes alone; name some with --photographs"
            )
        return None
    return read_photographs(files, recipe.photograph_px)


def _sources(
    options: TrainOptions, workers: Workers, downloading: DownloadProgress | None
) -> tuple[list[Source], list[Dataset]]:
    """Scenes by path and by name; the first process downloads before the others look."""
    sources = expand_sources(options.scenes, options)
    if options.dataset is None:
        return sources, []
    dataset = dataset_named(options.dataset)
    fetching = Fetching(
        folder=data_folder(options.data_dir), offline=options.offline, progress=downloading
    )
    if workers.first:
        dataset_scenes(dataset, fetching)
    workers.from_first([0.0])
    paths = dataset_scenes(dataset, replace(fetching, offline=not workers.first))
    own = [
        Source(path=path, variable=dataset.variable, axes=dataset.axes, dataset=dataset)
        for path in paths
    ]
    return [*sources, *own], [dataset]


def chosen_recipe(options: TrainOptions) -> Recipe:
    """The recipe with the changed settings."""
    table = recipe_named(options.recipe or ("adapt" if options.init else "any")).as_dict()
    for text in options.settings:
        change = _setting(text)
        network = {**table["network"], **change.pop("network", {})}
        table = {**table, **change, "network": network}
    return Recipe.from_table(table, "--set" if options.settings else table["name"])


def _setting(text: str) -> dict[str, Any]:
    """One KEY=VALUE; a value that is not TOML is text."""
    key, equals, value = text.partition("=")
    quoted = value.strip().replace("\\", "\\\\").replace('"', '\\"')
    if equals and key.strip():
        for candidate in (text, f'{key} = "{quoted}"'):
            with suppress(tomllib.TOMLDecodeError, RecursionError):
                return tomllib.loads(candidate)
    raise UsageError(f"--set {text}: expected KEY=VALUE, such as steps=100")
