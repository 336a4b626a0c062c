"""Softmax attention on a CPU: over all pixels of a tile, and inside many small windows.

For heads as narrow as those of `dacn` (8 to 32 features) torch's fused attention (2.13) spends most
of its time outside the matrix products. Here a few hundred queries are processed at a time, so that
their logits fit the cache, with a cheap exponential: in float32 a power of two, in bfloat16 the
sigmoid that oneDNN fuses into the product. Far below 0 the sigmoid equals the exponential, and it
is applied before the logits are rounded.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional

from hsisr.models.fast.cached_per_device import cached_per_device
from hsisr.models.fast.onednn import SIGMOID, Linear, available, linear_for, on_processor

_LOGITS: Final = 2**21
"""Logits computed at once: 4 MiB in bfloat16."""
_SAFE_POWER: Final = 41.0
"""Exponents up to this size: a million powers can be summed and divided in float32."""
_SAFE_SIGMOID: Final = 34.0
"""The same for shifted exponents: no power is as small as 1e-37."""
_SHIFT: Final = _SAFE_SIGMOID + 12
"""The sigmoid of -12 differs from the exponential by 6 millionths, less than bfloat16 shows."""
_LANES: Final = 16
"""Columns of a product that cost as much as one column."""

_Weigh = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def attention(parts: torch.Tensor, heads: int) -> torch.Tensor:
    """Multi-head attention of all pixels of a sample to one another; without gradients.

    Args:
        parts: Queries, keys and values of all heads side by side, shape (n, pixels, 3 * heads *
            features); queries are already divided by the square root of `features`.
        heads: Number of heads.

    Returns:
        As `functional.scaled_dot_product_attention` with scale 1, heads side by side; shape
        (n, pixels, heads * features).
    """
    parts = parts.reshape(*parts.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
    if on_processor(parts):
        parts = parts.contiguous()
    product = linear_for(parts, parts)
    if (weigh := _weighing(parts, product)) is None:
        query, key, value = parts
        heads_apart = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        return heads_apart.transpose(1, 2).flatten(-2)
    query, key, value = parts.flatten(1, 2)
    if parts.dtype is torch.float32:
        query = query * math.log2(math.e)
    count, pixels, features = value.shape
    # where one more column costs nothing, a column of ones sums the weights
    summed = features % _LANES > 0
    columns = value.new_ones(count, features + summed, pixels)
    columns[:, :features] = value.mT
    chunks = -(-pixels * pixels // _LOGITS)
    attended, totals = [], []
    for queries, keys, own in zip(query, key, columns, strict=True):
        for some in queries.chunk(chunks) if chunks > 1 else (queries,):
            weights = weigh(some, keys)
            attended.append(product(weights, own))
            if not summed:
                totals.append(weights.sum(-1, keepdim=True))
    whole = torch.cat(attended)
    total = whole[:, features:] if summed else torch.cat(totals)
    # torch divides narrow rows faster in float32
    found = (whole[:, :features].float() / total.float()).to(parts.dtype)
    return found.reshape(-1, heads, pixels, features).transpose(1, 2).flatten(-2)


def _weighing(parts: torch.Tensor, product: Linear) -> _Weigh | None:
    """The function that computes the weights up to a common factor; None: use torch's attention."""
    if not on_processor(parts):
        return None
    largest = _bound_of_logits(parts[:2])
    if parts.dtype is torch.float32:
        powers = _exp2 if largest < _SAFE_POWER else _powers_of_differences
        return functools.partial(powers, product)
    # the power of a logit rounded to bfloat16 would be off by several hundredths
    if not available(parts, parts) or largest >= _SAFE_SIGMOID:
        return None
    return functools.partial(_sigmoids, product, parts.new_full((parts.shape[-2],), -_SHIFT))


def _sigmoids(
    product: Linear, shift: torch.Tensor, query: torch.Tensor, key: torch.Tensor
) -> torch.Tensor:
    return product(query, key, shift, SIGMOID)


def _exp2(product: Linear, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    return product(query, key).exp2_()


def _powers_of_differences(product: Linear, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    logits = product(query, key)
    logits -= logits.amax(-1, keepdim=True)
    return logits.exp2_()


def _bound_of_logits(parts: torch.Tensor) -> float:
    """The product of the largest lengths of queries and keys (Cauchy-Schwarz)."""
    if parts.is_meta:
        return 0.0
    query, key = torch.linalg.vector_norm(parts, dim=-1).flatten(1).amax(1)
    return float(query) * float(key)


@dataclass(frozen=True, slots=True, eq=False)
class WindowOrder:
    """The permutation of pixels into windows; windows of equal size are neighbours."""

    there: torch.Tensor
    """Index of each pixel, in the order of windows; shape (pixels,)."""
    back: torch.Tensor
    """The inverse permutation; shape (pixels,)."""
    windows: tuple[tuple[int, int], ...]
    """Number of windows and pixels of each, one pair per size, in order."""


@cached_per_device
def window_order(
    count: int, rows: int, cols: int, window: int, shift: int, device: torch.device
) -> WindowOrder:
    """The order for `count` tiles, pixels counted along columns, then rows, then tiles.

    Windows at the sides of a tile are cropped to it.

    Args:
        count: Number of tiles.
        rows: Rows of a tile.
        cols: Columns of a tile.
        window: Pixels along a side of a whole window.
        shift: Pixels by which the first window begins before the first row and column.
        device: Of the result.
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
    """First pixels of the windows along a side, but for the first window."""
    return list(range(window - shift, length, window))


_AT_ONCE: Final = 2**17
"""Logits computed at once: half a MiB in float32, which stays in a core's cache."""
_SAFE: Final = 2.0**60
"""Sums of powers between 1 / this and this have neither overflowed nor underflowed."""


def counts_missing(x: torch.Tensor) -> bool:
    """Whether `attention_of_powers` supports `missing` for tensors like this one."""
    return on_processor(x) and x.dtype != torch.float16


def attention_of_powers(windows: torch.Tensor, heads: int, missing: int = 0) -> torch.Tensor:
    """Multi-head softmax attention with powers of two, in each window; without gradients.

    Args:
        windows: Queries, keys and values side by side, shape (windows, pixels, 3 * width). Queries
            are scaled: with log2(e) / sqrt(width / heads) it is the usual attention.
        heads: Number of heads.
        missing: Further pixels of each window, with keys and values of 0.

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
    """One head; the largest logit is subtracted first only if the sums over- or underflow."""
    query, key, value = parts.unbind(2)
    powers = torch.bmm(query, key.transpose(1, 2)).exp2_()
    total = powers.sum(-1, keepdim=True)
    if missing:  # the logit of a key of 0 is 0, its power 1
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
