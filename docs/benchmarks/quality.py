"""What networks add to a scene: is it settled, is it noise, do products improve, do tiles matter?

    python docs/benchmarks/quality.py stripes settled index classes --model dacn-any-x4 SCENE ...

Each report is a Markdown table. Scenes are their own truth: they are degraded by area averages and
super-resolved back as `hsisr upscale` does by default; the baseline is bicubic that agrees with the
LR pixels. `stripes` needs no scene; `index` takes the scenes that have wavelengths. `tiles`,
`borders` and `mirrored` have the mean over bands of the gain in dB over the baseline.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from scipy.cluster.vq import kmeans2

import hsisr
from hsisr.degradation import DEGRADATIONS
from hsisr.io.open import open_scene
from hsisr.tiling import Window
from hsisr.weights import load_weights, resolve, save_weights

Array = npt.NDArray[np.float32]
RED_NM, NIR_NM = 665.0, 842.0
CLASSES = 6
MOST_PX = 256
TILES = (16, 24, 48, 96)
BORDERS = ((48, 8, 8), (48, 4, 4), (56, 4, 4), (28, 2, 2))
"""Side of a tile, LR pixels shared with the next, context around it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", nargs="+", help=f"{', '.join(TITLES)}; then scenes")
    parser.add_argument("--model", action="append", required=True, help="weights; may be repeated")
    parser.add_argument("--scale", type=int, default=4)
    own = parser.parse_intermixed_args()
    reports = [name for name in own.what if name in REPORTS]
    scenes = [Path(name) for name in own.what if name not in REPORTS]
    for name in reports:
        print(f"## {TITLES[name]}\n")
        print("\n".join(map(_row, REPORTS[name](scenes, own.model, own.scale))), "\n", flush=True)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def settled(scenes: Sequence[Path], models: Sequence[str], scale: int) -> Iterator[Sequence[str]]:
    """Share of the added detail that changes when the scene is turned by 90 degrees."""
    yield "scene", *(f"{model}, %" for model in models)
    yield ("---",) * (1 + len(models))
    for path in scenes:
        lr = DEGRADATIONS["area"](truth_of(path, scale)[0], scale)
        base, shares = upscaled(lr, "baseline", scale), []
        for model in models:
            result = upscaled(lr, model, scale)
            turned = np.rot90(lr, axes=(1, 2))
            back = np.rot90(upscaled(turned, model, scale), -1, axes=(1, 2))
            shares.append(rms(back - result) / rms(result - base))
        yield path.name, *(f"{100 * share:.1f}" for share in shares)


def stripes(_: Sequence[Path], models: Sequence[str], scale: int) -> Iterator[Sequence[str]]:
    """RMS beyond the LR Nyquist frequency on a flat noisy scene, over that of bicubic."""
    yield "LR scene of one level", *(f"{m} / {b}" for m in models for b in ("bicubic", "baseline"))
    yield ("---",) * (1 + 2 * len(models))
    draw = np.random.default_rng(0)
    level = np.full((32, 48, 48), 1000.0) + 20.0 * np.arange(32)[:, None, None]
    noise = draw.normal(0, 10, level.shape)
    columns = np.broadcast_to(draw.normal(0, 10, (32, 1, 48)), level.shape)
    for name, added in (
        ("noise, 1 % of the level", noise),
        ("column stripes, 1 %", columns),
        ("both", noise + columns),
    ):
        lr = (level + added).astype(np.float32)
        references = [fine(upscaled(lr, model, scale), scale) for model in ("bicubic", "baseline")]
        found = [fine(upscaled(lr, model, scale), scale) for model in models]
        yield name, *(f"{value / reference:.2f}" for value in found for reference in references)


