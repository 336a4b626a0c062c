"""Filling invalid pixels with what lies beside them, so that they never spread.

The filled value depends on valid pixels at most `rounds` pixels away and on nothing else, so it is
the same in every tile that sees them.
"""

import numpy as np
import numpy.typing as npt

from hsisr.scene.cube import all_valid

_NEIGHBOURS = tuple((r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0))


def fill_invalid(
    values: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], rounds: int
) -> npt.NDArray[np.float32]:
    """Values with every invalid sample replaced, band by band.

    Invalid pixels beside valid ones take the mean of those neighbours; then the ring around them,
    `rounds` times. What is farther away takes the band's mean over the window; a band without any
    valid sample becomes 0.

    Args:
        values: Shape (bands, rows, cols); left as it is.
        valid: True where a sample is data, same shape.
        rounds: Rings to grow.

    >>> v = np.array([[[4.0, 0.0, 9.0, 0.0]]], dtype="float32")
    >>> fill_invalid(v, np.array([[[True, True, False, False]]]), rounds=1)
    array([[[4., 0., 0., 2.]]], dtype=float32)
    """
    if all_valid(valid):
        return values
    filled = np.where(valid, values, np.float32(0))
    flat = np.packbits(valid.reshape(len(valid), -1), axis=1)
    patterns, members = np.unique(flat, axis=0, return_inverse=True)
    for number in range(len(patterns)):
        bands = np.flatnonzero(members.ravel() == number)
        mask = valid[bands[0]]
        if mask.all() or not mask.any():
            continue
        filled[bands] = _fill_alike(filled[bands], mask, rounds)
    return filled


def _fill_alike(
    values: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], rounds: int
) -> npt.NDArray[np.float32]:
    """Fill bands that share one mask of shape (rows, cols); invalid samples come in as 0."""
    from scipy import ndimage  # takes as long to load as numpy, and most scenes have no holes

    means = values.sum(axis=(1, 2), dtype=np.float64) / np.count_nonzero(mask)
    wide = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    known = np.pad(mask, 1)
    inside = np.pad(np.ones_like(mask), 1)
    for _ in range(rounds):
        ring = ndimage.binary_dilation(known, np.ones((3, 3))) & ~known & inside
        rows, cols = np.nonzero(ring)
        if rows.size == 0:
            break
        total = np.zeros((len(values), rows.size))
        count = np.zeros(rows.size)
        for down, right in _NEIGHBOURS:
            there = known[rows + down, cols + right]
            total += wide[:, rows + down, cols + right] * there
            count += there
        wide[:, rows, cols] = total / count
        known |= ring
    filled = wide[:, 1:-1, 1:-1]
    far = ~known[1:-1, 1:-1]
    filled[:, far] = means[:, None]
    return filled
