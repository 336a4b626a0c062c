"""Attention inside many small windows: the order of pixels by window, and the products."""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional

from hsisr.models.fast.cached_per_device import cached_per_device
from hsisr.models.fast.onednn import on_processor


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


_AT_ONCE: Final = 2**17
"""Likenesses computed at once: half a MiB in float32, which stays in a core's cache."""
_SAFE: Final = 2.0**60
"""A sum of powers between 1 / this and this has lost nothing to the ends of the range."""


def counts_missing(x: torch.Tensor) -> bool:
    """Whether `attention_of_powers` counts pixels that are missing, for tensors like this one."""
    return on_processor(x) and x.dtype != torch.float16


def attention_of_powers(windows: torch.Tensor, heads: int, missing: int = 0) -> torch.Tensor:
    """Multi-head softmax attention with powers of two, in each window; without gradients.

    Args:
        windows: Queries, keys and values side by side, shape (windows, pixels, 3 * width). Queries
            are scaled: with log2(e) / sqrt(width / heads) it is the usual attention.
        heads: Into which each third is cut.
        missing: Pixels that each window has besides, with keys and values of 0.

    Returns:
        Shape (windows, pixels, width), contiguous.

    Raises:
        ValueError: Pixels are missing where `counts_missing` says no (a caller's bug).
    """
    count, pixels, wide = windows.shape
    parts = windows.reshape(count, pixels, 3, heads, -1)
    if not counts_missing(windows):
        if missing:
            raise ValueError(f"found {missing} missing pixels, expected whole windows")
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value, scale=math.log(2))
        return found.transpose(1, 2).flatten(-2)
    attended = windows.new_empty(count, pixels, heads, wide // 3 // heads)
    step = max(1, _AT_ONCE // pixels**2)
    for target, some in zip(torch.split(attended, step), torch.split(parts, step), strict=True):
        for head in range(heads):
            _attend(target[:, :, head], some[:, :, :, head], missing)
    return attended.flatten(-2)


def _attend(target: torch.Tensor, parts: torch.Tensor, missing: int) -> None:
    """One head; the largest logits is taken away first only if the sums show that it must be."""
    query, key, value = parts.unbind(2)
    powers = torch.bmm(query, key.transpose(1, 2)).exp2_()
    total = powers.sum(-1, keepdim=True)
    if missing:  # a logits of 0, to a key of 0, gives a power of 1
        total += missing
    if not total.is_meta:
        least, most = (float(end) for end in total.aminmax())
        if not (least > 1 / _SAFE and most < _SAFE):
            logits = torch.bmm(query, key.transpose(1, 2))
            largest = logits.amax(-1, keepdim=True)
            if missing:
                largest.clamp_(min=0)
            powers = logits.sub_(largest).exp2_()
            total = powers.sum(-1, keepdim=True)
            if missing:
                total += missing * largest.neg_().exp2_()
    torch.div(torch.bmm(powers, value), total, out=target)
