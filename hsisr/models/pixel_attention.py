"""Attention over all pixels of a tile on a processor, a few hundred pixels at a time.

Torch's fused attention (2.13) spends most of its time on heads as narrow as those of `dacn` (8 to
32 features) outside the matrix products. Here the products are oneDNN's, what one chunk of queries
takes fits the cache, and the exponential is one that costs little: in float32 the power of two, in
bfloat16 a sigmoid that the product itself ends with. Far below 0 that is the exponential, and it
is taken before the likeness is rounded.
"""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch.nn import functional

from hsisr.models.onednn import SIGMOID, available, linear

_AT_ONCE: Final = 2**21
"""Likenesses computed at once: 4 MiB in bfloat16."""
_SAFE: Final = 41.0
"""Powers of e between minus this and this can be added up by the million and divided."""
_SAFE_SIGMOID: Final = 34.0
"""The same between minus this and this when they are shifted: nothing is as small as 1e-37."""
_SHIFT: Final = _SAFE_SIGMOID + 12
"""The sigmoid of -12 differs from the exponential by 6 millionths, less than bfloat16 shows."""
_LANES: Final = 16
"""Columns of a product that cost as much as one."""

_Weigh = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def attention(parts: torch.Tensor, heads: int) -> torch.Tensor:
    """Every pixel attends to every pixel of its sample, in each head; without gradients.

    Args:
        parts: Queries, keys and values of all heads side by side, shape (n, pixels, 3 * heads *
            features); queries divided by the square root of `features` already.
        heads: How many.

    Returns:
        What `functional.scaled_dot_product_attention` gives with scale 1, heads side by side; shape
        (n, pixels, heads * features).
    """
    parts = parts.reshape(*parts.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
    if (weigh := _weighing(parts)) is None:
        query, key, value = parts
        heads_apart = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        return heads_apart.transpose(1, 2).flatten(-2)
    query, key, value = parts.contiguous()
    if weigh is not _sigmoids:
        query = query * math.log2(math.e)
    n, _, pixels, features = value.shape
    # where the product has room for one more column, it adds the weights up
    columns = value.new_ones(n, heads, features + (features % _LANES > 0), pixels)
    columns[:, :, :features] = value.mT
    attended: torch.Tensor = value.new_empty(n, pixels, heads, features)
    for sample, *own in zip(attended, query, key, columns, strict=True):
        for target, *head in zip(sample.unbind(1), *own, strict=True):
            _one_head(target, *head, weigh=weigh)
    return attended.reshape(n, pixels, -1)


def _weighing(parts: torch.Tensor) -> _Weigh | None:
    """What makes the exponentials, up to a factor for all; None where torch does better."""
    if parts.device.type not in ("cpu", "meta"):
        return None
    largest = _largest_likeness(parts[:2])
    if parts.dtype is torch.float32:
        return _powers if largest < _SAFE else _powers_of_differences
    # a power of a likeness that is rounded to 8 bits would be off by several hundredths
    return _sigmoids if available(parts, parts) and largest < _SAFE_SIGMOID else None


def _one_head(
    target: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    columns: torch.Tensor,
    *,
    weigh: _Weigh,
) -> None:
    """Attend; shape (pixels, features), of `columns` (features, or one more, pixels)."""
    pixels, features = key.shape
    chunks = -(-pixels * pixels // _AT_ONCE)
    for some, place in zip(query.chunk(chunks), target.chunk(chunks), strict=True):
        weights = weigh(some, key)
        attended = linear(weights, columns)
        summed = len(columns) > features
        total = attended[:, features:] if summed else weights.sum(-1, keepdim=True)
        torch.div(attended[:, :features], total, out=place)


def _sigmoids(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    return linear(query, key, key.new_full((len(key),), -_SHIFT), SIGMOID)


def _powers(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    return linear(query, key).exp2_()


def _powers_of_differences(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    likeness = linear(query, key)
    likeness -= likeness.amax(-1, keepdim=True)
    return likeness.exp2_()


def _largest_likeness(parts: torch.Tensor) -> float:
    """Of queries and keys: at most the product of both lengths (Cauchy and Schwarz)."""
    if parts.is_meta:
        return 0.0
    query, key = torch.linalg.vector_norm(parts, dim=-1).flatten(1).amax(1)
    return float(query) * float(key)
