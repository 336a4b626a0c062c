"""Whether an estimate agrees with the scene it was made from: its area average is that scene.

This needs no reference, so it is the one honest figure at full resolution; it says nothing about
the detail an estimate adds within a pixel.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hsisr.commands.evaluation.pairing import (
    STRIP_BYTES,
    Strip,
    in_physical_unit,
    require_same_grid,
    same_unit,
    strip_rows,
)
from hsisr.degradation import DEGRADATIONS
from hsisr.errors import InputDataError
from hsisr.io.base import Scene
from hsisr.metrics.figures import AngleSum
from hsisr.metrics.report import jsonable
from hsisr.tiling.windows import Window

FIGURES: Final = ("lr_rmse", "lr_max", "lr_sam")
"""Names of the figures of agreement."""

_SAMPLED_ROWS: Final = 8

DEFINITIONS: Final = {
    "lr_rmse": "root mean squared difference of the estimate's area average and the observed "
    "scene, over all values valid in both",
    "lr_max": "largest absolute difference of the same",
    "lr_sam": "mean angle between their spectra in degrees, over the bands valid in both; "
    "zero spectra left out and counted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the area average of an estimate is from the observed scene."""

    scale: int
    rmse: float
    maximum: float
    sam_deg: float
    values: int
    """Values that were compared: valid in the observed scene and in the whole block above."""
    zero_spectra: int

    @property
    def figures(self) -> dict[str, float]:
        """The three figures by name."""
        return dict(zip(FIGURES, (self.rmse, self.maximum, self.sam_deg), strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "scale": self.scale,
            "scores": {name: jsonable(value) for name, value in self.figures.items()},
            "definitions": DEFINITIONS,
            "values": self.values,
            "zero_spectra": self.zero_spectra,
        }


def scale_between(observed: Scene, estimate: Scene) -> int:
    """HR pixels per LR pixel along a side.

    Raises:
        InputDataError: The sides have no common whole ratio of 2 or more, or the bands differ.
    """
    lr, hr = observed.metadata, estimate.metadata
    scale = hr.rows // lr.rows
    if lr.bands != hr.bands or scale < 2 or lr.finer(scale).shape != hr.shape:
        raise InputDataError(
            f"{estimate.path} has {hr.bands} bands of {hr.rows} x {hr.cols} pixels, "
            f"{observed.path} {lr.bands} of {lr.rows} x {lr.cols}; expected the same bands and "
            "sides that are 2, 3, 4... times as long: name the scene the estimate was made from"
        )
    return scale


def measure_agreement(observed: Scene, estimate: Scene) -> Agreement:
    """Average the estimate over each LR pixel and compare with the observed scene.

    Raises:
        InputDataError: The sizes or places do not fit, or no value is valid in both.
    """
    scale = scale_between(observed, estimate)
    require_same_grid(observed, estimate, finer=scale)
    angles, count, squares, largest = AngleSum(), 0, 0.0, 0.0
    for strip in _strips(observed, estimate, scale):
        valid = strip.valid
        apart = np.abs(strip.predicted[valid] - strip.reference[valid].astype(np.float64))
        count += apart.size
        squares += float(np.square(apart).sum())
        largest = max(largest, float(apart.max(initial=0.0)))
        seen = valid.any(axis=0)
        angles.add(
            np.where(valid, strip.reference, 0)[:, seen],
            np.where(valid, strip.predicted, 0)[:, seen],
            np.broadcast_to(np.True_, (len(valid), int(seen.sum()))),
        )
    if not count:
        raise InputDataError(
            f"{estimate.path} and {observed.path} have no valid value in common; "
            "check the nodata values and masks of both"
        )
    return Agreement(
        scale=scale,
        rmse=math.sqrt(squares / count),
        maximum=largest,
        sam_deg=angles.mean_deg,
        values=count,
        zero_spectra=angles.zero_spectra,
    )


def _strips(observed: Scene, estimate: Scene, scale: int) -> Iterator[Strip]:
    """The observed scene beside the estimate's area average, from top to bottom."""
    lr = observed.metadata
    step = strip_rows(lr, bytes_=STRIP_BYTES // scale**2)
    for row in range(0, lr.rows, step):
        window = Window(row, 0, min(step, lr.rows - row), lr.cols)
        yield _strip(observed, estimate, scale, window)


def _strip(observed: Scene, estimate: Scene, scale: int, window: Window) -> Strip:
    """Observed rows beside the estimate's area average."""
    truth, guess = observed.read(window), estimate.read(window.scaled(scale))
    averaged, valid = DEGRADATIONS["area"].strip(guess.values, guess.valid, scale)
    if same_unit(observed, estimate):
        return Strip(truth.values, averaged, truth.valid, valid)
    return Strip(
        in_physical_unit(truth.values, observed),
        in_physical_unit(averaged, estimate),
        truth.valid,
        valid,
    )


def sampled_agreement(observed: Scene, estimate: Scene) -> float | None:
    """Largest absolute difference of block average and observed pixel in a few rows.

    The first, middle and last rows of the scene, 8 each: enough to notice that something went
    wrong, whatever the size of the scene.

    Returns:
        None where the bands differ (bad ones were dropped) or nothing is valid.
    """
    lr, hr = observed.metadata, estimate.metadata
    if lr.bands != hr.bands:
        return None
    scale = scale_between(observed, estimate)
    step = min(_SAMPLED_ROWS, strip_rows(lr, bytes_=STRIP_BYTES // scale**2))
    largest = None
    for row in sorted({0, max(0, lr.rows // 2 - step // 2), max(0, lr.rows - step)}):
        strip = _strip(observed, estimate, scale, Window(row, 0, min(step, lr.rows - row), lr.cols))
        apart = np.abs(strip.predicted - strip.reference.astype(np.float64))[strip.valid]
        if apart.size:
            largest = max(largest or 0.0, float(apart.max()))
    return largest
