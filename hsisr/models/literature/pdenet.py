"""PDE-Net, posterior distribution-based embedding: stages that correct what the LR image disproves.

Source: Hou, Zhu, Hou, Zeng, Wu, Zhou, "Deep posterior distribution-based embedding for
hyperspectral image super-resolution", IEEE TIP 31, 5720-5732, 2022 (arXiv 2205.14887); sizes and
the order of layers after the authors' public code, jinnh/PDE-Net: 4 stages of 6 densely connected
blocks of 64 features, all 3-D. Loss of that code: L1 + the mean square of what is left of the LR
image after the last stage; that remainder is not computed here.

Parameters, at any number of bands: 2,293,493 for x2, 2,301,189 for x4, 2,325,821 for x8. No
published count was found; the layers of the public code add up to 2,301,445 at x4, of which 256
never take part in a result and are left out here.

What differs. Interpolation: bicubic here has a = -0.5 and its pixels centred; the public code takes
torch's, with a = -0.75. Gates: the public code draws them at test time too, one result for each
draw; here evaluation takes their probabilities, the mean of the draws as temperature goes to 0 (the
rule of dropout), because a result must not depend on chance. Its temperature falls from 1 to 0.05
over 30 epochs, after 50 epochs without gates; a network here knows no epochs, so one in between
stands for all, and gates are there from the first step. In training, gates are drawn from torch's
global generator, as dropout is. Degradation: the learnt kernel of (scale + 1)^2 pixels lies over
the LR pixel's own HR pixels and starts flat; in the public code it lies half a kernel up and left,
starts at random, and exists for x4 and x8 only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.descriptor import BandGroupNetwork, NetworkSize, in_full
from hsisr.models.layers import bicubic, convolution_pair

PROBABILITIES = (0.02, 0.98)
"""Least and greatest probability of a gate, of the public code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PdenetSize(NetworkSize):
    """Depth and width."""

    arch: ClassVar = "pdenet"

    stages: int = 4
    blocks: int = 6
    """Blocks of a stage."""
    width: int = 64
    """Features of a block; the first and last layers of a stage have half as many."""
    temperature: float = 0.2
    """How far from open or shut a gate may be while training."""

    def __post_init__(self) -> None:
        NetworkSize.__post_init__(self)
        self.require(
            possible=self.width % 2 == 0 and self.temperature > 0,
            words="an even width and a temperature above 0",
        )


class Pdenet(BandGroupNetwork):
    """The network."""

    size_type = PdenetSize

    def __init__(self, scale: int, group_size: int, size: PdenetSize) -> None:
        super().__init__(scale, group_size)
        self.stages = nn.ModuleList(Stage(size) for _ in range(size.stages))
        self.upsampling = Resampling(scale, size)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`."""
        hr, left = bicubic(lr, self.scale), lr
        for number, stage in enumerate(self.stages):
            if number:
                left = lr - self.upsampling.degraded(hr)
            hr = hr + self.upsampling.raised(number, stage(left[:, None]))
        return hr


class Stage(nn.Module):
    """Features of an LR image: blocks that each see the results of all blocks before."""

    def __init__(self, size: PdenetSize) -> None:
        super().__init__()
        half = size.width // 2
        self.entry = nn.Conv3d(1, half, 3, padding=1, bias=False)
        widths = [*[size.width] * (size.blocks - 1), half]
        self.blocks = nn.ModuleList(
            GatedBlock([size.width] * number if number else [half], after, size.temperature)
            for number, after in enumerate(widths)
        )

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        """Shape (n, 1, bands, rows, cols) in, (n, width / 2, bands, rows, cols) out."""
        first = self.entry(lr)
        found: list[torch.Tensor] = []
        for block in self.blocks:
            found.append(block(found or [first]))
        return first + found[-1]


class GatedBlock(nn.Module):
    """Convolutions along bands, then along rows and columns, each behind gates.

    Source: the paper's layer-wise feature extraction (gates on what either convolution adds) and
    network-level aggregation (gates on what comes from blocks before, where there are several).
    """

    def __init__(self, before: Sequence[int], after: int, temperature: float) -> None:
        super().__init__()
        several = len(before) > 1
        self.aggregation = Gates(sum(before), temperature) if several else None
        self.mix = nn.Conv3d(sum(before), after, 1, bias=False)
        self.spectral = convolution_pair(after, (3, 1, 1))
        self.spectral_gates = Gates(after, temperature)
        self.spatial = convolution_pair(after, (1, 3, 3))
        self.spatial_gates = Gates(after, temperature)

    def forward(self, parts: list[torch.Tensor]) -> torch.Tensor:
        """Shapes (n, features, bands, rows, cols) in and out."""
        x = torch.cat(parts, dim=1)
        if self.aggregation is not None:
            x = self.aggregation(x)
        x = functional.relu(self.mix(x))
        x = x + self.spectral_gates(self.spectral(x))
        return x + self.spatial_gates(self.spatial(x))


class Gates(nn.Module):
    """Features let through or not, each with a learnt probability.

    In training each element of a batch draws its own gates, from the relaxed Bernoulli
    distribution of Maddison, Mnih, Teh, "The concrete distribution", ICLR 2017.
    """

    def __init__(self, channels: int, temperature: float) -> None:
        super().__init__()
        self.probability = nn.Parameter(torch.rand(channels))
        self.temperature = temperature

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, bands, rows, cols) in and out."""
        gates = self.probability.clamp(*PROBABILITIES).expand(x.shape[0], -1)
        if self.training:
            noise = torch.rand_like(gates).logit(1e-6)
            gates = ((gates.logit() + noise) / self.temperature).sigmoid()
        return x * gates[..., None, None, None].to(x.dtype)


class Resampling(nn.Module):
    """From features of each stage to HR pixels, and from HR pixels to the LR pixels they make."""

    def __init__(self, scale: int, size: PdenetSize) -> None:
        super().__init__()
        self.scale = scale
        kernel, stride = (3, scale + 2, scale + 2), (1, scale, scale)
        self.raising = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose3d(size.width // 2, 1, kernel, stride, padding=1, bias=False),
                nn.Conv3d(1, 1, 3, padding=1, bias=False),
            )
            for _ in range(size.stages)
        )
        self.spread = nn.Parameter(torch.zeros((scale + 1) ** 2))

    def raised(self, stage: int, features: torch.Tensor) -> torch.Tensor:
        """What a stage adds, shape (n, bands, rows * scale, cols * scale)."""
        detail: torch.Tensor = self.raising[stage](features)
        return detail.squeeze(1)

    def degraded(self, hr: torch.Tensor) -> torch.Tensor:
        """The LR image of an HR image, by one learnt kernel for all bands, in float32."""
        with in_full(hr):
            kernel = self.spread.float().softmax(0).reshape(1, 1, self.scale + 1, self.scale + 1)
            beyond = functional.pad(hr.float(), (0, 1, 0, 1), mode="replicate")
            bands = beyond.flatten(0, 1)[:, None]
            lr = functional.conv2d(bands, kernel, stride=self.scale)
        return lr.reshape(*hr.shape[:2], *lr.shape[-2:])
