"""Scores on windows that training does not see, beside bicubic interpolation.

The network runs as in `hsisr upscale`: all bands, in overlapping groups, normalised by the LR
scene, back-projected to the observed pixels. On validation windows the scores are MPSNR (mean over
bands of 10 log10(peak^2 / MSE), peak = the largest value of the window) and the mean spectral
angle, over valid pixels and live bands. On the test windows of a dataset's split, which chose no
weights, they are those of the paper's convention.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hsisr.datasets.training_scenes import TrainingScene, area_average
from hsisr.engine.upscaler import InterpolationUpscaler, NetworkUpscaler, Upscaler
from hsisr.metrics.conventions import convention_named
from hsisr.metrics.figures import AngleSum, BandMoments, psnr_db
from hsisr.metrics.report import jsonable
from hsisr.metrics.scoring import PairStatistics, ScoreAccumulator
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.interpolation import KERNELS, Trim
from hsisr.scene.metadata import SpectralAxis
from hsisr.scene.rendering import colour_bands, stretch_limits, stretched
from hsisr.tiling import Window, window_starts

Float32 = npt.NDArray[np.float32]

_CONTEXT_LR_PX = 8
_MOST_LR_PX = 48


@dataclass(frozen=True, slots=True)
class ValidationWindow:
    """One window of one scene, and the band groups to predict (None: all bands)."""

    scene: TrainingScene
    window: Window
    groups: tuple[tuple[int, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over the windows."""

    mpsnr: float
    sam: float


def validation_windows(
    scene: TrainingScene, scale: int, *, whole: bool = False
) -> list[ValidationWindow]:
    """The validation windows of a scene, or the middle of all of it; large ones cut to size."""
    windows = scene.split.validation
    if whole:
        windows = (Window(0, 0, *scene.values.shape[1:]),)
    middles = [_middle(window, scale) for window in windows]
    masks = [scene.mask(window) for window in middles]
    return [
        ValidationWindow(scene, window)
        for window, mask in zip(middles, masks, strict=True)
        if mask is None or mask.any()
    ]


def _middle(window: Window, scale: int) -> Window:
    """The middle of a window, at most 48 LR pixels wide and high, in whole LR pixels."""
    rows, cols = (min(n, _MOST_LR_PX * scale) for n in (window.rows, window.cols))
    down = (window.rows - rows) // 2 // scale * scale
    right = (window.cols - cols) // 2 // scale * scale
    return Window(window.row + down, window.col + right, rows, cols)


def network_scores(
    network: nn.Module,
    descriptor: ModelDescriptor,
    judges: Sequence[ValidationWindow],
    device: torch.device,
) -> Scores:
    """Scores of a network, in float32; its mode (training or not) is left as it was."""
    training = network.training
    network.eval()
    found = []
    for judge in judges:
        upscaler = network_upscaler(network, descriptor, judge, device)
        found.append(_scores(judge, upscaler, descriptor))
    network.train(training)
    return _mean(found)


def bicubic_scores(
    judges: Sequence[ValidationWindow], descriptor: ModelDescriptor, *, agreeing: bool = False
) -> Scores:
    """Scores of cubic convolution (a = -0.5) on the same windows and bands; see `bicubic`."""
    upscaler = bicubic(descriptor, agreeing=agreeing)
    return _mean([_scores(judge, upscaler, descriptor) for judge in judges])


def picture(
    network: nn.Module, descriptor: ModelDescriptor, judge: ValidationWindow, device: torch.device
) -> Float32:
    """The truth, plain bicubic and the network side by side, in colour.

    Returns:
        Shape (3, rows, 3 * cols), from 0 to 1: the 2nd to the 98th percentile of the truth.
    """
    training = network.training
    network.eval()
    scene = judge.scene
    axis = SpectralAxis(count=scene.bands, wavelengths_nm=scene.wavelengths_nm)
    groups = judge.groups or _groups(scene.bands, descriptor)
    named = np.array(sorted({band for group in groups for band in group}))
    colours = [int(named[np.abs(named - band).argmin()]) for band in colour_bands(axis)]
    upscalers = (bicubic(descriptor), network_upscaler(network, descriptor, judge, device))
    truth = scene.cut(judge.window)[colours]
    shown = [truth, *(upscaled(judge, one, descriptor)[colours] for one in upscalers)]
    network.train(training)
    return stretched(np.concatenate(shown, axis=2), stretch_limits(truth))


def bicubic(descriptor: ModelDescriptor, *, agreeing: bool = False) -> Upscaler:
    """Cubic convolution (a = -0.5): plain, or back-projected in ten rounds, the baseline."""
    return InterpolationUpscaler(KERNELS["baseline"], descriptor.scale, consistent=agreeing)


def network_upscaler(
    network: nn.Module,
    descriptor: ModelDescriptor,
    judge: ValidationWindow,
    device: torch.device,
    *,
    consistent: bool = True,
) -> Upscaler:
    """A network as `hsisr upscale` runs it on a judge's scene."""
    return NetworkUpscaler(
        network=network,
        descriptor=descriptor,
        device=device,
        consistent=consistent,
        statistics=judge.scene.statistics,
    )


