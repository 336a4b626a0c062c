"""The model card of a training run: what a user of the weights should know."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hsisr.datasets.catalogue import Dataset
from hsisr.metrics.report import markdown_cell
from hsisr.models.descriptor import ModelDescriptor
from hsisr.tiling.windows import Window
from hsisr.training.recipe import Recipe
from hsisr.training.state import BASELINE, Progress, Record
from hsisr.training.validation import CONVENTION, SHOWN

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

    Args:
        name: Of the weights.
        descriptor: Of the network.
        recipe: Complete.
        progress: Of the finished run.
        facts: The run's: `scenes`, `command`, `hardware`, `versions`, `seed`, `ending`, `test`.
        datasets: Catalogue entries of the scenes that came by name.
    """
    parts = [
        f"# {name}",
        _network(descriptor),
        "## Scores",
        _scores(progress),
        _tests(facts["test"]),
        "## Training scenes",
        _scenes(facts["scenes"]),
        _terms(datasets),
        "## How it was made",
        _making(recipe, progress, facts),
        "## Limits",
        _limits(descriptor, cut_short=facts["ending"] == "time"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _network(descriptor: ModelDescriptor) -> str:
    blur = _BLURS.get(descriptor.degradation, descriptor.degradation)
    return (
        f"Network `{descriptor.arch}`, x{descriptor.scale}, groups of {descriptor.group_size} "
        f"bands, normalisation `{descriptor.normalisation}`.\n\n"
        f"Blur: LR patches were made by {blur}."
    )


def _scores(progress: Progress) -> str:
    best = next((r for r in progress.history if r.step == progress.best_step), None)
    if best is None:
        return "Nothing was held out, so there are none."
    rows = [
        "| on the validation windows | MPSNR (dB) | SAM (degrees) |",
        "| --- | --- | --- |",
        f"| these weights (step {best.step}) | {best.score:.3f} | {best.sam:.3f} |",
        f"| bicubic interpolation | {best.bicubic:.3f} | {best.bicubic_sam:.3f} |",
    ]
    if best.baseline is not None:
        rows.append(f"| {BASELINE} | {best.baseline:.3f} | {best.baseline_sam:.3f} |")
    return "\n".join(rows) + f"\n\n{gain_words(best)}."


def _tests(tests: Sequence[Mapping[str, Any]]) -> str:
    if not tests:
        return ""
    head = " | ".join(name.upper() for name in SHOWN)
    lines = [f"| scene | | {head} |", "| --- | --- |" + " --- |" * len(SHOWN)]
    for test in tests:
        rows = {"these weights": "scores", "bicubic": "bicubic", BASELINE: "baseline"}
        for who, scores in rows.items():
            figures = " | ".join(_number(test[scores][name]) for name in SHOWN)
            lines.append(f"| {markdown_cell(test['scene'])} | {who} | {figures} |")
    window = Window(*tests[0]["window"])
    drawn = "" if tests[0]["back_projected"] else "not "
    lines.append(
        f"\nRows {window.row} to {window.row_end - 1}, columns {window.col} to "
        f"{window.col_end - 1} of the scene, by which nothing was chosen; convention "
        f"`{CONVENTION}` of `hsisr evaluate`; {drawn}drawn towards the observed pixels."
    )
    return "\n".join(lines)


def _number(value: float | str | None) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def gain_words(record: Record) -> str:
    """In words what was gained, or lost, against the baseline."""
    gain, angle, over = record.gain
    return f"{gain:+.2f} dB and {angle:+.3f} degrees over {over}"


def _scenes(scenes: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| scene | live bands | rows | columns |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {markdown_cell(s['name'])} | {s['live_bands']} | {s['rows']} | {s['cols']} |"
        for s in scenes
    ]
    leaks = [s for s in scenes if s["test_px_also_trained_on"]]
    lines += [
        f"\n**{markdown_cell(s['name'])}: {s['test_px_also_trained_on']} pixels of the test "
        "window were also trained on, as in the published notebooks.**"
        for s in leaks
    ]
    return "\n".join(lines)


def _terms(datasets: Sequence[Dataset]) -> str:
    """Of the datasets known by name, and what terms of training scenes mean for the weights."""
    lines = [f"- {d.title}: {d.citation}. Terms: {d.terms}." for d in datasets]
    lines.append(
        "\nThe weights hold no pixel of these scenes. Whether the terms of scenes bind what was "
        "fitted to them is not settled: where they ask for attribution, give it with the weights "
        "too; where they exclude a use, or name no licence, ask their owner before that use of "
        "the weights."
    )
    return "\n".join(lines)


def _making(recipe: Recipe, progress: Progress, facts: Mapping[str, Any]) -> str:
    hardware, versions = facts["hardware"], facts["versions"]
    ending = f"{progress.step} steps, best at {progress.best_step}, ended: {facts['ending']}"
    where = f"{hardware['threads']} threads, {hardware['processes']} process(es)"
    where += f", {recipe.precision}"
    lines = [
        f"- command: `{facts['command']}`",
        f"- recipe: {markdown_cell(recipe.name)} ({markdown_cell(recipe.about)})",
        f"- seed {facts['seed']}, {ending}",
        f"- {progress.seconds / 60:.1f} minutes on {hardware['device']}, {where}",
        f"- {', '.join(f'{k} {v}' for k, v in versions.items())}",
    ]
    return "\n".join(lines)


def _limits(descriptor: ModelDescriptor, *, cut_short: bool) -> str:
    known = descriptor.wavelengths_nm
    spectrum = (
        f"Trained between {known[0]:.0f} and {known[1]:.0f} nm. " if known is not None else ""
    )
    short = "Time ended this training, not its recipe: longer may be better. " if cut_short else ""
    return (
        f"{short}{spectrum}The detail added is plausible, not measured: what lies below the "
        "observed pixel cannot be known from one scene. Scenes from other sensors, or whose blur "
        "is not the area average trained on, may gain less; `hsisr evaluate --wald` tells how much."
    )
