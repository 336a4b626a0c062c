"""Whether standard errors are right: how often the true value lies as near as they say."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError
from hsisr.metrics.report import jsonable

FACTORS: Final = ("FACTOR_68", "FACTOR_95")
"""Tags of standard errors: times these, half the interval that holds 68 and 95 % of the truth."""
DEFINITIONS: Final = {
    "within_68": "share of true values within factor_68 standard errors, in %; expected 68",
    "within_95": "share of true values within factor_95 standard errors, in %; expected 95",
    "within_68_least": "the first, in that fifth of the values, by standard error, where it is "
    "least",
    "within_68_most": "the same where it is most",
    "error_rank": "rank correlation (Spearman) of standard errors and absolute errors",
    "error_score": "mean log density of the errors under Laplace distributions as wide as the "
    "standard errors say, less that under one distribution per band, as wide as the band's mean "
    "absolute error; above 0: standard errors know more than one number per band",
}
FIGURES: Final = tuple(DEFINITIONS)
_STEPS: Final = 16
"""Bins of an octave, for fifths and ranks."""
_BINS: Final = 64 * _STEPS


@dataclass(frozen=True, slots=True)
class Coverage:
    """What standard errors are worth."""

    figures: dict[str, float]
    fifths: tuple[float, ...]
    """`within_68` of each fifth of the values by standard error, smallest first."""
    factors: tuple[float, float]
    values: int
    """How many were compared."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "scores": {name: jsonable(value) for name, value in self.figures.items()},
            "fifths": [jsonable(value) for value in self.fifths],
            "factors": list(self.factors),
            "definitions": DEFINITIONS,
            "values": self.values,
        }


class CoverageSums:
    """What coverage follows from, strip by strip."""

    def __init__(self, bands: int, factors: tuple[float, float]) -> None:
        self._factors = factors
        self._width = factors[0] / -math.log(1 - 0.68)  # of Laplace's distribution, for 1
        self._joint = np.zeros((_BINS, _BINS), np.int64)
        self._within = np.zeros((2, _BINS), np.int64)
        self._count = np.zeros(bands, np.int64)
        self._errors, self._score = np.zeros(bands), 0.0

    def add(
        self, error: npt.NDArray[Any], sigma: npt.NDArray[Any], valid: npt.NDArray[np.bool_]
    ) -> None:
        """Absolute errors and standard errors, shape (bands, rows, cols)."""
        self._count += np.count_nonzero(valid, axis=(1, 2))
        self._errors += np.where(valid, error, 0).sum(axis=(1, 2), dtype=np.float64)
        error, sigma = (x[valid].astype(np.float64) for x in (error, sigma))
        sigma = np.maximum(sigma, np.finfo(np.float32).tiny)
        place, other = (_bins(x) for x in (sigma, error))
        self._joint += np.bincount(place * _BINS + other, minlength=_BINS**2).reshape(_BINS, -1)
        for number, factor in enumerate(self._factors):
            near = place[error <= factor * sigma]
            self._within[number] += np.bincount(near, minlength=_BINS)
        width = self._width * sigma
        self._score -= float((np.log(2 * width) + error / width).sum())

    def coverage(self) -> Coverage:
        """Of all that was added."""
        total = int(self._count.sum())
        if not total:
            raise InputDataError("no value is data in reference, estimate and uncertainty")
        by_sigma, by_error = self._joint.sum(axis=1), self._joint.sum(axis=0)
        first, second = (100 * float(w.sum()) / total for w in self._within)
        ends = np.searchsorted(np.cumsum(by_sigma), np.arange(1, 6) * total / 5) + 1
        ends[-1] = _BINS
        parts = [slice(a, b) for a, b in zip((0, *ends[:-1]), ends, strict=True)]
        fifths = tuple(
            100 * float(self._within[0, p].sum()) / max(1, int(by_sigma[p].sum())) for p in parts
        )
        seen = self._count > 0
        constant = self._errors[seen] / self._count[seen]
        constant = np.maximum(constant, np.finfo(np.float32).tiny)
        plain = -float((self._count[seen] * (np.log(2 * constant) + 1)).sum())
        ranks = [(np.cumsum(n) - n / 2 - total / 2) for n in (by_sigma, by_error)]
        spread = float((by_sigma * ranks[0] ** 2).sum()) * float((by_error * ranks[1] ** 2).sum())
        rank = float(ranks[0] @ self._joint @ ranks[1]) / math.sqrt(spread) if spread else math.nan
        figures = first, second, min(fifths), max(fifths), rank, (self._score - plain) / total
        return Coverage(dict(zip(FIGURES, figures, strict=True)), fifths, self._factors, total)


def _bins(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Place of positive numbers on a logarithmic scale; 0 for 0."""
    with np.errstate(divide="ignore"):
        octave = np.log2(values).clip(-32, 31.99)
    return np.asarray((octave + 32) * _STEPS, np.int64)
