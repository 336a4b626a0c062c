"""Scores on windows that training does not see, beside bicubic interpolation.

The network runs as in `hsisr upscale`: all bands, in overlapping groups, normalised by the LR
scene, back-projected to the observed pixels. On validation windows the scores are MPSNR (mean over
bands of 10 log10(peak^2 / MSE), peak = the largest value of the window) and the mean spectral
angle, over valid pixels and live bands. On the test windows of a dataset's split, which chose no
weights, they are those of the paper's convention.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hsisr.datasets.training_scenes import TrainingScene, area_average
from hsisr.engine.upscaler import InterpolationUpscaler, NetworkUpscaler, Upscaler
from hsisr.io.views import varied_bands
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

    def groups_of(self, descriptor: ModelDescriptor) -> tuple[tuple[int, ...], ...]:
        """The groups, else those in which such a network sees all bands."""
        bands, size = self.scene.bands, descriptor.group_size
        if self.groups or bands < size:
            return self.groups or (tuple(range(bands)),)
        starts = window_starts(bands, size, descriptor.group_overlap)
        return tuple(tuple(range(start, start + size)) for start in starts)

    def bands_of(self, descriptor: ModelDescriptor) -> list[int]:
        """The bands in these groups."""
        return sorted({band for group in self.groups_of(descriptor) for band in group})

    def valid(self, count: int) -> npt.NDArray[np.bool_]:
        """Where the window holds data, shape (count, rows, cols)."""
        mask = self.scene.mask(self.window)
        shape = (count, self.window.rows, self.window.cols)
        return np.broadcast_to(np.True_ if mask is None else mask, shape)

    def varies(self) -> bool:
        """Whether valid pixels differ in any band; where none do, any interpolation is exact."""
        truth = self.scene.cut(self.window)
        return bool(varied_bands(np.where(self.valid(len(truth)), truth, np.nan)))


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over the windows; PSNR of the bands that are not constant in them."""

    mpsnr: float
    sam: float


def validation_windows(
    scene: TrainingScene, scale: int, *, whole: bool = False
) -> list[ValidationWindow]:
    """The validation windows of a scene, or the middle of all of it; large ones cut to size.

    Windows where no band varies say nothing and are left out.
    """
    windows = scene.split.validation
    if whole:
        windows = (Window(0, 0, *scene.values.shape[1:]),)
    judges = [ValidationWindow(scene, _middle(window, scale)) for window in windows]
    return [judge for judge in judges if judge.varies()]


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
    """Scores of a network, in float32; leaves it in evaluation mode."""
    upscalers = (network_upscaler(network, descriptor, judge, device) for judge in judges)
    pairs = zip(judges, upscalers, strict=True)
    return _mean([_scores(judge, upscaler, descriptor) for judge, upscaler in pairs])


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
    scene = judge.scene
    axis = SpectralAxis(count=scene.bands, wavelengths_nm=scene.wavelengths_nm)
    named = np.array(judge.bands_of(descriptor))
    colours = [int(named[np.abs(named - band).argmin()]) for band in colour_bands(axis)]
    upscalers = (bicubic(descriptor), network_upscaler(network, descriptor, judge, device))
    truth = scene.cut(judge.window)[colours]
    shown = [truth, *(upscaled(judge, one, descriptor)[colours] for one in upscalers)]
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
    """A network as `hsisr upscale` runs it on a judge's scene; leaves it in evaluation mode."""
    return NetworkUpscaler(
        network=network.eval(),
        descriptor=descriptor,
        device=device,
        consistent=consistent,
        statistics=judge.scene.statistics,
    )


def _mean(found: Sequence[Scores]) -> Scores:
    mpsnr, sam = zip(*map(astuple, found), strict=True)
    return Scores(float(np.mean(mpsnr)), float(np.mean(sam)))


def _scores(judge: ValidationWindow, upscaler: Upscaler, descriptor: ModelDescriptor) -> Scores:
    bands = judge.bands_of(descriptor)
    reference = judge.scene.cut(judge.window)[bands]
    estimate = upscaled(judge, upscaler, descriptor)[bands]
    valid = judge.valid(len(bands))
    moments = BandMoments(judge.scene.statistics.mean[bands])
    moments.add(reference, estimate, valid)
    angles = AngleSum("skip", 0.0, np.dtype(np.float64))
    angles.add(reference, estimate, valid)
    peak = float(reference[valid].max()) if valid.any() else 0.0
    psnr = psnr_db(moments.mse, max(peak, float(np.finfo(np.float32).tiny)))
    varied = varied_bands(np.where(valid, reference, np.nan))  # PSNR of the others is infinite
    return Scores(float(psnr[varied or slice(None)].mean()), angles.mean_deg)


def upscaled(judge: ValidationWindow, upscaler: Upscaler, descriptor: ModelDescriptor) -> Float32:
    """The window from its LR pixels and those around it, shape (bands, rows, cols).

    Overlapping groups are averaged; bands in none of the judge's groups are 0.
    """
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
    for group in judge.groups_of(descriptor):
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

    `consistent` draws the network's result towards the observed pixels, as `hsisr upscale` does;
    the network is left in evaluation mode.
    """
    found = []
    for judge in (ValidationWindow(scene, own) for scene in scenes for own in scene.split.test):
        upscalers = {
            "scores": network_upscaler(network, descriptor, judge, device, consistent=consistent),
            "bicubic": bicubic(descriptor),
            "baseline": bicubic(descriptor, agreeing=True),
        }
        found.append(
            {
                "scene": judge.scene.name,
                "window": list(astuple(judge.window)),
                "convention": CONVENTION,
                "back_projected": consistent,
                **{who: _figures(judge, own, descriptor) for who, own in upscalers.items()},
            }
        )
    return found


def _figures(
    judge: ValidationWindow, upscaler: Upscaler, descriptor: ModelDescriptor
) -> dict[str, Any]:
    """The published figures on one window, by the paper's convention."""
    reference = judge.scene.cut(judge.window)
    valid = judge.valid(len(reference))
    statistics = PairStatistics(len(reference))
    statistics.add(reference, valid, valid)
    convention = convention_named(CONVENTION)
    scoring = ScoreAccumulator(convention, statistics, scale=descriptor.scale)
    scoring.add(reference, upscaled(judge, upscaler, descriptor), valid)
    values = scoring.scores().values
    return {name: jsonable(values[name]) for name in SHOWN}
