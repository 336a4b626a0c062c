"""Attention inside many small windows, without copies of queries, keys and values."""

import math
from typing import Final

import torch
from torch.nn import functional

from hsisr.models.fast.onednn import on_processor

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
