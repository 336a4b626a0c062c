"""Linear layers joined once, for a network that learns no more.

`hsisr.models.folding` joins a transposed convolution and the convolution behind it whenever the
network is called, because in training both change from step to step. Here the joint kernels are
computed once, and so are those that make the outermost HR pixels right.
"""

from itertools import product
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.products import linear

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

    weight: torch.Tensor
    bias: torch.Tensor
    top: torch.Tensor
    bottom: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
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
        ends = ((slice(0, 1), slice(0, 1)), (slice(3, 4), slice(2, 3)))
        rows = [functional.conv2d(first[:, :, t], kernel[:, :, k], padding=(0, 2)) for t, k in ends]
        cols = [functional.conv2d(first[..., t], kernel[..., k], padding=(2, 0)) for t, k in ends]
        sides = [side.flatten(2).permute(2, 1, 0).flatten(0, 1) for side in (*rows, *cols)]
        corners = [
            [functional.conv2d(first[:, :, t][..., u], kernel[:, :, k][..., m]) for u, m in ends]
            for t, k in ends
        ]
        tables = {
            "weight": functional.conv2d(first, kernel, padding=2),
            "bias": biases[:, 1, 1],
            **dict(zip(("top", "bottom", "left", "right"), sides, strict=True)),
            "corners": torch.stack([torch.stack([c[:, :, 0, 0] for c in r]) for r in corners]),
            "biases": biases - biases[:, 1:2, 1:2],
        }
        for name, table in tables.items():
            last = torch.channels_last if name == "weight" else torch.contiguous_format
            self.register_buffer(name, table.clone(memory_format=last), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, out, 2 * rows, 2 * cols)."""
        fine = functional.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=_REACH)
        for end, kernel in ((0, self.top), (-1, self.bottom)):
            over = _along(x[:, :, end], kernel) - self.biases[:, end, 1, None]
            fine[:, :, end] -= over
        for end, kernel in ((0, self.left), (-1, self.right)):
            over = _along(x[..., end], kernel) - self.biases[:, 1, end, None]
            fine[..., end] -= over
        for i, j in product((0, -1), (0, -1)):
            bias = self.biases[:, i, j] - self.biases[:, i, 1] - self.biases[:, 1, j]
            fine[:, :, i, j] += x[:, :, i, j] @ self.corners[i, j] + bias
        return fine


def _along(pixels: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """A transposed convolution along one side, as a product and three additions.

    Args:
        pixels: Shape (n, channels, length).
        kernel: Shape (6 * out, channels).

    Returns:
        Shape (n, out, 2 * length).
    """
    taps = linear(pixels.transpose(1, 2), kernel)
    before, pairs, after = taps.reshape(*taps.shape[:2], 3, 2, -1).unbind(2)
    pairs[:, 1:] += after[:, :-1]
    pairs[:, :-1] += before[:, 1:]
    return pairs.flatten(1, 2).transpose(1, 2)
