"""Channel attention for use: what is pooled goes through one layer together."""

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.fast.fixed_layer import FixedLayer
from hsisr.models.layers import ChannelAttention


class FastChannelAttention(nn.Module):
    """What `ChannelAttention` multiplies its features by, averages and maxima through one layer."""

    def __init__(self, trained: ChannelAttention) -> None:
        super().__init__()
        self.pooling = trained.pooling
        self.squeeze = FixedLayer(trained.squeeze.weight, trained.squeeze.bias)
        self.excite = FixedLayer(trained.excite.weight, 2 * trained.excite.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, rows, cols) -> (n, channels, 1, 1), to multiply the features by."""
        average = features.mean((-2, -1))
        other = features.amax((-2, -1)) if self.pooling == "paper" else average
        pooled = torch.stack((average, other))
        hidden = functional.linear(pooled, self.squeeze.weight, self.squeeze.bias).relu_().sum(0)
        weights = functional.linear(hidden, self.excite.weight, self.excite.bias)
        return weights.sigmoid_()[:, :, None, None]
