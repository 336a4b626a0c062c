"""Attention over all pixels of a tile on a processor, a few hundred pixels at a time.

Torch's fused attention (2.13) spends most of its time on heads as narrow as those of `dacn` (8 to
32 features) outside the matrix products. Here the products are oneDNN's, the exponential is the
power of two, which is cheaper than that of e, and what one chunk of queries takes fits the cache.
"""

import math
from typing import Final

import torch
from torch.nn import functional

from hsisr.models.products import linear

_AT_ONCE: Final = 2**20
"""Likenesses computed at once: 4 MiB in float32."""
_SAFE_POWER: Final = 60.0
"""Powers of two between minus this and this can be added up by the million and divided."""


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """`functional.scaled_dot_product_attention(query, key, value)`, without gradients.

    Args:
        query: Shape (n, heads, pixels, features).
        key: The same.
        value: The same.

    Returns:
        The same shape.
    """
    if query.device.type not in ("cpu", "meta"):
        return functional.scaled_dot_product_attention(query, key, value)
    query = query * (math.log2(math.e) / math.sqrt(query.shape[-1]))
    small = _is_small(query, key)
    attended = torch.empty_like(query, memory_format=torch.contiguous_format)
    for sample, *own in zip(attended, query, key, value, strict=True):
        for target, *head in zip(sample, *own, strict=True):
            _one_head(target, *head, small=small)
    return attended


def _one_head(
    target: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    small: bool,
) -> None:
    """Attend, all of shape (pixels, features); the query is scaled, for powers of two."""
    pixels = len(key)
    step = max(1, _AT_ONCE // pixels)
    key, columns = key.contiguous(), value.t().contiguous()
    for start in range(0, pixels, step):
        weights = linear(query[start : start + step].contiguous(), key)
        if not small:
            weights -= weights.amax(-1, keepdim=True)
        total = weights.exp2_().sum(-1, keepdim=True)
        torch.div(linear(weights, columns), total, out=target[start : start + step])


def _is_small(query: torch.Tensor, key: torch.Tensor) -> bool:
    """True if no likeness can be large: then the largest need not be taken away first.

    A likeness is at most the product of both lengths (Cauchy and Schwarz).
    """
    if query.is_meta:
        return True
    longest = [x.float().square().sum(-1).amax() for x in (query, key)]
    return math.prod(math.sqrt(float(x)) for x in longest) < _SAFE_POWER
