"""Layers that commute with rotations by 90 degrees and, if wanted, with mirrors.

Features come in sets of one channel for every symmetry (the regular representation of the group).
A kernel is stored once and used in every orientation, so that turning the input turns the output,
with the arithmetic of an ordinary convolution and an eighth or a quarter of its weights (Cohen and
Welling, "Group Equivariant Convolutional Networks", ICML 2016).

Channel `order * f + i` is feature `f` in the i-th orientation of the group; `order`, the number of
symmetries, is 8 or 4. Orientation `g` = (bit 2: exchange rows and columns, then bit 1: mirror
columns, bit 0: mirror rows).
"""

from functools import lru_cache
from typing import Final

import torch
from torch import nn
from torch.nn import functional

GROUPS: Final = {8: tuple(range(8)), 4: (0, 3, 5, 6)}
"""Orientations by the number of symmetries: rotations and mirrors, or rotations alone."""
_MANY_RESULTS: Final = 16
"""From so many columns on, a product of small matrices is fastest with the results last."""


def oriented(x: torch.Tensor, g: int) -> torch.Tensor:
    """`x` in orientation `g`, shape (..., rows, cols) of a square or its transpose.

    >>> oriented(torch.tensor([[1, 2], [3, 4]]), 1).tolist()
    [[3, 4], [1, 2]]
    """
    if g & 4:
        x = x.transpose(-2, -1)
    if g & 2:
        x = x.flip(-1)
    return x.flip(-2) if g & 1 else x


@lru_cache(maxsize=16)
def tap_order(side: int, order: int = 8) -> torch.Tensor:
    """Where each orientation of a square array takes its entries, shape (order, side * side)."""
    with torch.inference_mode(False):  # training may use it after inference
        taps = torch.arange(side * side).reshape(side, side)
        return torch.stack([oriented(taps, g).flatten() for g in GROUPS[order]])


@lru_cache(maxsize=2)
def _division(order: int) -> tuple[tuple[int, ...], ...]:
    """Which orientation, by its place in the group, followed by g gives h; found by trying."""
    group = GROUPS[order]
    probe = torch.arange(9).reshape(3, 3)
    return tuple(
        tuple(
            next(
                place
                for place, k in enumerate(group)
                if torch.equal(oriented(oriented(probe, k), g), oriented(probe, h))
            )
            for h in group
        )
        for g in group
    )


@lru_cache(maxsize=16)
def _kernel_order(side: int, order: int) -> torch.Tensor:
    """Index into (order, side * side) for every out- and in-orientation."""
    taps = side * side
    with torch.inference_mode(False):
        division = torch.tensor(_division(order))
        return division[:, :, None] * taps + tap_order(side, order)[:, None, :]


