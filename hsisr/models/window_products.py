"""Attention inside many small windows, without copies of queries, keys and values."""

import math
from typing import Final

import torch
from torch.nn import functional

_AT_ONCE: Final = 2**17
"""Likenesses computed at once: half a MiB in float32, which stays in a core's cache."""
_SAFE: Final = 2.0**60
"""A sum of powers between 1 / this and this has lost nothing to the ends of the range."""


def attention_of_powers(windows: torch.Tensor, heads: int) -> torch.Tensor:
    """Multi-head softmax attention with powers of two, in each window; without gradients.

    Args:
        windows: Queries, keys and values side by side, shape (windows, pixels, 3 * width). Queries
            are scaled: with log2(e) / sqrt(width / heads) it is the usual attention.
        heads: Into which each third is cut.

    Returns:
        Shape (windows, pixels, width), contiguous.
    """
    count, pixels, wide = windows.shape
    parts = windows.reshape(count, pixels, 3, heads, -1)
    if windows.device.type not in ("cpu", "meta") or windows.dtype == torch.float16:
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value, scale=math.log(2))
        return found.transpose(1, 2).flatten(-2)
    attended = windows.new_empty(count, pixels, heads, wide // 3 // heads)
    step = max(1, _AT_ONCE // pixels**2)
    for target, some in zip(torch.split(attended, step), torch.split(parts, step), strict=True):
        for head in range(heads):
            _attend(target[:, :, head], *some[:, :, :, head].unbind(2))
    return attended.flatten(-2)


def _attend(
    target: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> None:
    """One head; the largest likeness is taken away first only if the sums show that it must be."""
    powers = torch.bmm(query, key.transpose(1, 2)).exp2_()
    total = powers.sum(-1, keepdim=True)
    if not total.is_meta:
        least, most = (float(end) for end in total.aminmax())
        if not (least > 1 / _SAFE and most < _SAFE):
            likeness = torch.bmm(query, key.transpose(1, 2))
            powers = likeness.sub_(likeness.amax(-1, keepdim=True)).exp2_()
            total = powers.sum(-1, keepdim=True)
    torch.div(torch.bmm(powers, value), total, out=target)
