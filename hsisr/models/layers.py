"""The parts `dacn` is made of: attention over pixels, attention over channels, upsampling.

Source of all of them: Muhammad, Laaksonen, Mihaylova, "DACN: Dual-Attention Convolutional Network
for Hyperspectral Image Super-Resolution", arXiv 2506.05041; equations are numbered as there.
"""

from typing import Final, Literal

import torch
from torch import nn
from torch.nn import functional

Pooling = Literal["paper", "notebook"]
"""paper: average and maximum (equations 8, 9). notebook: the average, twice, as published."""

HEADS: Final = 4
LEAKY_SLOPE: Final = 0.1
NORM_EPS: Final = 1e-3
BATCH_NORM_MOMENTUM: Final = 0.01
"""Share of the new batch in the moving statistics; Keras calls the same thing 0.99."""


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