def index(scenes: Sequence[Path], models: Sequence[str], scale: int) -> Iterator[Sequence[str]]:
    """NDVI of the estimate against that of the scene itself, over valid pixels."""
    yield "scene", "estimate", "RMSE of NDVI", "correlation", "NDVI above 0.4: agreement, %"
    yield ("---",) * 5
    for path in scenes:
        truth, valid, wavelengths = truth_of(path, scale)
        if wavelengths is None:
            continue
        red, nir = (int(np.abs(wavelengths - nm).argmin()) for nm in (RED_NM, NIR_NM))
        expected = ndvi(truth, red, nir)[valid]
        for name, estimate in estimates(truth, models, scale):
            found = ndvi(estimate, red, nir)[valid]
            alike = 100 * np.mean((found > 0.4) == (expected > 0.4))
            correlation = np.corrcoef(found, expected)[0, 1]
            yield (
                path.name, name, f"{rms(found - expected):.4f}", f"{correlation:.4f}",
                f"{alike:.2f}",
            )  # fmt: skip


def classes(scenes: Sequence[Path], models: Sequence[str], scale: int) -> Iterator[Sequence[str]]:
    """Classes of pixels by the nearest of six mean spectra, k-means of the scene itself."""
    yield "scene", "estimate", "pixels in their class, %", "Cohen's kappa"
    yield ("---",) * 4
    for path in scenes:
        truth, valid, _ = truth_of(path, scale)
        deviation = truth[:, valid].std(1)[:, None]
        spectra = (truth[:, valid] / deviation).T
        centres, expected = kmeans2(spectra.astype(np.float64), CLASSES, minit="++", seed=0)
        for name, estimate in estimates(truth, models, scale):
            own = (estimate[:, valid] / deviation).T.astype(np.float64)
            found = ((own[:, None] - centres) ** 2).sum(2).argmin(1)
            right = float(np.mean(found == expected))
            chance = sum(
                float(np.mean(found == c) * np.mean(expected == c)) for c in range(CLASSES)
            )
            yield path.name, name, f"{100 * right:.2f}", f"{(right - chance) / (1 - chance):.4f}"


def tiles(scenes: Sequence[Path], models: Sequence[str], scale: int) -> Iterator[Sequence[str]]:
    """The gain by the side of the tiles that the network sees, beside its context."""
    yield "scene", "LR pixels", "model", *(f"tiles of {side}" for side in TILES)
    yield ("---",) * (3 + len(TILES))
    for path in scenes:
        truth = truth_of(path, scale)[0]
        lr = DEGRADATIONS["area"](truth, scale)
        gain = gain_over_baseline(truth, lr, scale)
        for model in models:
            gains = (gain(upscaled(lr, model, scale, tile=side)) for side in TILES)
            size = " x ".join(map(str, lr.shape[1:]))
            yield path.name, size, model, *(f"{found:+.3f}" for found in gains)


def borders(scenes: Sequence[Path], models: Sequence[str], scale: int) -> Iterator[Sequence[str]]:
    """The gain by what tiles share and see around them; the fewer, the less is computed twice."""
    yield "scene", "LR pixels", "model", *("{}, {} shared, {} around".format(*b) for b in BORDERS)
    yield ("---",) * (3 + len(BORDERS))
    for path in scenes:
        truth = truth_of(path, scale, most=512)[0]
        lr = DEGRADATIONS["area"](truth, scale)
        gain = gain_over_baseline(truth, lr, scale)
        for model in models:
            gains = (gain(in_tiles(lr, model, scale, *border)) for border in BORDERS)
            size = " x ".join(map(str, lr.shape[1:]))
            yield path.name, size, model, *(f"{found:+.3f}" for found in gains)


