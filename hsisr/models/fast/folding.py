"""Less arithmetic for the same numbers: a linear layer folded into the next one.

In the last upsampling block of `dacn` one branch is a transposed convolution without anything
nonlinear behind it, so that branch and the output convolution are one transposed convolution with
a larger kernel and far fewer features in between. Only at the outermost HR pixels the two differ:
the output convolution takes zeros for what lies outside, and that is made good there.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.precision import in_full

_TAPS = 4
"""Kernel of the transposed convolution; stride 2 and padding 1 go with it."""


def folding_pays(channels: int, features: int, out: int) -> bool:
    """Whether the folded branch takes fewer multiplications than the two layers.

    Args:
        channels: Into the transposed convolution.
        features: Between the two.
        out: Out of the 3x3 convolution.

    >>> folding_pays(512, 128, 32), folding_pays(256, 16, 32)
    (True, False)
    """
    return 9 * channels * out < 4 * channels * features + 9 * features * out


def upsampled_and_convolved(
    x: torch.Tensor, upsampling: nn.ConvTranspose2d, kernel: torch.Tensor
) -> torch.Tensor:
    """`conv2d(upsampling(x), kernel, padding=1)`, folded.

    Args:
        x: Shape (n, channels, rows, cols).
        upsampling: Kernel 4, stride 2, padding 1.
        kernel: Of the 3x3 convolution, shape (out, features, 3, 3).

    Returns:
        Shape (n, out, 2 * rows, 2 * cols).
    """
    weight = upsampling.weight
    with in_full(x):
        folded = functional.conv2d(weight, kernel, padding=2)
    fine = functional.conv_transpose2d(x, folded, stride=2, padding=2)
    fine = _without_outside(fine, x, weight, kernel)
    return fine if upsampling.bias is None else fine + _of_bias(upsampling.bias, kernel, fine)


def _without_outside(
    fine: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, kernel: torch.Tensor
) -> torch.Tensor:
    """Take away what the ring of pixels outside added; corners belong to its rows."""
    above, below, before, after = _Strips.apply(x)  # type: ignore[no-untyped-call]
    first, last = slice(0, 1), slice(_TAPS - 1, _TAPS)
    top, bottom = (
        functional.conv2d(
            functional.conv_transpose2d(row, weight[:, :, taps], stride=(1, 2)), kernel[:, :, tap]
        )
        for row, taps, tap in (
            (above, first, slice(0, 1)),
            (below, last, slice(2, 3)),
        )
    )
    left, right = (
        functional.conv2d(
            functional.conv_transpose2d(col, weight[..., taps], stride=(2, 1), padding=(1, 0)),
            kernel[..., tap],
            padding=(1, 0),
        )
        for col, taps, tap in (
            (before, first, slice(0, 1)),
            (after, last, slice(2, 3)),
        )
    )
    return _WithoutRing.apply(fine, top, bottom, left, right)  # type: ignore[no-any-return, no-untyped-call]


class _Strips(torch.autograd.Function):
    """The outermost rows and columns; one tensor of the full size on the way back, not four."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Copies of the top, the bottom, the left and the right."""
        ctx.shape, ctx.format = x.shape, _format_of(x)
        return tuple(side.clone() for side in _sides(x))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """Zeros but for the four."""
        whole = gradients[0].new_zeros(()).expand(ctx.shape).contiguous(memory_format=ctx.format)
        for side, gradient in zip(_sides(whole), gradients, strict=True):
            side.add_(gradient)
        return whole


class _WithoutRing(torch.autograd.Function):
    """Subtract from the outermost rows and columns, in place, without copies on the way back."""

    @staticmethod
    def forward(ctx: Any, fine: torch.Tensor, *ring: torch.Tensor) -> torch.Tensor:
        """`ring` is what to subtract at the top, the bottom, the left and the right."""
        ctx.mark_dirty(fine)
        for side, part in zip(_sides(fine), ring, strict=True):
            side.sub_(part)
        return fine

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:  # noqa: ARG004
        """The same for what was there; the opposite for what was taken away."""
        return gradient, *(-side for side in _sides(gradient))


def _format_of(x: torch.Tensor) -> torch.memory_format:
    last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _sides(fine: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Views of the outermost rows and columns: top, bottom, left, right."""
    return fine[:, :, :1], fine[:, :, -1:], fine[..., :1], fine[..., -1:]


def _of_bias(bias: torch.Tensor, kernel: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    """What the bias in between adds: less at the sides, where the kernel reaches beyond."""
    rows, cols = fine.shape[-2:]
    corner_side_middle = functional.conv2d(
        bias[None, :, None, None].expand(1, -1, 3, 3), kernel, padding=1
    )
    down, right = ([0, *[1] * (n - 2), 2] for n in (rows, cols))
    return corner_side_middle[:, :, down][..., right]
