"""Covering an axis, or a grid, with equal overlapping windows.

Rows, columns and bands are all cut by this one rule. Pure integers: no arrays here.
"""

from dataclasses import dataclass

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


def mirrored_order(count: int, size: int) -> list[int]:
    """Indices that fill a window of `size` from fewer samples, there and back again.

    >>> mirrored_order(3, 6)
    [0, 1, 2, 1, 0, 1]
    """
    there_and_back = [*range(count), *range(count - 2, 0, -1)]
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
