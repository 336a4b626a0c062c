"""The model card of a training run: what a user of the weights should know."""

from collections.abc import Mapping, Sequence
from typing import Any

from hsisr.datasets.catalogue import Dataset
from hsisr.models.descriptor import ModelDescriptor
from hsisr.training.recipe import Recipe
from hsisr.training.state import Progress, Record


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
        facts: The run's: `scenes`, `command`, `hardware`, `versions`, `seed`, `ending`.
        datasets: Catalogue entries of the scenes that came by name.
    """
    parts = [
        f"# {name}",
        _network(descriptor),
        "## Scores",
        _scores(progress),
        "## Training scenes",
        _scenes(facts["scenes"]),
        _terms(datasets),
        "## How it was made",
        _making(recipe, progress, facts),
        "## Limits",
        _limits(descriptor),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _network(descriptor: ModelDescriptor) -> str:
    return (
        f"Network `{descriptor.arch}`, x{descriptor.scale}, groups of {descriptor.group_size} "
        f"bands, normalisation `{descriptor.normalisation}`. LR patches were made by "
        f"{descriptor.degradation} average."
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
    return "\n".join(rows) + f"\n\n{gain_words(best)}"


def gain_words(record: Record) -> str:
    """A sentence on the gain over bicubic interpolation."""
    gain = record.score - record.bicubic
    return f"{gain:+.2f} dB {'over' if gain >= 0 else 'against'} bicubic interpolation."


def _scenes(scenes: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| scene | live bands | rows | columns |", "| --- | --- | --- | --- |"]
    lines += [f"| {s['name']} | {s['live_bands']} | {s['rows']} | {s['cols']} |" for s in scenes]
    leaks = [s for s in scenes if s["test_px_also_trained_on"]]
    lines += [
        f"\n**{s['name']}: {s['test_px_also_trained_on']} pixels of the test window were also "
        "trained on, as in the published notebooks.**"
        for s in leaks
    ]
    return "\n".join(lines)


def _terms(datasets: Sequence[Dataset]) -> str:
    return "\n".join(f"- {d.title}: {d.citation}. Terms: {d.terms}." for d in datasets)


def _making(recipe: Recipe, progress: Progress, facts: Mapping[str, Any]) -> str:
    hardware, versions = facts["hardware"], facts["versions"]
    ending = f"{progress.step} steps, best at {progress.best_step}, ended: {facts['ending']}"
    where = f"{hardware['threads']} threads, {hardware['processes']} process(es)"
    lines = [
        f"- command: `{facts['command']}`",
        f"- recipe: `{recipe.name}` ({recipe.about})",
        f"- seed {facts['seed']}, {ending}",
        f"- {progress.seconds / 60:.1f} minutes on {hardware['device']}, {where}",
        f"- {', '.join(f'{k} {v}' for k, v in versions.items())}",
    ]
    return "\n".join(lines)


def _limits(descriptor: ModelDescriptor) -> str:
    known = descriptor.wavelengths_nm
    spectrum = (
        f"Trained between {known[0]:.0f} and {known[1]:.0f} nm. " if known is not None else ""
    )
    return (
        f"{spectrum}The detail added is plausible, not measured: what lies below the observed "
        "pixel cannot be known from one scene. Scenes from other sensors, or whose blur is not "
        "the area average trained on, may gain less; `hsisr evaluate --wald` tells how much."
    )
