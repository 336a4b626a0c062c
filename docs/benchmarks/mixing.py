"""How the ridge of pseudo-bands was chosen, and how many pseudo-bands scenes get.

    python docs/benchmarks/mixing.py train/*.mat [--model NAME] [--scale 2]

Scenes are degraded by area averages; the network adds its detail to the K pseudo-bands once, and
that is expanded to all bands with each ridge. The table has the gain in PSNR (mean over bands) over
bicubic with agreement. Scenes that the weights are judged by have no place here.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

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
from hsisr.scene.cube import Cube

RIDGES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenes", type=Path, nargs="+")
    parser.add_argument("--model", help="default: that of the scale")
    parser.add_argument("--scale", type=int, default=2)
    own = parser.parse_args(arguments)
    session = Session(UpscaleOptions(scale=own.scale, model=own.model))
    print(f"| scene | K | {' | '.join(f'{ridge:g}' for ridge in RIDGES)} |")
    print("| --- " * (2 + len(RIDGES)) + "|")
    rows = []
    for path in own.scenes:
        with degraded(path, WaldOptions(scale=own.scale)) as trial:
            lr = trial.folder / "lr.tif"
            with closing(open_scene(lr)) as observed:
                found = list(gains(observed, trial.truth, session))
        if found:
            rows.append(found[1:])
            cells = " | ".join(f"{gain:+.3f}" for gain in found[1:])
            print(f"| {path.name} | {found[0]:.0f} | {cells} |", flush=True)
    means = np.mean(rows, axis=0)
    print(f"| mean | | {' | '.join(f'{gain:+.3f}' for gain in means)} |")
    return 0


def gains(observed: Scene, truth: Scene, session: Session) -> Iterator[float]:
    """The number of pseudo-bands, then the gain in dB with each ridge; nothing without any."""
    every = np.ones(observed.metadata.bands, np.bool_)
    lr, hr = observed.read(), torch.from_numpy(truth.read().values)
    base = base_of(session.options.scale).run(torch.from_numpy(lr.values)[None], (), Trim())[0]
    detail, before = None, psnr(base, hr)
    for ridge in RIDGES:
        mixing_module.RIDGE = ridge
        statistics = measure_scene(observed, every)
        mixing = statistics.mixing
        if mixing is None:
            return
        if detail is None:
            detail = detail_of(mixing, session, lr)
            yield mixing.count
        shares = torch.from_numpy(mixing.expansion)
        yield psnr(base + (shares @ detail.flatten(1)).reshape(base.shape), hr) - before


def detail_of(mixing: Mixing, session: Session, cube: Cube) -> torch.Tensor:
    """What the network adds to each pseudo-band of a scene, as one tile, shape (K, rows, cols)."""
    bands, rows, cols = cube.values.shape
    layout = Layout(bands=bands, rows=rows, cols=cols, itemsize=4, block_rows=1, block_cols=1)
    statistics = SceneStatistics(mixing.statistics, mixing)
    plan = session.plan(layout, statistics, (), session.room.tile_bytes)
    pseudo = torch.from_numpy(mixing.mixed(cube.values, cube.valid)[0])
    total = torch.zeros(mixing.count, rows * plan.scale, cols * plan.scale)
    for group in plan.groups:
        bands_of, weights = list(group.bands), torch.ones(len(group.bands))
        if group.weights is not None:
            weights = torch.from_numpy(group.weights)
        own = group.upscaler.run(pseudo[bands_of][None], group.bands, Trim())[0]
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
