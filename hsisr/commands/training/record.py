"""What is written down of a run: options, outcome, and the model card for users of its weights."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2

from hsisr.commands.options import TrainOptions
from hsisr.commands.training.data import TrainingData, checksum
from hsisr.datasets.catalogue import Dataset
from hsisr.errors import warn
from hsisr.io.atomic import replace_file
from hsisr.metrics.report import markdown_cell
from hsisr.models.descriptor import ModelDescriptor
from hsisr.option import Result, plain_fields
from hsisr.tiling import Window
from hsisr.training.loop import SCORES, Outcome, Plan
from hsisr.training.recipe import Recipe
from hsisr.training.reporting import RunLog, draw_curve, machine
from hsisr.training.start import Start
from hsisr.training.state import BASELINE, Progress, Record
from hsisr.training.validation import CONVENTION, SHOWN, ValidationWindow, scores_on_test_windows
from hsisr.weights import save_weights
from hsisr.weights.store import file_sha256

_BLURS: Final = {
    "area": "area averages, a detector without optics; real sensors blur more (gain 0.2 to 0.4 at "
    "Nyquist), and there all methods, bicubic too, gain less"
}


def model_card(
    name: str,
    descriptor: ModelDescriptor,
    recipe: Recipe,
    progress: Progress,
    facts: Mapping[str, Any],
    datasets: Sequence[Dataset],
) -> str:
    """Markdown: data with terms, recipe, command, hardware, time, scores, limits.

    `facts` are those of the finished run: `scenes`, `command`, `hardware`, `versions`, `seed`,
    `ending`, `test`; `datasets` are the entries of the scenes that came by name.
    """
    environment = jinja2.Environment(  # noqa: S701 - Markdown
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"cell": markdown_cell, "figure": _number}
    best, tests = _best(progress), facts["test"]
    template = (files("hsisr.commands.training") / "card.md.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        name=name,
        descriptor=descriptor,
        recipe=recipe,
        progress=progress,
        facts=facts,
        datasets=datasets,
        blurs=_BLURS,
        best=best,
        gain=gain_words(best) if best is not None else "",
        baseline=BASELINE,
        shown=SHOWN,
        window=Window(*tests[0]["window"]) if tests else None,
        convention=CONVENTION,
    )


def _number(value: float | str | None) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def gain_words(record: Record) -> str:
    """In words what was gained, or lost, against the baseline."""
    gain, angle, over = record.gain
    return f"{gain:+z.2f} dB and {angle:+z.3f} degrees over {over}"


STATE, RUN, CURVE = "state.safetensors", "run.json", "curve.png"
"""Names of the files beside the weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult(Result):
    """What came of a run."""

    out: Path
    weights: Path | None
    """None if the run was stopped before its end, or in processes other than the first."""
    ending: str
    """finished, time, patience or stopped."""
    signal: int | None
    steps: int
    best_step: int
    seconds: float
    score: float | None
    """MPSNR of the kept weights on the validation windows, in dB; None: nothing was held out."""
    bicubic: float | None
    sam: float | None
    """Mean spectral angle of the kept weights there, in degrees."""
    bicubic_sam: float | None
    baseline: float | None
    """MPSNR there of back-projected bicubic, in dB."""
    baseline_sam: float | None
    start: float | None
    """MPSNR of the weights the run began with."""
    last: float | None = None
    """MPSNR in dB of the last validation, which may be below `score`."""
    gain: str = ""
    """In words: what the kept weights gain there, and over what."""
    first: bool = True
    """This is the process that reports."""

    def __repr__(self) -> str:
        gain = ""
        if self.score is not None and self.bicubic is not None:
            gain = f", {self.score:.2f} dB ({self.score - self.bicubic:+z.2f} against bicubic)"
        return f"TrainResult({str(self.out)!r}: {self.ending} after {self.steps} steps{gain})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        hidden = ("first", "gain")
        return {k: v for k, v in plain_fields(self).items() if k not in hidden}


def run_facts(
    options: TrainOptions, recipe: Recipe, start: Start, data: TrainingData, plan: Plan
) -> dict[str, Any]:
    """What is known of a run before its first step, as plain values."""
    return {
        "command": options.command,
        "seed": options.seed,
        "max_minutes": options.max_minutes,
        "init": options.init,
        "init_sha256": start.init_sha256,
        "descriptor": _plain(dataclasses.asdict(plan.descriptor)),
        "recipe": _plain(recipe.as_dict()),
        "scenes": plan.fingerprint["scenes"],
        "judges": plan.fingerprint["judges"],
        "total_steps": data.total_steps,
        **machine(plan.device, plan.workers),
    }


