"""What is read of a scene for a row of tiles, and filled where it holds no data."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsisr.engine.plan import Panel, Plan, Segment
from hsisr.io.base import Scene
from hsisr.scene.cube import all_valid
from hsisr.tiling.windows import Window

_FILL_ROUNDS = 8
"""Rings to fill around valid pixels where the model's margin asks for fewer."""


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """The LR pixels around a row of tiles, filled, and which of them are data."""

    window: Window
    values: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]

    def cut(self, window: Window) -> tuple[slice, slice]:
        """Where a window of the scene lies in these arrays."""
        row, col = window.row - self.window.row, window.col - self.window.col
        return slice(row, row + window.rows), slice(col, col + window.cols)


def fill_rounds(plan: Plan) -> int:
    """Pixels around a tile's context that invalid ones in it may be filled from."""
    return max(plan.halo, _FILL_ROUNDS)


def observe(
    scene: Scene, bands: tuple[int, ...], plan: Plan, panel: Panel, rows: Segment
) -> Observed:
    """Read what a row of tiles needs; around invalid pixels also what they are filled from."""
    left = min(segment.start for segment in panel.segments)
    right = max(segment.end for segment in panel.segments)
    core = Window(rows.start, left, rows.size, right - left)
    near = scene.grown(core, plan.halo)
    cube = scene.read(near, bands)
    if all_valid(cube.valid):
        return Observed(near, cube.values, cube.valid)
    rounds = fill_rounds(plan)
    far = scene.grown(near, rounds)
    cube = scene.read(far, bands)
    filled = fill_invalid(cube.values, cube.valid, rounds)
    inside = Observed(far, filled, cube.valid).cut(near)
    return Observed(near, filled[:, *inside], cube.valid[:, *inside])


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
