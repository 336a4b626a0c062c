"""Scores of one run on one scene by Wald's protocol, in this project's convention and DACN's."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hsisr.benchmark.cells import Cell, Cells
from hsisr.benchmark.maps import scene_maps
from hsisr.benchmark.options import BenchmarkOptions
from hsisr.benchmark.runs import Run
from hsisr.commands.wald import Trial, WaldOptions, degraded
from hsisr.io.scene_files import scene_identity
from hsisr.metrics.report import Scores, jsonable

CONVENTIONS: Final = ("hsisr", "dacn")
"""Of `hsisr.metrics.conventions`: the project's own, and that of the published figures."""


def consistent(run: Run, options: BenchmarkOptions) -> bool:
    """Whether the result is drawn towards the observed pixels, as `hsisr upscale` does.

    Networks are, all alike; plain bicubic is not, nor is anything that repeats what was published.
    """
    return run.method.arch is not None and options.protocol != "dacn-published"


def pictured(run: Run, scene: Path, scales: Sequence[int]) -> bool:
    """Whether the report shows this score: the first seed on the first scene, at x4 if it can."""
    scale = 4 if 4 in scales else scales[0]
    return (run.seed, run.scale, scene) == (0, scale, run.course.judges[0])


def score_cell(
    run: Run,
    weights: Mapping[str, Any] | None,
    scene: Path,
    options: BenchmarkOptions,
    *,
    shown: bool,
) -> Cell:
    """The cell of a score, bound to weights, scene and way of judging; `shown` ones have maps."""
    return Cell(
        "score",
        f"{run.name}-{scene.stem}",
        {
            "method": run.method.name,
            "scale": run.scale,
            "seed": run.seed,
            "weights_sha256": weights and weights["weights_sha256"],
            "scene": scene_identity(scene),
            "consistency": consistent(run, options),
            "conventions": CONVENTIONS,
            "device": options.device,
            "maps": shown,
        },
    )


def scored(
    run: Run,
    weights: Mapping[str, Any] | None,
    scene: Path,
    options: BenchmarkOptions,
    cells: Cells,
    scales: Sequence[int],
    pixels: Sequence[tuple[int, int]] | None = None,
) -> dict[str, Any]:
    """Figures of a run on a scene: found, or measured now.

    Args:
        run: What is judged.
        weights: Facts of its weights; None for interpolation.
        scene: Its own truth.
        options: Protocol and device.
        cells: Where finished scores lie.
        scales: All that are compared.
        pixels: Whose spectra are kept; see `scene_maps`.

    Raises:
        HsisrError: The scene or the weights cannot be used.
    """
    shown = pictured(run, scene, scales)
    cell = score_cell(run, weights, scene, options, shown=shown)
    if (facts := cells.found(cell)) is not None:
        return facts
    model = run.method.name if weights is None else str(cells.folder / weights["weights"])
    with degraded(scene, WaldOptions(scale=run.scale, device=options.device)) as trial:
        started = time.monotonic()
        result = trial.upscaled(model, consistency=consistent(run, options))
        seconds = time.monotonic() - started
        found = {name: trial.scores(result.output, name) for name in CONVENTIONS}
        if shown:
            scene_maps(trial.truth, result.output, pixels).save(cells.path(cell, ".npz"))
        facts = {
            "course": run.course.name,
            "method": run.method.name,
            "scale": run.scale,
            "seed": run.seed,
            "scene": scene.name,
            **_size(trial),
            "bands_scored": len(found["hsisr"].bands),
            "seconds": round(seconds, 3),
            "maps": str(cells.path(cell, ".npz").relative_to(cells.folder)) if shown else None,
            "figures": {name: _plain(scores) for name, scores in found.items()},
        }
    cells.keep(cell, facts)
    return facts


def _size(trial: Trial) -> dict[str, int]:
    bands, rows, cols = trial.truth.metadata.shape
    return {"bands": bands, "rows": rows, "cols": cols}


def _plain(scores: Scores) -> dict[str, float | str | None]:
    return {name: jsonable(value) for name, value in scores.values.items()}