def _plain(table: dict[str, Any]) -> dict[str, Any]:
    """Lists for tuples, as JSON would have them."""
    return {key: list(v) if isinstance(v, tuple) else v for key, v in table.items()}


def fingerprint(
    recipe: Recipe, start: Start, data: TrainingData, seed: int, processes: int
) -> dict[str, Any]:
    """What must not change between the parts of a run; plain values, as read back from JSON."""
    return {
        "seed": seed,
        "init_sha256": start.init_sha256,
        "network": _plain(dataclasses.asdict(start.descriptor)),
        "recipe": _plain(recipe.as_dict()),
        "scenes": data.facts(),
        "judges": [_judge(judge, data) for judge in data.judges],
        "processes": processes,
    }


def _judge(judge: ValidationWindow, data: TrainingData) -> list[Any]:
    """Name and window, and what tells a scene that is not among those trained on from others."""
    place = [judge.scene.name, *dataclasses.astuple(judge.window)]
    known = any(judge.scene is scene for scene in data.scenes)
    return place if known else [*place, checksum(judge.scene.values)]


def written_result(
    options: TrainOptions,
    recipe: Recipe,
    plan: Plan,
    outcome: Outcome,
    log: RunLog,
    data: TrainingData,
    datasets: list[Dataset],
) -> TrainResult:
    """Write weights, model card, learning curve and run.json; a stopped run gets no weights."""
    arch = plan.descriptor.arch.replace(":", "-")  # the name becomes one of a file
    name = f"{arch}-x{plan.descriptor.scale}"
    more: dict[str, Any] = {"ending": outcome.ending}
    weights = None
    history = outcome.progress.history
    if history:
        draw_curve(options.out / CURVE, history, f"{name}, recipe {recipe.name}")
    if outcome.ending != "stopped":
        plan.network.load_state_dict(outcome.weights)
        more["test"] = scores_on_test_windows(
            plan.network,
            plan.descriptor,
            data.scenes,
            plan.device,
            consistent=recipe.split != "published",
        )
        facts = {**log.facts, **more}
        weights = save_weights(
            options.out / f"{name}.safetensors",
            plan.network,
            plan.descriptor,
            card=_remarks(recipe, outcome, facts),
            trained=outcome.progress.step > 0,
            overwrite=True,
        )
        card = model_card(name, plan.descriptor, recipe, outcome.progress, facts, datasets)
        replace_file(options.out / f"{name}.md", card.encode())
        more |= {"weights": weights.name, "weights_sha256": file_sha256(weights)}
    log.write(outcome.progress, more)
    result = training_result(options, outcome, weights)
    _say_gain(options, outcome)
    return result


def _remarks(recipe: Recipe, outcome: Outcome, facts: Mapping[str, Any]) -> dict[str, str]:
    """What travels inside the weights file."""
    best = _best(outcome.progress)
    return {
        "recipe": recipe.name,
        "seed": str(facts["seed"]),
        "steps": str(outcome.progress.step),
        "scenes": ", ".join(scene["name"] for scene in facts["scenes"]),
        "hsisr": facts["versions"]["hsisr"],
        **({"validation": f"{gain_words(best)}."} if best is not None else {}),
    }


def _best(progress: Progress) -> Record | None:
    return next((r for r in progress.history if r.step == progress.best_step), None)


def _say_gain(options: TrainOptions, outcome: Outcome) -> None:
    """Say so if the weights a user began with were not improved, or lose to the baseline."""
    best, start = _best(outcome.progress), next(iter(outcome.progress.history), None)
    if best is None or outcome.ending == "stopped":
        return
    if options.init is not None and start is not None and best.step == start.step:
        warn(
            f"no step improved on the weights that came from {options.init} ({start.score:.3f} dB "
            "on what was held out), so these are kept"
        )
    gain, turned, over = best.gain
    losses = [
        *([f"{-gain:.2f} dB"] if gain < 0 else []),
        *([f"{turned:.2f} degrees"] if turned > 0.01 else []),
    ]
    if losses:
        warn(
            f"the weights lose {' and '.join(losses)} against {over} on what was held out; train "
            "longer, or on more scenes"
        )


def training_result(
    options: TrainOptions, outcome: Outcome, weights: Path | None, *, first: bool = True
) -> TrainResult:
    """What to tell the caller."""
    progress, best = outcome.progress, _best(outcome.progress)
    return TrainResult(
        out=options.out,
        weights=weights,
        ending=outcome.ending,
        signal=outcome.signal,
        steps=progress.step,
        best_step=progress.best_step,
        seconds=progress.seconds,
        **{name: getattr(best, name, None) for name in SCORES},
        start=progress.history[0].score if progress.history else None,
        last=progress.history[-1].score if progress.history else None,
        gain=gain_words(best) if best is not None else "",
        first=first,
    )
