"""Two consecutive linear layers of `dacn` folded into one.

In the last upsampling block of `dacn` one branch is a transposed convolution without an activation,
so that it and the output convolution are together one transposed convolution with a larger kernel
and far fewer features in between. The two differ only at the outermost HR pixels, where the output
convolution is padded with zeros; that is corrected there.

Training folds in every step, because both kernels change (`upsampled_and_convolved`); for inference
the joint kernels are computed once (`FoldedUpsampling`, and `with_norm` for normalisations).
"""

from typing import Any, Final, cast

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.common import in_full
from hsisr.models.fast.fixed_layer import FixedLayer

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
    """Subtract what the ring of pixels outside the image added; rows include the corners."""
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
    """The outermost rows and columns; their backward pass fills one full-size tensor, not four."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Copies of the top, bottom, left and right."""
        ctx.shape, ctx.format = x.shape, _format_of(x)
        return tuple(side.clone() for side in _sides(x))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """Zeros but for the four sides."""
        whole = gradients[0].new_zeros(()).expand(ctx.shape).contiguous(memory_format=ctx.format)
        for side, gradient in zip(_sides(whole), gradients, strict=True):
            side.add_(gradient)
        return whole


class _WithoutRing(torch.autograd.Function):
    """Subtract from the outermost rows and columns in place; no copies in the backward pass."""

    @staticmethod
    def forward(ctx: Any, fine: torch.Tensor, *ring: torch.Tensor) -> torch.Tensor:
        """`ring` is what to subtract at the top, bottom, left and right."""
        ctx.mark_dirty(fine)
        for side, part in zip(_sides(fine), ring, strict=True):
            side.sub_(part)
        return fine

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:  # noqa: ARG004
        """The gradient itself for `fine`; its negative for `ring`."""
        return gradient, *(-side for side in _sides(gradient))


