"""AS3 ITransUNet, repaired: a transformer U-Net between the LR and the HR grid.

Source: Xu, Liu, Zhang, "AS3ITransUNet: spatial-spectral interactive transformer U-Net with
alternating sampling for hyperspectral image super-resolution", IEEE TGRS 2023; sizes and the order
of layers after the public code, liushiji666/AS3-ITransUNet: subsets of 5 bands seen with a band
more on either side, 96 features on the LR grid and 48 on the HR grid, 2 heads, windows of 16
pixels, 1 block on each level and 4 in the end. Subsets are treated one after another, each
decoder correcting itself by what the decoder before it had; no gradient goes from one to the next.
Loss of that code: 0.7 L1 of the result + 0.3 L1 of an image made of the second decoder level, which
is not made here.

Parameters here, at any number of bands: 2,204,582 for x2, 3,547,238 for x4, 4,889,894 for x8. No
published count was found.

What differs. Bands: the public code counts on 31 of them and has layers of their own for the first
and last 3; here the outermost band is repeated beyond itself, a last subset is moved back inside,
and bands made twice are averaged. Scale: the public code has x2, x3 and x4, with one doubling more
for x4; x8 has two more. Layers of that code that take no part in a result are left out. Blocks:
see `interactive_attention.py`. Repaired: the public code mixes up the axes of its windows between
attention and convolution, a mistake of layout that its published figures were made with; here the
layout is right, so that comparisons name this network "AS3 ITransUNet, repaired". Training takes 7
optimiser steps a batch there, and one here.
"""

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import nn
from torch.nn import functional

from hsisr.models.common import ComparisonNetwork, NetworkSize, put_together
from hsisr.models.literature.interactive_attention import InteractiveBlock
from hsisr.tiling.windows import window_starts


@dataclass(frozen=True, slots=True, kw_only=True)
class As3ItransunetSize(NetworkSize):
    """Depth and width."""

    arch: ClassVar = "as3-itransunet"

    width: int = 48
    """Features on the HR grid; twice as many on the LR grid."""
    heads: int = 2
    window: int = 16
    """Largest side of a window, in pixels of either grid."""
    refinements: int = 4
    """Blocks on the HR grid in the end."""
    subset: int = 5
    """Bands that are made together."""
    context: int = 1
    """Bands more that are seen on either side of them."""

    def __post_init__(self) -> None:
        NetworkSize.__post_init__(self)
        self.require(
            possible=self.width % 4 == 0 and self.width // 2 % self.heads == 0,
            words="half of width even and a multiple of heads",
        )


class As3Itransunet(ComparisonNetwork):
    """The network."""

    size_type = As3ItransunetSize

    def __init__(self, scale: int, group_size: int, size: As3ItransunetSize) -> None:
        super().__init__(scale, group_size)
        self.context = size.context
        self.subset = min(size.subset, group_size)
        self.starts = window_starts(group_size, self.subset, 0)
        seen, width = self.subset + 2 * size.context, size.width
        self.entry = nn.Conv2d(seen, width, 3, padding=1, bias=False)
        self.skip = nn.Conv2d(seen, self.subset, 3, padding=1, bias=False)
        self.encoder = nn.ModuleList(
            Level(before, after, size) for before, after in ((1, 2), (1, 1), (2, 2), (1, 1))
        )
        self.decoder = nn.ModuleList(Level(times, times, size) for times in (2, 1, 2))
        self.joining = nn.ModuleList(Joining(times * width) for times in (2, 1, 2))
        self.refinement = Level(1, 1, size, blocks=size.refinements)
        self.upsampling = Alternation(scale, width)
        self.output = nn.Conv2d(width, self.subset, 3, padding=1, bias=False)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `ComparisonNetwork.upscaled`."""
        edges = (lr[:, :1], lr[:, -1:])
        first, last = (edge.expand(-1, self.context, -1, -1) for edge in edges)
        around = torch.cat((first, lr, last), dim=1)
        parts: list[torch.Tensor] = []
        before: list[torch.Tensor] = []
        for start in self.starts:
            seen = around[:, start : start + self.subset + 2 * self.context]
            hr, before = self._subset(seen, before)
            parts.append(hr)
        return put_together(parts, self.starts, self.group_size)

    def _subset(
        self, lr: torch.Tensor, before: list[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Upscale some bands.

        Args:
            lr: Shape (n, subset + 2 * context, rows, cols).
            before: What the decoder joined for the subset before; nothing for the first one.

        Returns:
            The bands, shape (n, subset, rows * scale, cols * scale), and what the decoder joined.
        """
        to_hr, to_lr = self.upsampling.to_hr, self.upsampling.to_lr
        near = lr.contiguous(memory_format=torch.channels_last)
        first = self.encoder[0](self.entry(near))
        second = self.encoder[1](to_hr[0](first))
        third = self.encoder[2](to_lr[0](second))
        x = to_lr[1](self.encoder[3](to_hr[1](third)))
        joined: list[torch.Tensor] = []
        moves = (to_hr[2], to_lr[2], to_hr[3])
        for number, skipped in enumerate((third, second, first)):
            last = before[number] if before else None
            joined.append(self.joining[number](x, skipped, last))
            x = moves[number](self.decoder[number](joined[-1]))
        repeated = functional.interpolate(lr, scale_factor=float(self.scale), mode="nearest")
        hr = self.output(self.refinement(x)) + self.skip(repeated)
        return hr, [features.detach() for features in joined]


