"""Layers: those that several networks share, and those that `dacn` is made of.

Source of the latter: Muhammad, Laaksonen, Mihaylova, "DACN: Dual-Attention Convolutional Network
for Hyperspectral Image Super-Resolution", arXiv 2506.05041; equations are numbered as there.
"""

from collections.abc import Sequence
from typing import Final, Literal

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.descriptor import in_full
from hsisr.models.interpolation import KERNELS, interpolate

RESIDUAL_SCALE: Final = 0.1
"""Factor on the branch of residual blocks in wide networks."""
Pooling = Literal["paper", "notebook"]
"""paper: average and maximum (equations 8, 9). notebook: the average, twice, as published."""

HEADS: Final = 4
LEAKY_SLOPE: Final = 0.1
NORM_EPS: Final = 1e-3
BATCH_NORM_MOMENTUM: Final = 0.01
"""Share of the new batch in the moving statistics; Keras calls the same thing 0.99."""


def bicubic(lr: torch.Tensor, scale: int) -> torch.Tensor:
    """Cubic convolution (a = -0.5) in float32, the base of networks that learn a residual."""
    with in_full(lr):
        return interpolate(lr.float(), KERNELS["bicubic"], scale)


def pixel_shuffle(channels: int, scale: int) -> nn.Sequential:
    """Twice as many rows and columns, log2(scale) times: convolution and shuffle.

    Source: Shi et al., "Real-time single image and video super-resolution using an efficient
    sub-pixel convolutional neural network", CVPR 2016; in steps of 2 as EDSR has it.
    """
    layers: list[nn.Module] = []
    for _ in range(scale.bit_length() - 1):
        layers += [nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2)]
    return nn.Sequential(*layers)