class LiftingConv(nn.Module):
    """Convolution from plain channels to oriented features; `side`, of the kernel, is odd."""

    def __init__(self, channels: int, features: int, side: int = 3, *, order: int = 8) -> None:
        super().__init__()
        self.side, self.order = side, order
        std = (2.0 / (channels * side * side)) ** 0.5
        self.kernel = nn.Parameter(torch.randn(features, channels, side * side) * std)
        self.bias = nn.Parameter(torch.zeros(features))

    def dense(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The ordinary convolution's weight and bias."""
        order = tap_order(self.side, self.order).to(self.kernel.device)
        features, channels, _ = self.kernel.shape
        weight = self.kernel[:, :, order].permute(0, 2, 1, 3)
        shape = (self.order * features, channels, self.side, self.side)
        return weight.reshape(shape), self.bias.repeat_interleave(self.order)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, order * features, rows, cols)."""
        weight, bias = self.dense()
        return functional.conv2d(x, weight, bias, padding=self.side // 2)


class RegularConv(nn.Module):
    """Convolution between oriented features; `gain` is a factor on the fresh weights."""

    def __init__(
        self,
        features_in: int,
        features_out: int,
        side: int = 3,
        *,
        gain: float = 1.0,
        order: int = 8,
    ) -> None:
        super().__init__()
        self.side, self.order = side, order
        std = gain * (2.0 / (features_in * order * side * side)) ** 0.5
        kernel = torch.randn(features_out, features_in, order * side * side) * std
        self.kernel = nn.Parameter(kernel)
        self.bias = nn.Parameter(torch.zeros(features_out))

    def dense(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The ordinary convolution's weight and bias."""
        order = _kernel_order(self.side, self.order).to(self.kernel.device)
        out, into, _ = self.kernel.shape
        weight = self.kernel[:, :, order].permute(0, 2, 1, 3, 4)
        shape = (self.order * out, self.order * into, self.side, self.side)
        return weight.reshape(shape), self.bias.repeat_interleave(self.order)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features_in, rows, cols) -> (n, order * features_out, rows, cols)."""
        weight, bias = self.dense()
        if self.side == 1:  # a product is faster than torch's convolution on a processor
            tokens = functional.linear(x.permute(0, 2, 3, 1), weight[..., 0, 0], bias)
            return tokens.permute(0, 3, 1, 2)
        return functional.conv2d(x, weight, bias, padding=self.side // 2)


class SubpixelProjection(nn.Module):
    """From oriented features to the HR pixels of every LR pixel, without a bias.

    What a feature contributes to the `scale` x `scale` HR pixels is turned with its orientation.
    """

    def __init__(
        self, features: int, bands: int, scale: int, *, gain: float, order: int = 8
    ) -> None:
        super().__init__()
        self.scale, self.order = scale, order
        std = gain * (1.0 / (features * order)) ** 0.5
        self.kernel = nn.Parameter(torch.randn(bands, features, scale * scale) * std)

    def dense(self) -> torch.Tensor:
        """The 1 x 1 convolution's weight, before the pixel shuffle."""
        order = tap_order(self.scale, self.order).to(self.kernel.device)
        bands, features, pixels = self.kernel.shape
        weight = self.kernel[:, :, order].permute(0, 3, 1, 2)
        return weight.reshape(bands * pixels, features * self.order, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, order * features, rows, cols) -> (n, bands, rows * scale, cols * scale)."""
        weight = self.dense()[..., 0, 0]
        pixels = functional.linear(x.permute(0, 2, 3, 1), weight).permute(0, 3, 1, 2)
        return functional.pixel_shuffle(pixels.contiguous(), self.scale)


class FilterBank(nn.Module):
    """Filters of LR bands that are mixed anew for every pixel, the same mixture for all bands.

    What bands add at the HR pixels of an LR pixel is a sum over `side` x `side` LR pixels around
    it. A level that all of them share adds nothing, nor does the mean over the HR pixels change. A
    band's own contrast comes with it, so that the detail of a group has as many spectra as its
    bands (after Jia et al., "Dynamic Filter Networks", NeurIPS 2016).
    """

    def __init__(self, filters: int, scale: int, side: int = 5, *, order: int = 8) -> None:
        super().__init__()
        self.scale, self.side, self.order = scale, side, order
        std = 1.0 / (side * side)
        self.kernel = nn.Parameter(torch.randn(filters, side * side, scale * scale) * std)

    def dense(self) -> torch.Tensor:
        """Every filter in every orientation, shape (side * side * scale**2, order * filters)."""
        taps, pixels = (
            tap_order(side, self.order).to(self.kernel.device) for side in (self.side, self.scale)
        )
        turned = self.kernel[:, taps[:, :, None], pixels[:, None, :]]
        turned = turned - turned.mean(dim=2, keepdim=True)
        turned = turned - turned.mean(dim=3, keepdim=True)
        return turned.flatten(2).flatten(0, 1).T

    def forward(self, lr: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
        """Filter bands, shape (n, bands, rows, cols), to (n, bands, rows * scale, cols * scale).

        The mixture has shape (n, order * filters, rows, cols).
        """
        kernels = functional.linear(mixture.permute(0, 2, 3, 1), self.dense())
        pixels = filtered(lr, kernels, self.side).permute(0, 3, 1, 2)
        return functional.pixel_shuffle(pixels.contiguous(), self.scale)


def filtered(lr: torch.Tensor, kernels: torch.Tensor, side: int) -> torch.Tensor:
    """Filter bands, shape (n, bands, rows, cols), by kernels that differ from pixel to pixel.

    Kernels of an odd side, (n, rows, cols, side * side * results), make of every band (n, rows,
    cols, bands * results).
    """
    return applied(padded(lr, side), kernels, side)


def padded(lr: torch.Tensor, side: int) -> torch.Tensor:
    """Bands with what kernels of that side see beyond the edge, shape (n, rows, cols, bands)."""
    wider = functional.pad(lr, (side // 2,) * 4, mode="replicate")
    return wider.permute(0, 2, 3, 1).contiguous()


def applied(seen: torch.Tensor, kernels: torch.Tensor, side: int) -> torch.Tensor:
    """`filtered` for rows that `padded` has prepared."""
    rows, cols = kernels.shape[1:3]
    around = torch.stack(
        [seen[:, i : i + rows, j : j + cols] for i in range(side) for j in range(side)], dim=3
    )  # n, rows, cols, taps, bands
    kernels = kernels.reshape(*kernels.shape[:3], side * side, -1)
    if kernels.shape[-1] < _MANY_RESULTS:
        return (kernels.mT @ around).mT.flatten(3)
    return (around.mT @ kernels).flatten(3)