class Level(nn.Module):
    """A convolution and the blocks of one level.

    Args:
        before: Features in, in widths.
        after: Features out, in widths.
        size: Width and heads.
        blocks: How many.
    """

    def __init__(self, before: int, after: int, size: As3ItransunetSize, blocks: int = 1) -> None:
        super().__init__()
        channels = after * size.width
        self.entry = nn.Conv2d(before * size.width, channels, 3, padding=1)
        self.blocks = nn.Sequential(
            *(InteractiveBlock(channels, size.heads, size.window) for _ in range(blocks))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, features, rows, cols) in and out."""
        return cast("torch.Tensor", self.blocks(self.entry(x)))


class Joining(nn.Module):
    """Decoder and encoder of a level joined, and corrected by those of the subset before.

    Args:
        channels: Features of either, and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.join = nn.Conv2d(2 * channels, channels, 1, bias=False)
        self.correct = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(
        self, decoded: torch.Tensor, encoded: torch.Tensor, before: torch.Tensor | None
    ) -> torch.Tensor:
        """Shape (n, channels, rows, cols), all of them."""
        x: torch.Tensor = self.join(torch.cat((decoded, encoded), dim=1))
        return x if before is None else x + self.correct(x - before)


class Alternation(nn.Module):
    """All ways of the U-Net from the LR to the HR grid and back, in steps of 2.

    Args:
        scale: HR pixels per LR pixel along a side.
        width: Features on the HR grid; twice as many on the LR grid.
    """

    def __init__(self, scale: int, width: int) -> None:
        super().__init__()
        more = scale.bit_length() - 2
        self.to_hr = nn.ModuleList(
            nn.Sequential(
                *(_twice(2 * width, 2 * width) for _ in range(more)), _twice(2 * width, width)
            )
            for _ in range(4)
        )
        self.to_lr = nn.ModuleList(
            nn.Sequential(*(_half(width, width) for _ in range(more)), _half(width, 2 * width))
            for _ in range(3)
        )


def _twice(before: int, after: int) -> nn.Sequential:
    """Twice as many rows and columns."""
    return nn.Sequential(nn.Conv2d(before, 4 * after, 3, padding=1, bias=False), nn.PixelShuffle(2))


def _half(before: int, after: int) -> nn.Sequential:
    """Half as many rows and columns."""
    return nn.Sequential(
        nn.Conv2d(before, after // 4, 3, padding=1, bias=False), nn.PixelUnshuffle(2)
    )


build_as3_itransunet = As3Itransunet.of
as3_itransunet_descriptor = As3Itransunet.descriptor