def activated(channels: int, features: int, kernel: int = 3) -> nn.Sequential:
    """A convolution that keeps rows and columns, and ReLU."""
    return nn.Sequential(nn.Conv2d(channels, features, kernel, padding=kernel // 2), nn.ReLU())


def per_band(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Apply a 2-D layer to each band; shape (n, channels, bands, rows, cols) in and out."""
    n, _, bands, _, _ = x.shape
    y: torch.Tensor = layer(x.transpose(1, 2).flatten(0, 1))
    return y.reshape(n, bands, *y.shape[1:]).transpose(1, 2)


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, added to the input; no batch normalisation.

    Source: Lim et al., "Enhanced deep residual networks for single image super-resolution", CVPRW
    2017, figure 2. `residual_scale` is the factor on what is added.
    """

    def __init__(self, channels: int, residual_scale: float = 1.0) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.residual_scale = residual_scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) in and out."""
        detail: torch.Tensor = self.second(functional.relu(self.first(x)))
        return x + self.residual_scale * detail


def convolution_pair(channels: int, kernel: tuple[int, int, int]) -> nn.Sequential:
    """3-D convolution, ReLU, 3-D convolution, without biases; sizes stay as they are."""
    first, second = (
        nn.Conv3d(channels, channels, kernel, padding="same", bias=False) for _ in range(2)
    )
    return nn.Sequential(first, nn.ReLU(), second)


def put_together(parts: Sequence[torch.Tensor], starts: Sequence[int], bands: int) -> torch.Tensor:
    """Join parts that each hold some neighbouring bands; the mean where several hold a band.

    Parts have shape (n, k, rows, cols); with their first bands `starts` they hold every band.
    """
    n, k, rows, cols = parts[0].shape
    total = parts[0].new_zeros(n, bands, rows, cols)
    for start, part in zip(starts, parts, strict=True):
        total[:, start : start + k] += part
    times = [sum(start <= band < start + k for start in starts) for band in range(bands)]
    return total / total.new_tensor(times)[:, None, None]


class SqueezeExcitation(nn.Module):
    """Channel attention: features weighted by two layers of their means.

    Source: Hu, Shen, Sun, "Squeeze-and-excitation networks", CVPR 2018; a sixteenth of the features
    in between, at least 4, as Zhang et al., "Image super-resolution using very deep residual
    channel attention networks", ECCV 2018, have it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        between = max(4, channels // 16)
        self.first = nn.Linear(channels, between)
        self.second = nn.Linear(between, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, ...) in and out, with any axes behind."""
        means = x.flatten(2).mean(-1)
        weights = self.second(functional.relu(self.first(means))).sigmoid()
        return x * weights.reshape(*weights.shape, *(1,) * (x.ndim - 2))


class SpectralBlock(nn.Module):
    """Two 1x1 convolutions weighted by channel attention, a tenth of them added to the input.

    Source: Jiang et al., IEEE TCI 2020 (SSPSR), and Chen et al., IEEE TGRS 2023 (MSDformer).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.attention = SqueezeExcitation(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) in and out."""
        detail: torch.Tensor = self.attention(self.second(functional.relu(self.first(x))))
        return x + RESIDUAL_SCALE * detail


def attention_among_features(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, temperature: torch.Tensor
) -> torch.Tensor:
    """Multi-head self-attention among features: each token holds all pixels of a feature.

    Source: Zamir et al., "Restormer: efficient transformer for high-resolution image restoration",
    CVPR 2022, equation 1. Shape (n, channels, rows, cols) in and out; `temperature`, the factor of
    each head, (heads, 1, 1).
    """
    n, channels, rows, cols = query.shape
    heads = temperature.shape[0]
    q, k, v = (x.reshape(n, heads, channels // heads, -1) for x in (query, key, value))
    logits = functional.normalize(q, dim=-1) @ functional.normalize(k, dim=-1).mT
    attended: torch.Tensor = (logits * temperature).softmax(-1) @ v
    return attended.reshape(n, channels, rows, cols)


class PixelAttention(nn.Module):
    """Multi-head self-attention in which every pixel of a tile sees every other (equations 3-6)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Attend; shape (n, pixels, channels) in and out."""
        query, key, value = (
            project(tokens).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        heads = functional.scaled_dot_product_attention(query, key, value)
        return self.output(heads.transpose(1, 2).flatten(-2))


class ChannelAttention(nn.Module):
    """Weigh channels by a bottleneck of half as many, over pooled values (equations 8-16)."""

    def __init__(self, channels: int, pooling: Pooling) -> None:
        super().__init__()
        self.pooling = pooling
        self.squeeze = nn.Linear(channels, channels // 2)
        self.excite = nn.Linear(channels // 2, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Weigh; shape (n, channels, rows, cols) in and out."""
        average = features.mean((-2, -1))
        other = features.amax((-2, -1)) if self.pooling == "paper" else average
        weights = torch.sigmoid(self._bottleneck(average) + self._bottleneck(other))
        return features * weights[:, :, None, None]

    def _bottleneck(self, pooled: torch.Tensor) -> torch.Tensor:
        return self.excite(torch.relu(self.squeeze(pooled)))


class AttentionBlock(nn.Module):
    """Convolution and both attentions, beside a 1x1 convolution of the input (equations 1-7).

    The paper's ablation leaves one attention out and does not say how; here nothing else goes with
    it, so that layer normalisation stays. `features` are those of each of the two branches.
    """

    def __init__(
        self,
        channels: int,
        features: int,
        pooling: Pooling,
        *,
        self_attention: bool = True,
        channel_attention: bool = True,
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, features, 3, padding=1)
        self.batch_norm = nn.BatchNorm2d(features, NORM_EPS, BATCH_NORM_MOMENTUM)
        self.pixel_attention = PixelAttention(features) if self_attention else None
        self.layer_norm = nn.LayerNorm(features, NORM_EPS)
        self.channel_attention = ChannelAttention(features, pooling) if channel_attention else None
        self.skip = nn.Conv2d(channels, features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, 2 * features, rows, cols)."""
        y = functional.leaky_relu_(self.batch_norm(self.convolution(x)), LEAKY_SLOPE)
        tokens = y.permute(0, 2, 3, 1).flatten(1, 2)
        if self.pixel_attention is not None:
            tokens = tokens + self.pixel_attention(tokens)
        y = self.layer_norm(tokens).unflatten(1, y.shape[-2:]).permute(0, 3, 1, 2)
        if self.channel_attention is not None:
            y = self.channel_attention(y)
        return torch.cat((y, self.skip(x)), dim=1)


class UpsamplingBlock(nn.Module):
    """Twice as many rows and columns by transposed convolution, with a linear one beside it.

    Kernel 4, stride 2, padding 1 is centred: nothing moves by a fraction of a pixel. `features` are
    those of each of the two branches.
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(channels, features, 4, stride=2, padding=1)
        self.batch_norm = nn.BatchNorm2d(features, NORM_EPS, BATCH_NORM_MOMENTUM)
        self.skip = nn.ConvTranspose2d(channels, features, 4, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, 2 * features, 2 * rows, 2 * cols)."""
        y = functional.leaky_relu_(self.batch_norm(self.convolution(x)), LEAKY_SLOPE)
        return torch.cat((y, self.skip(x)), dim=1)


def initialise(network: nn.Module) -> None:
    """Fill kernels by Glorot's uniform rule and biases with zero, as Keras does by default.

    The published code starts the two layers of channel attention by `he_normal` instead.

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, equation 16.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