def _format_of(x: torch.Tensor) -> torch.memory_format:
    last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _sides(fine: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Views of the outermost rows and columns: top, bottom, left, right."""
    return fine[:, :, :1], fine[:, :, -1:], fine[..., :1], fine[..., -1:]


def _of_bias(bias: torch.Tensor, kernel: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    """What the bias of the first layer adds: less at the sides, where the kernel is padded."""
    rows, cols = fine.shape[-2:]
    corner_side_middle = functional.conv2d(
        bias[None, :, None, None].expand(1, -1, 3, 3), kernel, padding=1
    )
    down, right = ([0, *[1] * (n - 2), 2] for n in (rows, cols))
    return corner_side_middle[:, :, down][..., right]


_REACH: Final = 2
"""HR pixels that the joint kernel reaches beyond the middle of its first and last tap."""


def with_norm(
    weight: torch.Tensor, bias: torch.Tensor, norm: nn.BatchNorm2d, axis: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Kernel and bias of a convolution and the batch normalisation behind it.

    Args:
        weight: The convolution's kernel.
        bias: Its bias.
        norm: With its running statistics.
        axis: Of the kernel's output features.
    """
    if norm.running_mean is None or norm.running_var is None:
        return weight, bias
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shape = [1] * weight.ndim
    shape[axis] = -1
    return weight * factor.reshape(shape), (bias - norm.running_mean) * factor + norm.bias


class FoldedUpsampling(nn.Module):
    """`conv2d(upsampling(x), kernel, bias, padding=1)` as one transposed convolution.

    The joint kernel also sees HR pixels outside the image, which the convolution pads with zeros.
    What they add is computed for the outermost HR pixels alone and subtracted: rows with their
    corners, columns with theirs; the corners, subtracted twice, are added once.

    Args:
        upsampling: Kernel 4, stride 2, padding 1.
        kernel: Of the 3x3 convolution, shape (out, features, 3, 3).
        bias: Of the convolution.
    """

    corners: torch.Tensor
    biases: torch.Tensor

    def __init__(
        self, upsampling: nn.ConvTranspose2d, kernel: torch.Tensor, bias: torch.Tensor
    ) -> None:
        super().__init__()
        first = upsampling.weight
        inside = first.new_zeros(first.shape[1]) if upsampling.bias is None else upsampling.bias
        inside = inside[None, :, None, None].expand(1, -1, 3, 3)
        biases = functional.conv2d(inside, kernel, bias, padding=1)[0]
        self.joint = FixedLayer(functional.conv2d(first, kernel, padding=2), biases[:, 1, 1])
        biases = biases - biases[:, 1:2, 1:2]
        ends = ((slice(0, 1), slice(0, 1)), (slice(3, 4), slice(2, 3)))
        rows = [functional.conv2d(first[:, :, t], kernel[:, :, k], padding=(0, 2)) for t, k in ends]
        cols = [functional.conv2d(first[..., t], kernel[..., k], padding=(2, 0)) for t, k in ends]
        self.rows = _side_layers(rows, [biases[:, 0, 1], biases[:, 2, 1]])
        self.cols = _side_layers(cols, [biases[:, 1, 0], biases[:, 1, 2]])
        corners = [
            [functional.conv2d(first[:, :, t][..., u], kernel[:, :, k][..., m]) for u, m in ends]
            for t, k in ends
        ]
        matrices = torch.stack([c[:, :, 0, 0] for row in corners for c in row])
        self.register_buffer("corners", matrices, persistent=False)
        missed = biases[:, ::2, ::2] - biases[:, ::2, 1:2] - biases[:, 1:2, ::2]
        self.register_buffer("biases", missed.permute(1, 2, 0).contiguous(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, out, 2 * rows, 2 * cols)."""
        hr = self.joint.upsampled(x, padding=_REACH)
        lr, fine = x.permute(0, 2, 3, 1), hr.permute(0, 2, 3, 1)
        for side, over in zip((0, -1), _along((lr[:, 0], lr[:, -1]), self.rows), strict=True):
            _in_pairs(fine[:, side]).sub_(over)
        for side, over in zip((0, -1), _along((lr[:, :, 0], lr[:, :, -1]), self.cols), strict=True):
            _in_pairs(fine[:, :, side]).sub_(over)
        corners = _corners(lr).flatten(1, 2).transpose(0, 1)
        twice = torch.bmm(corners, self.corners).transpose(0, 1)
        _corners(fine).add_(twice.reshape(len(x), 2, 2, -1) + self.biases)
        return hr


def _side_layers(kernels: list[torch.Tensor], biases: list[torch.Tensor]) -> nn.ModuleList:
    """One layer for each end: what neighbouring pixels add to an HR pixel, and its bias."""
    layers = []
    for kernel, bias in zip(kernels, biases, strict=True):
        zero = torch.zeros_like(bias)
        table = torch.cat((zero, zero, -bias, -bias, zero, zero))
        layers.append(FixedLayer(kernel.flatten(2).permute(2, 1, 0).flatten(0, 1), table))
    return nn.ModuleList(layers)


def _along(ends: tuple[torch.Tensor, torch.Tensor], layers: nn.ModuleList) -> torch.Tensor:
    """A transposed convolution along two opposite sides, as products and two additions.

    Args:
        ends: Pixels of each side, shape (n, length, channels).
        layers: For each side, to 3 neighbours x 2 HR pixels x features.

    Returns:
        Shape (2, n, length, 2, features).
    """
    pairs = zip(layers, ends, strict=True)
    taps = torch.stack([cast("FixedLayer", layer).linear(end) for layer, end in pairs])
    before, own, after = taps.reshape(*taps.shape[:-1], 3, 2, -1).unbind(3)
    own[:, :, 1:] += after[:, :, :-1]
    own[:, :, :-1] += before[:, :, 1:]
    return own


def _in_pairs(pixels: torch.Tensor) -> torch.Tensor:
    """Shape (n, 2 * length, features) -> (n, length, 2, features), a view."""
    n, length, features = pixels.shape
    return pixels.view(n, length // 2, 2, features)


def _corners(pixels: torch.Tensor) -> torch.Tensor:
    """Shape (n, rows, cols, features) -> (n, 2, 2, features), a view; one pixel is all four."""
    n, rows, cols, features = pixels.shape
    found = pixels[:, :: max(1, rows - 1), :: max(1, cols - 1)]
    return found.expand(n, 2, 2, features)
