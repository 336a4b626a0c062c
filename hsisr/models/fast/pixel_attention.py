"""Attention over all pixels of a tile on a processor, a few hundred pixels at a time.

Torch's fused attention (2.13) spends most of its time on heads as narrow as those of `dacn` (8 to
32 features) outside the matrix products. Here the products are oneDNN's, what one chunk of queries
takes fits the cache, and the exponential is one that costs little: in float32 the power of two, in
bfloat16 a sigmoid that the product itself ends with. Far below 0 that is the exponential, and it
is taken before the logits is rounded.
"""

import functools
import math
from collections.abc import Callable
from typing import Final

import torch
from torch.nn import functional

from hsisr.models.fast.onednn import SIGMOID, Linear, available, linear_for, on_processor

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
    # where the product has room for one more column, it adds the weights up
    summed = features % _LANES > 0
    columns = value.new_ones(count, features + summed, pixels)
    columns[:, :features] = value.mT
    chunks = -(-pixels * pixels // _AT_ONCE)
    attended, totals = [], []
    for queries, keys, own in zip(query, key, columns, strict=True):
        for some in queries.chunk(chunks) if chunks > 1 else (queries,):
            weights = weigh(some, keys)
            attended.append(product(weights, own))
            if not summed:
                totals.append(weights.sum(-1, keepdim=True))
    whole = torch.cat(attended)
    total = whole[:, features:] if summed else torch.cat(totals)
    # narrow rows divided by one number each: torch is quicker at it in float32
    found = (whole[:, :features].float() / total.float()).to(parts.dtype)
    return found.reshape(-1, heads, pixels, features).transpose(1, 2).flatten(-2)


def _weighing(parts: torch.Tensor, product: Linear) -> _Weigh | None:
    """What makes the exponentials, up to a factor for all; None where torch does better."""
    if not on_processor(parts):
        return None
    largest = _largest_likeness(parts[:2])
    if parts.dtype is torch.float32:
        powers = _exp2 if largest < _SAFE else _powers_of_differences
        return functools.partial(powers, product)
    # a power of a logits that is rounded to 8 bits would be off by several hundredths
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


def _largest_likeness(parts: torch.Tensor) -> float:
    """Of queries and keys: at most the product of both lengths (Cauchy and Schwarz)."""
    if parts.is_meta:
        return 0.0
    query, key = torch.linalg.vector_norm(parts, dim=-1).flatten(1).amax(1)
    return float(query) * float(key)
