"""Scores on the test window of a dataset's split, by the paper's convention, beside bicubic.

The window is what the published figures of DACN were taken on; nothing chose weights by it.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from hsisr.datasets.training_scenes import TrainingScene
from hsisr.engine.upscaler import Upscaler
from hsisr.metrics.conventions import convention_named
from hsisr.metrics.report import Scores, jsonable
from hsisr.metrics.scoring import ScoreAccumulator
from hsisr.metrics.statistics import PairStatistics
from hsisr.models.descriptor import ModelDescriptor
from hsisr.training.validation import ValidationWindow, bicubic, network_upscaler, upscaled

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
    scores = _scores(judge, upscaler, descriptor)
    return {name: jsonable(scores.values[name]) for name in SHOWN}


def _scores(judge: ValidationWindow, upscaler: Upscaler, descriptor: ModelDescriptor) -> Scores:
    reference = judge.scene.cut(judge.window)
    mask = judge.scene.mask(judge.window)
    valid = np.broadcast_to(np.True_ if mask is None else mask, reference.shape)
    statistics = PairStatistics(len(reference))
    statistics.add(reference, valid, valid)
    convention = convention_named(CONVENTION)
    scoring = ScoreAccumulator(convention, statistics, scale=descriptor.scale)
    scoring.add(reference, upscaled(judge, upscaler, descriptor), valid)
    return scoring.scores()
