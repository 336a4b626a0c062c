"""Linear layers joined once, for a network that learns no more.

`hsisr.models.fast.folding` joins a transposed convolution and the convolution behind it at every
call, because in training both change from step to step. Here the joint kernels are computed once,
and so are those that correct the outermost HR pixels.
"""

from typing import Final, cast

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.fast.fixed_layer import FixedLayer

_REACH: Final = 2
"""HR pixels that the joint kernel reaches beyond the middle of its first and last tap."""


def with_norm(
    weight: torch.Tensor, bias: torch.Tensor, norm: nn.BatchNorm2d, axis: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Kernel and bias of a convolution and the batch normalisation behind it.

    Args:
        weight: The convolution's kernel.
        bias: Its bias.
        norm: With the statistics that it has gathered.
        axis: Of the kernel, along which its features out lie.
    """
    if norm.running_mean is None or norm.running_var is None:
        return weight, bias
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shape = [1] * weight.ndim
    shape[axis] = -1
    return weight * factor.reshape(shape), (bias - norm.running_mean) * factor + norm.bias


class FoldedUpsampling(nn.Module):
    """`conv2d(upsampling(x), kernel, bias, padding=1)` as one transposed convolution.

    What the convolution would take for pixels outside, where it takes zeros, is computed for the
    outermost HR pixels alone and taken away: rows with their corners, columns with theirs, and the
    corners, then counted twice, once back.

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
        self.rows = _sides(rows, [biases[:, 0, 1], biases[:, 2, 1]])
        self.cols = _sides(cols, [biases[:, 1, 0], biases[:, 1, 2]])
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


def _sides(kernels: list[torch.Tensor], biases: list[torch.Tensor]) -> nn.ModuleList:
    """One layer for either end: what the pixels beside an HR pixel give it, and its bias."""
    layers = []
    for kernel, bias in zip(kernels, biases, strict=True):
        zero = torch.zeros_like(bias)
        table = torch.cat((zero, zero, -bias, -bias, zero, zero))
        layers.append(FixedLayer(kernel.flatten(2).permute(2, 1, 0).flatten(0, 1), table))
    return nn.ModuleList(layers)


def _along(ends: tuple[torch.Tensor, torch.Tensor], layers: nn.ModuleList) -> torch.Tensor:
    """A transposed convolution along two opposite sides, as products and two additions.

    Args:
        ends: Pixels of either side, shape (n, length, channels).
        layers: For either side, to 3 neighbours x 2 HR pixels x features.

    Returns:
        Shape (2, n, length, 2, features).
    """
    pairs = zip(layers, ends, strict=True)
    taps = torch.stack([cast("FixedLayer", layer).of_pixels(end) for layer, end in pairs])
    before, own, after = taps.reshape(*taps.shape[:-1], 3, 2, -1).unbind(3)
    own[:, :, 1:] += after[:, :, :-1]
    own[:, :, :-1] += before[:, :, 1:]
    return own


def _in_pairs(pixels: torch.Tensor) -> torch.Tensor:
    """Shape (n, 2 * length, features) -> (n, length, 2, features), a view."""
    n, length, features = pixels.shape
    return pixels.view(n, length // 2, 2, features)


def _corners(pixels: torch.Tensor) -> torch.Tensor:
    """Shape (n, rows, cols, features) -> (n, 2, 2, features), a view; one may be all four."""
    n, rows, cols, features = pixels.shape
    found = pixels[:, :: max(1, rows - 1), :: max(1, cols - 1)]
    return found.expand(n, 2, 2, features)
