"""A linear upsampler: every HR pixel is a weighted sum of the 5 x 5 LR pixels around its own.

One filter for each of the scale x scale HR pixels in an LR pixel, the same for all bands and
places, so that it knows nothing but the blur and how smooth scenes are on average. It is the
global filter that RAISR starts from (Romano, Isidoro, Milanfar, "RAISR: rapid and accurate image
super resolution", IEEE TCI 3, 2017, section II); a network worth its cost is better. The benchmark
fits it by ridge regression; gradient steps find the same.

Parameters: 100 for x2, 400 for x4, 1,600 for x8, at any number of bands.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from hsisr.models.descriptor import BandGroupNetwork, ModelDescriptor, NetworkSize

SIDE: Final = 5
"""LR pixels along a side of the neighbourhood."""
_RIDGE: Final = 1e-4
"""Added to the diagonal, as a share of its mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearSize(NetworkSize):
    """Nothing to choose."""

    arch: ClassVar = "linear"


class Linear(BandGroupNetwork):
    """The upsampler."""

    size_type = LinearSize

    def __init__(self, scale: int, group_size: int, _: LinearSize) -> None:
        super().__init__(scale, group_size)
        self.output = nn.Conv2d(1, scale**2, SIDE, bias=False)

    def upscaled(self, lr: torch.Tensor) -> torch.Tensor:
        """See `BandGroupNetwork.upscaled`. Beyond the sides the outermost pixel counts."""
        padded = functional.pad(lr, [SIDE // 2] * 4, mode="replicate")
        planes = self.output(padded.flatten(0, 1).unsqueeze(1))
        hr: torch.Tensor = functional.pixel_shuffle(planes, self.scale)
        return hr.reshape(lr.shape[0], self.group_size, *hr.shape[-2:])


@torch.no_grad()
def fitted_linear(
    descriptor: ModelDescriptor, pairs: Iterable[tuple[npt.NDArray[Any], npt.NDArray[Any]]]
) -> Linear:
    """The upsampler that ridge regression finds: HR pixels on LR neighbourhoods, in closed form.

    Args:
        descriptor: Of the upsampler.
        pairs: LR and HR patches to learn from, shapes (n, bands, rows, cols) and (n, bands, rows *
            scale, cols * scale).
    """
    scale, taps = descriptor.scale, SIDE**2
    gram = torch.zeros(taps, taps, dtype=torch.float64)
    moment = torch.zeros(taps, scale**2, dtype=torch.float64)
    for pair in pairs:
        lr, hr = (torch.from_numpy(t).double().flatten(0, 1)[:, None] for t in pair)
        near = functional.unfold(functional.pad(lr, [SIDE // 2] * 4, mode="replicate"), SIDE)
        fine = functional.unfold(hr, scale, stride=scale)
        gram += torch.einsum("nip,njp->ij", near, near)
        moment += torch.einsum("nip,njp->ij", near, fine)
    gram += _RIDGE * gram.diagonal().mean() * torch.eye(taps, dtype=torch.float64)
    network = Linear.of(descriptor)
    kernels = torch.linalg.solve(gram, moment).T.reshape(network.output.weight.shape)
    network.output.weight.copy_(kernels)
    return network
