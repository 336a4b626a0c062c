"""Taper weights that make overlapping windows add up to exactly one.

Every axis is weighted by itself: for each window one vector of weights, such that at every sample
the weights of all windows that cover it sum to 1. The weight of a tile is the outer product of its
vectors, so adding weighted tiles needs no second accumulator and no order.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def taper_weights(
    starts: Sequence[int], size: int, length: int, *, scale: int = 1
) -> list[npt.NDArray[np.float32]]:
    """One weight vector per window, for windows of `size` samples at `starts`.

    A window's weight rises linearly towards its middle; at each sample the weights of all windows
    are divided by their sum. Where only one window covers a sample its weight is 1.

    Args:
        starts: First sample of each window, as `window_starts` gives them.
        size: Samples of a window.
        length: Samples of the axis.
        scale: Weights are wanted on an axis this many times finer.

    Returns:
        Vectors of `size * scale` weights in [0, 1].

    >>> [w.tolist() for w in taper_weights([0, 2], size=4, length=6)]
    [[1.0, 1.0, 0.75, 0.25], [0.25, 0.75, 1.0, 1.0]]
    """
    fine = size * scale
    positions = np.arange(fine)
    ramp = np.minimum(positions + 0.5, fine - 0.5 - positions)
    total = np.zeros(length * scale)
    for start in starts:
        total[start * scale : start * scale + fine] += ramp
    return [
        (ramp / total[start * scale : start * scale + fine]).astype(np.float32) for start in starts
    ]
