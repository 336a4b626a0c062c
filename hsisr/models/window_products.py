"""Attention inside many small windows on a processor, a cache's fill of them at a time."""

import math
from typing import Final

import torch
from torch.nn import functional

_AT_ONCE: Final = 2**18
"""Likenesses computed at once: 1 MiB in float32."""
_SAFE: Final = 2.0**60
"""A sum of powers between 1 / this and this has lost nothing to the ends of the range."""


def attention_of_powers(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> torch.Tensor:
    """Softmax attention with powers of two, each window and head by itself; without gradients.

    Args:
        query: Shape (windows and heads, pixels, features), scaled: with log2(e) / sqrt(features)
            it is the usual attention.
        key: The same shape.
        value: The same shape.

    Returns:
        The same shape, contiguous.
    """
    if query.device.type not in ("cpu", "meta") or query.dtype == torch.float16:
        return functional.scaled_dot_product_attention(query, key, value, scale=math.log(2))
    attended = torch.empty_like(query, memory_format=torch.contiguous_format)
    step = max(1, _AT_ONCE // query.shape[1] ** 2)
    pieces = (x.split(step) for x in (attended, query, key, value))
    for target, *own in zip(*pieces, strict=True):
        _attend(target, *own)
    return attended


def _attend(
    target: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> None:
    """Without the largest likeness taken away first, unless the sums show that it was needed."""
    powers = torch.bmm(query, key.transpose(1, 2)).exp2_()
    total = powers.sum(-1, keepdim=True)
    if not total.is_meta:
        least, most = (float(end) for end in total.aminmax())
        if not (least > 1 / _SAFE and most < _SAFE):
            likeness = torch.bmm(query, key.transpose(1, 2))
            powers = likeness.sub_(likeness.amax(-1, keepdim=True)).exp2_()
            total = powers.sum(-1, keepdim=True)
    torch.div(torch.bmm(powers, value), total, out=target)
