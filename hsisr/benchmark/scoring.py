"""Scores of one run on one scene by Wald's protocol, in this project's convention and DACN's."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from hsisr.benchmark.methods import LINEAR, PLAIN
from hsisr.benchmark.options import MILESTONES, BenchmarkOptions
from hsisr.benchmark.pictures import scene_maps
from hsisr.benchmark.runs import Cell, Cells, Run, row_of
from hsisr.commands.evaluation.wald import degraded
from hsisr.commands.options import WaldOptions
from hsisr.metrics.report import jsonable
from hsisr.resume.record import scene_identity
from hsisr.weights.store import file_sha256

REMOTE: Final = "remote sensing"
INDOOR: Final = "indoor"
CONVENTIONS: Final = ("hsisr", "dacn")
"""Of `hsisr.metrics.conventions`: the project's own, and that of the published figures."""


@dataclass(frozen=True, slots=True)
class Judging:
    """One way in which a run is judged."""

    blur: str = "area"
    """How the judging scene is degraded."""
    agreement: bool = True
    """The result is back-projected to agree with the degraded scene, as `hsisr upscale` does."""
    share: float = 1.0
    """Of the training budget, after which the weights were kept."""


def judgings(options: BenchmarkOptions, milestones: Sequence[float]) -> list[Judging]:
    """All ways: every blur with agreement and without, then what was kept on the way."""
    found = [Judging(blur, agreement) for blur in options.blurs for agreement in (True, False)]
    return found + [Judging(options.blurs[0], share=share) for share in milestones]


def words_of(judging: Judging) -> str:
    """For lines of progress."""
    on = "" if judging.agreement else ", no agreement"
    return f"{judging.blur} blur{on}" + ("" if judging.share == 1 else f", {judging.share:.0%}")


def shares_of(run: Run) -> tuple[float, ...]:
    """Milestones that a run is judged at beside its end; only networks trained here have some."""
    trained_here = run.given is None and run.method.arch is not None
    return MILESTONES if trained_here and run.method.name != LINEAR else ()


def pictured(run: Run, scene: Path, scales: Sequence[int], judging: Judging | None = None) -> bool:
    """Whether the report shows this score: the first seed on the first scene, at x4 if it can."""
    scale = 4 if 4 in scales else scales[0]
    first = (run.seed, run.scale, scene) == (0, scale, run.course.judges[0])
    return first and judging in (None, Judging())


def score_cell(
    run: Run,
    sha256: str | None,
    scene: Path,
    judging: Judging,
    options: BenchmarkOptions,
    *,
    shown: bool,
) -> Cell:
    """The cell of a score, bound to weights, scene and way of judging; `shown` ones have maps."""
    how = f"{judging.blur}-{'on' if judging.agreement else 'off'}-{judging.share:.2g}"
    return Cell(
        "score",
        f"{run.name}-{scene.stem}-{how}",
        {
            "method": run.method.name,
            "scale": run.scale,
            "seed": run.seed,
            "weights_sha256": sha256,
            "scene": scene_identity(scene),
            **asdict(judging),
            "conventions": CONVENTIONS,
            "device": options.device,
            "maps": shown,
            **({} if options.nodata is None else {"nodata": options.nodata}),
        },
    )


def scored(
    run: Run,
    weights: Mapping[str, Any] | None,
    scene: Path,
    judging: Judging,
    options: BenchmarkOptions,
    cells: Cells,
    pixels: Sequence[tuple[int, int]] | None = None,
) -> dict[str, Any]:
    """Figures of a run on a scene, its own truth: found among `cells`, or measured now.

    `weights` are facts, None for interpolation; spectra of `pixels` are kept, see `scene_maps`.
    """
    shown = pictured(run, scene, options.scales, judging)
    model = PLAIN if not judging.agreement else "baseline"
    sha256 = None
    if weights is not None:
        final = judging.share == 1
        place = weights["weights"] if final else weights["milestones"][f"{judging.share:g}"]
        model = str(cells.folder / place)
        sha256 = weights["weights_sha256"] if final else file_sha256(Path(model))
    cell = score_cell(run, sha256, scene, judging, options, shown=shown)
    if (facts := cells.found(cell)) is not None:
        return facts
    how = WaldOptions(
        scale=run.scale, method=judging.blur, device=options.device, nodata=options.nodata
    )
    indoor = any(fnmatch(scene.name.lower(), pattern.lower()) for pattern in options.indoor)
    with degraded(scene, how) as trial:
        started = time.monotonic()
        result = trial.upscaled(model, consistency=judging.agreement)
        seconds = time.monotonic() - started
        found = {name: trial.scores(result.output, name) for name in CONVENTIONS}
        if shown:
            scene_maps(trial.truth, result.output, pixels).save(cells.path(cell, ".npz"))
        facts = {
            **row_of(run),
            "scene": scene.name,
            "kind": INDOOR if indoor else REMOTE,
            **asdict(judging),
            **dict(zip(("bands", "rows", "cols"), trial.truth.metadata.shape, strict=True)),
            "bands_scored": len(found["hsisr"].bands),
            "seconds": round(seconds, 3),
            "maps": str(cells.path(cell, ".npz").relative_to(cells.folder)) if shown else None,
            "figures": {
                name: {figure: jsonable(value) for figure, value in scores.values.items()}
                for name, scores in found.items()
            },
        }
    cells.keep(cell, facts)
    return facts
