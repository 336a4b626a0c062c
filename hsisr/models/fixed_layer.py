"""A layer that learns no more: what the lean forms of networks are made of."""

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.products import linear


class FixedLayer(nn.Module):
    """A kernel and a bias that do not change any more, the kernel with its channels last."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        last = torch.channels_last if weight.ndim == 4 else torch.contiguous_format
        kernel = weight.clone(memory_format=last)
        self.register_buffer("weight", kernel, persistent=False)
        self.register_buffer("bias", bias.clone(), persistent=False)

    def convolved(self, x: torch.Tensor) -> torch.Tensor:
        """A 3x3 convolution."""
        return functional.conv2d(x, self.weight, self.bias, padding=1)

    def of_pixels(self, x: torch.Tensor) -> torch.Tensor:
        """A linear layer; shape (..., features)."""
        return linear(x, self.weight, self.bias)

    def upsampled(self, x: torch.Tensor) -> torch.Tensor:
        """A transposed convolution, to twice as many rows and columns."""
        return functional.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1)


def bias_of(layer: nn.Conv2d | nn.ConvTranspose2d) -> torch.Tensor:
    """Zeros where there is none."""
    out = layer.weight.new_zeros(layer.out_channels)
    return out if layer.bias is None else layer.bias
