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

_AT_ONCE: Final = 2**20
"""Likenesses computed at once: 4 MiB in float32."""
_SAFE: Final = 41.0
"""Powers of e between minus this and this can be added up by the million and divided."""
_SAFE_SIGMOID: Final = 34.0
"""The same between minus this and this when they are shifted: nothing is as small as 1e-37."""
_SHIFT: Final = _SAFE_SIGMOID + 12
"""The sigmoid of -12 differs from the exponential by 6 millionths, less than bfloat16 shows."""
_LANES: Final = 16
"""Columns of a product that cost as much as one."""

_Weigh = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """`functional.scaled_dot_product_attention(query, key, value)`, without gradients.

    Args:
        query: Shape (n, heads, pixels, features).
        key: The same.
        value: The same.

    Returns:
        The same shape.
    """
    if (weigh := _weighing(query, key)) is None:
        return functional.scaled_dot_product_attention(query, key, value)
    unit = 1.0 if weigh is _sigmoids else math.log2(math.e)
    query = query * (unit / math.sqrt(query.shape[-1]))
    attended = torch.empty_like(query, memory_format=torch.contiguous_format)
    for sample, *own in zip(attended, query, key, value, strict=True):
        for target, *head in zip(sample, *own, strict=True):
            _one_head(target, *head, weigh=weigh)
    return attended


def _weighing(query: torch.Tensor, key: torch.Tensor) -> _Weigh | None:
    """What makes the exponentials, up to a factor for all; None where torch does better."""
    if query.device.type not in ("cpu", "meta"):
        return None
    largest = _largest_likeness(query, key)
    if query.dtype is torch.float32:
        return _powers if largest < _SAFE else _powers_of_differences
    # a power of a likeness that is rounded to 8 bits would be off by several hundredths
    return _sigmoids if available(query, key) and largest < _SAFE_SIGMOID else None


def _one_head(
    target: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    weigh: _Weigh,
) -> None:
    """Attend, all of shape (pixels, features); the query is scaled."""
    pixels, features = key.shape
    key, columns = key.contiguous(), value.t()
    summed = -features % _LANES > 0  # the product has room for one more column
    columns = torch.cat((columns, value.new_ones(1, pixels))) if summed else columns.contiguous()
    chunks = -(-pixels * pixels // _AT_ONCE)
    for some, place in zip(query.chunk(chunks), target.chunk(chunks), strict=True):
        weights = weigh(some.contiguous(), key)
        attended = linear(weights, columns)
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


def _largest_likeness(query: torch.Tensor, key: torch.Tensor) -> float:
    """At most the product of both lengths (Cauchy and Schwarz)."""
    if query.is_meta:
        return 0.0
    longest = [float(torch.linalg.vector_norm(x, dim=-1).amax()) for x in (query, key)]
    return math.prod(longest) / math.sqrt(query.shape[-1])
