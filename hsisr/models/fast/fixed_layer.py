"""Layers with constant weights, from which the fast forms of networks are built."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.fast import onednn
from hsisr.models.fast.onednn import NONE, Activation

_AS_ONE: Final[Mapping[int, torch.dtype]] = MappingProxyType(
    {4: torch.int32, 8: torch.int64, 16: torch.complex128}
)
"""A type of so many bytes: neighbouring values are copied as one."""
_LAYOUTS: Final = 4
"""Layouts kept per kernel: two batch sizes, and tiles whose context is cut on one side."""


class FixedLayer(nn.Module):
    """A constant kernel, channels last, and its bias."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        last = torch.channels_last if weight.ndim == 4 else torch.contiguous_format
        kernel = weight.clone(memory_format=last)
        self.register_buffer("weight", kernel, persistent=False)
        self.register_buffer("bias", bias.clone(), persistent=False)
        self._layouts: dict[torch.Size, torch.Tensor] = {}

    def convolved(self, x: torch.Tensor, activation: Activation = NONE) -> torch.Tensor:
        """A convolution that keeps rows and columns, with an odd kernel, channels last."""
        padding = self.weight.shape[-1] // 2
        if not onednn.available(x, self.weight):
            return activation.plain(functional.conv2d(x, self.weight, self.bias, padding=padding))
        return onednn.convolved(x, self._laid_out(x, padding), self.bias, padding, activation)

    def linear(self, x: torch.Tensor) -> torch.Tensor:
        """A linear layer; shape (..., features)."""
        return onednn.linear(x, self.weight, self.bias)

    def _laid_out(self, x: torch.Tensor, padding: int) -> torch.Tensor:
        """The kernel in oneDNN's layout for inputs of that shape; cached."""
        if (kernel := self._layouts.get(x.shape)) is None:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts = {}
            kernel = self._layouts[x.shape] = onednn.packed_kernel(self.weight, padding, x.shape)
        return kernel

    def __getstate__(self) -> dict[str, object]:  # a copy packs its own kernels
        return {**self.__dict__, "_layouts": {}}

    def _apply(self, *given: object, **named: object) -> "FixedLayer":  # another type or device
        self._layouts = {}
        super()._apply(*given, **named)  # type: ignore[no-untyped-call]
        return self


def shuffled(x: torch.Tensor, scale: int) -> torch.Tensor:
    """`functional.pixel_shuffle` of a channels-last tensor, to a contiguous one.

    The HR values of a row that come from one LR pixel are copied as one.

    >>> x = torch.arange(8.0).reshape(1, 4, 1, 2).contiguous(memory_format=torch.channels_last)
    >>> shuffled(x, 2).tolist()
    [[[[0.0, 2.0, 1.0, 3.0], [4.0, 6.0, 5.0, 7.0]]]]
    """
    n, channels, rows, cols = x.shape
    as_one = _AS_ONE.get(scale * x.element_size())
    if as_one is None:
        return functional.pixel_shuffle(x, scale).contiguous()
    pixels = x.permute(0, 2, 3, 1).contiguous().view(as_one)
    lines = torch.empty(
        (n, channels // scale**2, rows, scale, cols), dtype=as_one, device=x.device
    ).copy_(pixels.reshape(n, rows, cols, -1, scale).permute(0, 3, 1, 4, 2))
    return lines.view(x.dtype).reshape(n, -1, rows * scale, cols * scale)


def without_means(table: torch.Tensor, bands: int) -> torch.Tensor:
    """Kernels or biases of each band's pixels, less their mean; shape (bands * pixels, ...)."""
    parts = table.reshape(bands, -1, *table.shape[1:])
    left: torch.Tensor = (parts - parts.mean(1, keepdim=True)).flatten(0, 1)
    return left