def _mean(found: Sequence[Scores]) -> Scores:
    return Scores(
        float(np.mean([scores.mpsnr for scores in found])),
        float(np.mean([scores.sam for scores in found])),
    )


def _scores(judge: ValidationWindow, upscaler: Upscaler, descriptor: ModelDescriptor) -> Scores:
    groups = judge.groups or _groups(judge.scene.bands, descriptor)
    bands = sorted({band for group in groups for band in group})
    reference = judge.scene.cut(judge.window)[bands]
    estimate = upscaled(judge, upscaler, descriptor)[bands]
    mask = judge.scene.mask(judge.window)
    valid = np.broadcast_to(np.True_ if mask is None else mask, reference.shape)
    moments = BandMoments(judge.scene.statistics.mean[bands])
    moments.add(reference, estimate, valid)
    angles = AngleSum("skip", 0.0, np.dtype(np.float64))
    angles.add(reference, estimate, valid)
    peak = float(reference[valid].max()) if valid.any() else 0.0
    psnr = psnr_db(moments.mse, max(peak, float(np.finfo(np.float32).tiny)))
    return Scores(float(psnr.mean()), angles.mean_deg)


def _groups(bands: int, descriptor: ModelDescriptor) -> tuple[tuple[int, ...], ...]:
    size = descriptor.group_size
    if bands < size:
        return (tuple(range(bands)),)
    starts = window_starts(bands, size, descriptor.group_overlap)
    return tuple(tuple(range(start, start + size)) for start in starts)


def upscaled(judge: ValidationWindow, upscaler: Upscaler, descriptor: ModelDescriptor) -> Float32:
    """The window from its LR pixels and those around it, shape (bands, rows, cols).

    Overlapping groups are averaged; bands in none of the judge's groups are 0.
    """
    groups = judge.groups or _groups(judge.scene.bands, descriptor)
    scale, window = upscaler.scale, judge.window
    _, rows, cols = judge.scene.values.shape
    context = window.grown(_CONTEXT_LR_PX * scale, rows, cols)
    lr = torch.from_numpy(area_average(judge.scene.cut(context), scale))
    trim = Trim(
        (window.row - context.row) // scale,
        (context.row_end - window.row_end) // scale,
        (window.col - context.col) // scale,
        (context.col_end - window.col_end) // scale,
    )
    total = torch.zeros(len(lr), window.rows, window.cols)
    count = torch.zeros(len(lr), 1, 1)
    for group in groups:
        own = list(dict.fromkeys(group))  # a mirrored group names bands twice
        total[own] += upscaler.run(lr[own][None], tuple(own), trim)[0]
        count[own] += 1
    return np.asarray((total / count.clamp_min(1)).numpy())


CONVENTION: Final = "dacn"
SHOWN: Final = ("mpsnr", "mssim", "sam", "cc", "ergas", "rmse")
"""The figures that the notebooks published, in their order."""


def scores_on_test_windows(
    network: nn.Module,
    descriptor: ModelDescriptor,
    scenes: Sequence[TrainingScene],
    device: torch.device,
    *,
    consistent: bool,
) -> list[dict[str, Any]]:
    """Scores of a network, of bicubic and of the baseline on each test window, as plain values.

    Args:
        network: In any mode; left as it was.
        descriptor: Of the network.
        scenes: With their splits; most have no test window.
        device: Where the network is.
        consistent: Draw the result towards the observed pixels, as `hsisr upscale` does.
    """
    training = network.training
    network.eval()
    found = []
    for scene in scenes:
        for window in scene.split.test:
            judge = ValidationWindow(scene, window)
            own = network_upscaler(network, descriptor, judge, device, consistent=consistent)
            found.append(
                {
                    "scene": scene.name,
                    "window": [window.row, window.col, window.rows, window.cols],
                    "convention": CONVENTION,
                    "back_projected": consistent,
                    "scores": _figures(judge, own, descriptor),
                    "bicubic": _figures(judge, bicubic(descriptor), descriptor),
                    "baseline": _figures(judge, bicubic(descriptor, agreeing=True), descriptor),
                }
            )
    network.train(training)
    return found


def _figures(
    judge: ValidationWindow, upscaler: Upscaler, descriptor: ModelDescriptor
) -> dict[str, Any]:
    """The published figures on one window, by the paper's convention."""
    reference = judge.scene.cut(judge.window)
    mask = judge.scene.mask(judge.window)
    valid = np.broadcast_to(np.True_ if mask is None else mask, reference.shape)
    statistics = PairStatistics(len(reference))
    statistics.add(reference, valid, valid)
    convention = convention_named(CONVENTION)
    scoring = ScoreAccumulator(convention, statistics, scale=descriptor.scale)
    scoring.add(reference, upscaled(judge, upscaler, descriptor), valid)
    values = scoring.scores().values
    return {name: jsonable(values[name]) for name in SHOWN}
