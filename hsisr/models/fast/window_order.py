"""The pixels of tiles in the order of the windows they lie in."""

from dataclasses import dataclass

import torch

from hsisr.models.fast.cached_per_device import cached_per_device


@dataclass(frozen=True, slots=True, eq=False)
class WindowOrder:
    """Where every pixel goes and comes back from; windows of equally many pixels are neighbours."""

    there: torch.Tensor
    """For every pixel in the order of windows, its place among all; shape (pixels,)."""
    back: torch.Tensor
    """The other way round; shape (pixels,)."""
    windows: tuple[tuple[int, int], ...]
    """How many windows, and the pixels of each: one pair per number of pixels, as they follow."""


@cached_per_device
def window_order(
    count: int, rows: int, cols: int, window: int, shift: int, device: torch.device
) -> WindowOrder:
    """Of `count` tiles, pixels counted along columns, then rows, then tiles.

    Windows at the sides of a tile are as small as what the tile leaves them.

    Args:
        count: Tiles.
        rows: Of a tile.
        cols: Of a tile.
        window: Pixels along a side of a whole window.
        shift: Pixels that the first window reaches beyond the first row and column.
        device: Where the result will be used.
    """
    by_size: dict[int, list[torch.Tensor]] = {}
    places = torch.arange(rows * cols).reshape(rows, cols)
    for band in places.tensor_split(_starts(rows, window, shift), 0):
        for own in band.tensor_split(_starts(cols, window, shift), 1):
            by_size.setdefault(own.numel(), []).append(own.flatten())
    tiles = torch.arange(count)[:, None] * rows * cols
    there = torch.cat([(tiles + torch.cat(some)).flatten() for some in by_size.values()])
    windows = tuple((count * len(some), pixels) for pixels, some in by_size.items())
    there = there.int()
    return WindowOrder(there.to(device), there.argsort().int().to(device), windows)


def _starts(length: int, window: int, shift: int) -> list[int]:
    """Where windows begin along a side, the first one apart."""
    return list(range(window - shift, length, window))
