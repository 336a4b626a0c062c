"""Pairs of images to score, made by formula."""

import numpy as np
import numpy.typing as npt

from hsisr.metrics.conventions import CONVENTIONS
from hsisr.metrics.report import Scores
from hsisr.metrics.scoring import PairStatistics, ScoreAccumulator

Cube = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def formula_pair() -> tuple[Cube, Cube]:
    """The pair on which the published evaluation functions were run; 102 x 72 x 60."""
    b, r, c = np.meshgrid(np.arange(102.0), np.arange(72.0), np.arange(60.0), indexing="ij")
    wave = 0.4 + 0.2 * np.sin(r / 5) * np.cos(c / 7) + 0.15 * np.sin(b / 9)
    truth = 8000 * (wave + 0.05 * np.sin(r * c / 50 + b / 20))
    error = 0.02 * np.sin(0.91 * r + 1.7 * c + 0.3 * b) + 0.005 * np.cos(r - 2 * c + b * b / 31)
    return truth.astype(np.float32), (truth + 8000 * error).astype(np.float32)


def random_pair(bands: int, rows: int, cols: int, seed: int = 0) -> tuple[Cube, Cube]:
    """Smooth-ish reference around 1000 and an estimate some 2 % away."""
    rng = np.random.default_rng(seed)
    base = rng.normal(1000, 200, (bands, rows, cols)).cumsum(axis=2) / np.sqrt(cols)
    reference = (base - base.min() + 50).astype(np.float32)
    return reference, (reference + rng.normal(0, 20, base.shape)).astype(np.float32)


def score(
    reference: Cube,
    predicted: Cube,
    valid: Mask | None = None,
    *,
    convention: str = "hsisr",
    scale: int | None = 4,
    strip: int | None = None,
) -> Scores:
    valid = np.ones(reference.shape, np.bool_) if valid is None else valid
    step = strip or reference.shape[1]
    statistics = PairStatistics(len(reference))
    for row in range(0, reference.shape[1], step):
        part = np.s_[:, row : row + step]
        statistics.add(reference[part], valid[part], valid[part])
    scores = ScoreAccumulator(CONVENTIONS[convention], statistics, scale=scale)
    for row in range(0, reference.shape[1], step):
        part = np.s_[:, row : row + step]
        scores.add(reference[part], predicted[part], valid[part])
    return scores.scores()
