"""Less arithmetic for the same numbers: a linear layer folded into the next one.

In the last upsampling block of `dacn` one branch is a transposed convolution without anything
nonlinear behind it, so that branch and the output convolution are one transposed convolution with
a larger kernel and far fewer features in between. Only at the outermost HR pixels the two differ:
the output convolution takes zeros for what lies outside, and that is made good there.
"""

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
    first, last = slice(0, 1), slice(_TAPS - 1, _TAPS)
    top, bottom = (
        functional.conv2d(
            functional.conv_transpose2d(row, weight[:, :, taps], stride=(1, 2)), kernel[:, :, tap]
        )
        for row, taps, tap in (
            (x[:, :, :1], first, slice(0, 1)),
            (x[:, :, -1:], last, slice(2, 3)),
        )
    )
    left, right = (
        functional.conv2d(
            functional.conv_transpose2d(col, weight[..., taps], stride=(2, 1), padding=(1, 0)),
            kernel[..., tap],
            padding=(1, 0),
        )
        for col, taps, tap in (
            (x[..., :1], first, slice(0, 1)),
            (x[..., -1:], last, slice(2, 3)),
        )
    )
    fine[:, :, :1] -= top
    fine[:, :, -1:] -= bottom
    fine[..., :1] -= left
    fine[..., -1:] -= right
    return fine


def _of_bias(bias: torch.Tensor, kernel: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    """What the bias in between adds: less at the sides, where the kernel reaches beyond."""
    rows, cols = fine.shape[-2:]
    corner_side_middle = functional.conv2d(
        bias[None, :, None, None].expand(1, -1, 3, 3), kernel, padding=1
    )
    down, right = ([0, *[1] * (n - 2), 2] for n in (rows, cols))
    return corner_side_middle[:, :, down][..., right]