def in_tiles(lr: Array, model: str, scale: int, side: int, shared: int, around: int) -> Array:
    """By weights whose file names such tiles."""
    weights = load_weights(resolve(model))
    descriptor = dataclasses.replace(
        weights.descriptor, tile_lr_px=side, overlap_lr_px=shared, margin_lr_px=around
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_weights(path, weights.network, descriptor, card=weights.card)
        return upscaled(lr, str(path), scale)


def mirrored(scenes: Sequence[Path], models: Sequence[str], scale: int) -> Iterator[Sequence[str]]:
    """The gain, that of the mirrored scene, and that of the mean of both results."""
    yield "scene", "model", "as it is", "mirrored", "mean of both results"
    yield ("---",) * 5
    for path in scenes:
        truth = truth_of(path, scale)[0]
        lr = DEGRADATIONS["area"](truth, scale)
        gain = gain_over_baseline(truth, lr, scale)
        for model in models:
            result = upscaled(lr, model, scale)
            back = upscaled(lr[..., ::-1], model, scale)[..., ::-1]
            mean = np.asarray((result + back) / 2, np.float32)
            gains = map(gain, (result, back, mean))
            yield path.name, model, *(f"{found:+.3f}" for found in gains)


def gain_over_baseline(truth: Array, lr: Array, scale: int) -> Callable[[Array], float]:
    """What says the gain of a result in dB, the mean over bands."""

    def squares(found: Array) -> Array:
        return np.asarray(np.square(found - truth).mean((1, 2)))

    before = squares(upscaled(lr, "baseline", scale))
    return lambda found: float(np.mean(10 * np.log10(before / squares(found))))


TITLES = {
    "settled": "Share of the added detail that changes when the scene is turned by 90 degrees",
    "stripes": "High frequencies on a flat noisy scene, over those of bicubic",
    "index": "NDVI",
    "classes": "Classes of pixels",
    "tiles": "Gain over bicubic with agreement, in dB, by the side of the tiles in LR pixels",
    "borders": "Gain over bicubic with agreement, in dB, by the borders of tiles in LR pixels",
    "mirrored": "Gain over bicubic with agreement, in dB, of scenes and of mirrored scenes",
}
REPORTS: dict[str, Callable[[Sequence[Path], Sequence[str], int], Iterator[Sequence[str]]]]
REPORTS = {
    "settled": settled,
    "stripes": stripes,
    "index": index,
    "classes": classes,
    "tiles": tiles,
    "borders": borders,
    "mirrored": mirrored,
}


def truth_of(
    path: Path, scale: int, most: int = MOST_PX
) -> tuple[Array, npt.NDArray[np.bool_], npt.NDArray[np.float64] | None]:
    """Live bands of the middle of a scene, where all are valid, and their wavelengths in nm."""
    scene = open_scene(path)
    meta = scene.metadata
    rows, cols = (min(n, most) // scale * scale for n in (meta.rows, meta.cols))
    cube = scene.read(Window((meta.rows - rows) // 2, (meta.cols - cols) // 2, rows, cols))
    scene.close()
    live = [b for b, good in enumerate(cube.valid) if good.any() and np.ptp(cube.values[b][good])]
    valid = np.asarray(cube.valid[live].all(0), np.bool_)
    values = np.where(cube.valid[live], cube.values[live], cube.values[live][:, valid].min())
    known = meta.spectral_axis.wavelengths_nm
    return values, valid, None if known is None else np.array(known)[live]


def estimates(truth: Array, models: Sequence[str], scale: int) -> Iterator[tuple[str, Array]]:
    lr = DEGRADATIONS["area"](truth, scale)
    for model in ("bicubic", "baseline", *models):
        yield model, upscaled(lr, model, scale)


def upscaled(lr: Array, model: str, scale: int, tile: int | None = None) -> Array:
    """By `hsisr upscale` with its defaults; plain bicubic without agreement."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "lr.tif", Path(folder) / "hr.tif"
        count, rows, cols = lr.shape
        with rasterio.open(
            source, "w", "GTiff", width=cols, height=rows, count=count, dtype="float32"
        ) as file:
            file.write(np.ascontiguousarray(lr))
        agrees = model != "bicubic"
        hsisr.upscale(
            source, target, scale=scale, model=model, consistency=agrees, device="cpu", tile=tile
        )
        with rasterio.open(target) as file:
            return np.asarray(file.read())


def fine(hr: Array, scale: int) -> float:
    """RMS over bands of what lies beyond the Nyquist frequency of the LR grid."""
    spectrum = np.fft.fft2(hr - hr.mean((1, 2), keepdims=True))
    down, right = (np.abs(np.fft.fftfreq(n)) for n in hr.shape[1:])
    beyond = np.maximum(down[:, None], right) > 0.5 / scale
    return rms(np.fft.ifft2(spectrum * beyond).real)


def ndvi(values: Array, red: int, nir: int) -> Array:
    total = values[nir] + values[red]
    index = np.divide(values[nir] - values[red], total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(index, np.float32)


def rms(values: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


if __name__ == "__main__":
    main()
