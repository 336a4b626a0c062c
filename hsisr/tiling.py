"""Covering an axis, or a grid, with equal overlapping windows, and weights that add up to one.

The weight of a tile is the outer product of one vector per axis, so adding weighted tiles needs no
second accumulator and no order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsisr.errors import TilingError


def window_starts(length: int, size: int, overlap: int) -> tuple[int, ...]:
    """Start index of each window needed to cover `length` samples.

    The last window is moved back inside the axis instead of being padded, so every window has
    exactly `size` samples. Neighbours share at least `overlap` samples.

    Raises:
        TilingError: `overlap` does not lie in [0, size), or the axis is shorter than one window.

    >>> window_starts(10, size=4, overlap=2)
    (0, 2, 4, 6)
    >>> window_starts(9, size=4, overlap=1)
    (0, 3, 5)
    """
    if size < 1 or not 0 <= overlap < size:
        raise TilingError(f"need 0 <= overlap < size, got overlap={overlap}, size={size}")
    if length < size:
        raise TilingError(f"axis of {length} samples is shorter than one window of {size}")
    last = length - size
    return (*range(0, last, size - overlap), last)


def repeats(count: int, size: int) -> int:
    """How many times in a row each of so few bands stands in a group of `size`.

    A network that takes more bands at once than 32, as the first ones did, is used to neighbours
    that are much alike.
    """
    return max(1, size // count) if size > 32 else 1


def mirrored_order(count: int, size: int) -> list[int]:
    """Indices that fill a group of `size` from fewer bands: each `repeats` times, there and back.

    >>> mirrored_order(3, 6)
    [0, 1, 2, 1, 0, 1]
    >>> mirrored_order(30, 64)[-6:]
    [29, 29, 29, 28, 28, 27]
    """
    forward = [band for band in range(count) for _ in range(repeats(count, size))]
    there_and_back = [*forward, *forward[-2:0:-1]]
    return [there_and_back[i % len(there_and_back)] for i in range(size)]


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels on one grid."""

    row: int
    col: int
    rows: int
    cols: int

    @property
    def row_end(self) -> int:
        """One past the last row."""
        return self.row + self.rows

    @property
    def col_end(self) -> int:
        """One past the last column."""
        return self.col + self.cols

    def scaled(self, scale: int) -> "Window":
        """The same ground on a grid `scale` times finer."""
        return Window(self.row * scale, self.col * scale, self.rows * scale, self.cols * scale)

    def grown(self, margin: int, rows: int, cols: int) -> "Window":
        """This window with `margin` pixels around it, cut off at the sides of the grid.

        >>> Window(0, 4, 2, 2).grown(3, rows=10, cols=8)
        Window(row=0, col=1, rows=5, cols=7)
        """
        top, left = max(0, self.row - margin), max(0, self.col - margin)
        bottom, right = min(rows, self.row_end + margin), min(cols, self.col_end + margin)
        return Window(top, left, bottom - top, right - left)


def taper_weights(
    starts: Sequence[int], size: int, length: int, *, scale: int = 1
) -> list[npt.NDArray[np.float32]]:
    """One weight vector per window, for windows of `size` samples at `starts`.

    A window's weight rises linearly towards its middle; at each sample the weights of all windows
    are divided by their sum. Where only one window covers a sample its weight is 1.

    A vector has `size * scale` weights in [0, 1], on an axis `scale` times finer than that of the
    `length` samples on which the windows lie.

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
