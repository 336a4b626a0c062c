"""Whether standard errors of released weights are right on scenes that were never fitted to.

    python docs/benchmarks/uncertainty.py dev/*.mat dev/*.tif [--model NAME] [--scale 4]

Every scene is degraded by area averages and brought back with `--uncertainty`; the table says how
often the truth lies within the factors for 68 and 95 %, in each fifth of the values by standard
error too, the rank correlation of standard and true errors, and the gain in log score over one
constant per band, which is told the truth. A star marks what the aim is missed by: 58 to 78 % and
88 to 99 %, 58 to 78 % in each fifth, a rank correlation of 0.4, a gain above 0.
"""

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from hsisr.commands.evaluation.evaluate import measure_coverage
from hsisr.commands.evaluation.wald import degraded
from hsisr.commands.options import WaldOptions
from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.io.open import open_scene
from hsisr.metrics.coverage import Coverage


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenes", type=Path, nargs="+")
    parser.add_argument("--model", help="default: that of the scale")
    parser.add_argument("--scale", type=int, default=4)
    own = parser.parse_args(arguments)
    print("| scene | within 68 % | within 95 % | fifths | rank | score |\n" + "| --- " * 6 + "|")
    said = set()
    for scene in own.scenes:
        name, found = covered(scene, own.model, own.scale)
        said.add(f"{name}, factors {found.factors[0]:.3g} and {found.factors[1]:.3g}")
        print(f"| {scene.name} | {' | '.join(cells(found))} |", flush=True)
    print("", *said, sep="\n")
    return 0


def covered(scene: Path, model: str | None, scale: int) -> tuple[str, Coverage]:
    """Name of the weights, and what their standard errors are worth on a scene."""
    with degraded(scene, WaldOptions(scale=scale, model=model)) as trial:
        output, errors = trial.folder / "hr.tif", trial.folder / "errors.tif"
        options = UpscaleOptions(scale=scale, model=model, uncertainty=errors)
        result = upscale(trial.folder / "lr.tif", output, options)
        with closing(open_scene(output)) as one, closing(open_scene(errors)) as two:
            return result.model, measure_coverage(trial.truth, one, two)


def cells(found: Coverage) -> list[str]:
    """Figures, starred where they miss the aim."""
    figures = found.figures

    def within(value: float, low: float, high: float) -> str:
        return f"{value:.0f}{'' if low <= value <= high else '*'}"

    rank, score = figures["error_rank"], figures["error_score"]
    return [
        within(figures["within_68"], 58, 78),
        within(figures["within_95"], 88, 99),
        " ".join(within(value, 58, 78) for value in found.fifths),
        f"{rank:.2f}{'' if rank >= 0.4 else '*'}",
        f"{score:+.2f}{'' if score > 0 else '*'}",
    ]


if __name__ == "__main__":
    raise SystemExit(main())
