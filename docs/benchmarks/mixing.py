"""How the ridge of pseudo-bands was chosen, and how many pseudo-bands are enough.

    python docs/benchmarks/mixing.py train/*.mat [--what counts] [--scale 2] [--pixels 20]

Scenes are degraded by area averages; the network adds its detail to the K pseudo-bands, and that is
expanded to all bands, with each ridge, or with each number K, the residual of held-out rows beside
it, and to the bands themselves. The tables have the gain in PSNR (mean over bands) over bicubic
with agreement. Scenes that the weights are judged by have no place here. `--pixels` is how many a
pseudo-band needs: with fewer than the usual 20, scenes count too that are so small that they are
seen band by band otherwise.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from hsisr.commands.evaluation.wald import degraded
from hsisr.commands.options import WaldOptions
from hsisr.engine import mixing as mixing_module
from hsisr.engine.mixing import Mixing, SceneStatistics, measure_scene
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.plan import Layout, base_of
from hsisr.engine.session import Session
from hsisr.io.base import Scene
from hsisr.io.open import open_scene
from hsisr.models.interpolation import Trim
from hsisr.scene.metadata import Cube

COUNTS = (*mixing_module.PSEUDO_BANDS, 0)  # 0: the bands themselves
RIDGES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenes", type=Path, nargs="+")
    parser.add_argument("--model", help="default: that of the scale")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--what", choices=("ridges", "counts"), default="ridges")
    parser.add_argument("--pixels", type=int, default=mixing_module.PIXELS_PER_PSEUDO_BAND)
    own = parser.parse_args(arguments)
    mixing_module.PIXELS_PER_PSEUDO_BAND = own.pixels
    session = Session(UpscaleOptions(scale=own.scale, model=own.model))
    tried = RIDGES if own.what == "ridges" else COUNTS
    print(f"| scene | {' | '.join(f'{value:g}' if value else 'all bands' for value in tried)} |")
    print("| --- " * (1 + len(tried)) + "|")
    rows = []
    for path in own.scenes:
        with degraded(path, WaldOptions(scale=own.scale)) as trial:
            lr = trial.folder / "lr.tif"
            with closing(open_scene(lr)) as observed:
                found = list(gains(own.what, tried, observed, trial.truth, session))
        if len(found) == len(tried):
            rows.append([gain for gain, _ in found])
            cells = " | ".join(f"{gain:+.3f}{note}" for gain, note in found)
            print(f"| {path.name} | {cells} |", flush=True)
    if not rows:
        raise SystemExit("every scene has too few pixels or bands")
    means = np.mean(rows, axis=0)
    print(f"| mean | {' | '.join(f'{gain:+.3f}' for gain in means)} |")
    return 0


def gains(
    what: str, tried: Sequence[float], observed: Scene, truth: Scene, session: Session
) -> Iterator[tuple[float, str]]:
    """The gain in dB with each ridge or count, and a note; none where pixels are too few."""
    every = np.ones(observed.metadata.bands, np.bool_)
    lr, hr = observed.read(), torch.from_numpy(truth.read().values)
    base = base_of(session.options.scale).run(torch.from_numpy(lr.values)[None], (), Trim())[0]
    detail, before = None, psnr(base, hr)
    for value in tried:
        least = session.model.bands_at_once
        if what == "ridges":
            mixing_module.RIDGE = value
        else:
            if not value:
                statistics = SceneStatistics(measure_scene(observed, None).bands)
                yield psnr(passed(statistics, session, lr.values), hr) - before, ""
                return
            least = int(value)
            mixing_module.PSEUDO_BANDS = (least,)  # type: ignore[assignment]
        with recorded_residuals() as left:
            mixing = measure_scene(observed, every, least=least).mixing
        if mixing is None:
            return
        if detail is None or what == "counts":
            detail = detail_of(mixing, session, lr)
        shares = torch.from_numpy(mixing.expansion)
        gain = psnr(base + (shares @ detail.flatten(1)).reshape(base.shape), hr) - before
        yield gain, f" ({left[-1]:.4f})" if what == "counts" else f" (K = {mixing.count})"


@contextmanager
def recorded_residuals() -> Iterator[list[float]]:
    """What each number of pseudo-bands leaves of held-out rows, in deviations of the bands."""
    own, found = mixing_module.held_out_residual, list[float]()

    def recorded(*given: Any) -> float:
        found.append(own(*given))
        return found[-1]

    with patch.object(mixing_module, "held_out_residual", recorded):
        yield found


def detail_of(mixing: Mixing, session: Session, cube: Cube) -> torch.Tensor:
    """What the network adds to each pseudo-band of a scene, as one tile, shape (K, rows, cols)."""
    pseudo = mixing.mixed(cube.values, cube.valid)[0]
    return passed(SceneStatistics(mixing.statistics, mixing), session, pseudo)


def passed(statistics: SceneStatistics, session: Session, values: np.ndarray) -> torch.Tensor:
    """What the network makes of bands, or adds to pseudo-bands, shape (bands, rows, cols)."""
    bands, rows, cols = values.shape
    layout = Layout(bands=bands, rows=rows, cols=cols, itemsize=4, block_rows=1, block_cols=1)
    plan = session.plan(layout, statistics, (), session.room.tile_bytes)
    seen, total = torch.from_numpy(values), torch.zeros(bands, rows * plan.scale, cols * plan.scale)
    for group in plan.groups:
        bands_of, weights = list(group.bands), torch.ones(len(group.bands))
        if group.weights is not None:
            weights = torch.from_numpy(group.weights)
        own = group.upscaler.run(seen[bands_of][None], group.bands, Trim())[0]
        total[bands_of] += own * weights[:, None, None]
    return total


def psnr(found: torch.Tensor, truth: torch.Tensor) -> float:
    """Mean over the bands that are not constant, peak the truth's maximum, in dB."""
    live = truth.amax(dim=(1, 2)) > truth.amin(dim=(1, 2))
    error = (found - truth).square().mean(dim=(1, 2))[live]
    peak = truth.amax(dim=(1, 2))[live].square()
    return float((10 * (peak / error).log10()).mean())


if __name__ == "__main__":
    raise SystemExit(main())
