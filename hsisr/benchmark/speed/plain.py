"""The published architecture as a plain port runs it: layer by layer, nothing folded.

On a scene it runs as in a notebook: read, loop, write. It is what `hsisr benchmark --speed`
measures hsisr against, and used for nothing else.
"""

import copy
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hsisr.benchmark.speed.stages import StageClock
from hsisr.engine.device import device_named
from hsisr.models.dacn import Dacn, dacn_descriptor
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.registry import build
from hsisr.tiling.windows import window_starts


def lively_dacn(scale: int) -> tuple[Dacn, ModelDescriptor]:
    """A `dacn` with random weights, biases and statistics, in evaluation mode.

    Its outputs mean nothing; but no layer is idle, as biases and norms are in a fresh one.
    """
    torch.manual_seed(0)
    descriptor = dacn_descriptor(scale)
    network = cast("Dacn", build(descriptor)).eval()
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                for table in (layer.running_mean, layer.bias):
                    cast("torch.Tensor", table).uniform_(-0.1, 0.1)
                for table in (layer.running_var, layer.weight):
                    cast("torch.Tensor", table).uniform_(0.8, 1.2)
            elif isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                cast("torch.Tensor", layer.bias).uniform_(-0.1, 0.1)
    return network, descriptor


class PlainDacn(nn.Module):
    """Every layer of `Dacn` on its own, as the notebooks have them.

    Args:
        network: In evaluation mode; its layers are shared, not copied.
        memory_format: Of the input, and so of all features.
    """

    def __init__(
        self, network: Dacn, memory_format: torch.memory_format = torch.channels_last
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(network.blocks, network.upsampling, network.output)
        self.memory_format = memory_format

    @classmethod
    def in_channels_last(cls, network: Dacn) -> Self:
        """The quicker way to port it: features and kernels with their channels last."""
        return cls(copy.deepcopy(network).to(memory_format=torch.channels_last))  # type: ignore[call-overload]

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ARG002
        """Shape (n, bands, rows, cols) -> (n, bands, rows * scale, cols * scale)."""
        hr: torch.Tensor = self.layers(lr.contiguous(memory_format=self.memory_format))
        return hr


@torch.inference_mode()
def upscaled_in_a_loop(
    lr: npt.NDArray[Any], network: PlainDacn, descriptor: ModelDescriptor, clock: StageClock
) -> npt.NDArray[Any]:
    """A whole scene, tile by tile without overlap, as a notebook would do it.

    The last tile and the last band group are moved inside, so that nothing is left out; what two
    of them give is taken from the later.

    Args:
        lr: Whole numbers, shape (bands, rows, cols), at least as many bands as a group.
        network: What upscales a tile.
        descriptor: Its tiles and groups.
        clock: Told of the time in the network.

    Returns:
        Shape (bands, rows * scale, cols * scale), rounded to the same data type.
    """
    bands, rows, cols = lr.shape
    s, size = descriptor.scale, descriptor.group_size
    high, wide = (min(descriptor.tile_lr_px, n) for n in (rows, cols))
    hr = np.zeros((bands, rows * s, cols * s), lr.dtype)
    device = next(network.parameters()).device
    for band in window_starts(bands, size, descriptor.group_overlap):
        for row in window_starts(rows, high, 0):
            for col in window_starts(cols, wide, 0):
                tile = lr[band : band + size, row : row + high, col : col + wide]
                with clock.during("network"):
                    values = torch.from_numpy(tile[None].astype(np.float32)).to(device)
                    fine = network(values)[0].cpu().numpy()
                stored = fine.round().clip(0, np.iinfo(lr.dtype).max).astype(lr.dtype)
                own = slice(row * s, (row + high) * s), slice(col * s, (col + wide) * s)
                hr[band : band + size, *own] = stored
    return hr


def upscale_naively(source: Path, target: Path, scale: int, device: str) -> StageClock:
    """Upscale a scene file to a GeoTIFF as rasterio writes it by default; nothing overlaps.

    Args:
        source: A GeoTIFF of whole numbers.
        target: Is replaced.
        scale: Of a `dacn` with random weights.
        device: Where it runs.
    """
    import rasterio

    network, descriptor = lively_dacn(scale)
    plain = PlainDacn.in_channels_last(network.to(device_named(device)))
    clock = StageClock()
    with clock.during("reading"), rasterio.open(source) as file:
        lr, crs, place = file.read(), file.crs, file.transform
    hr = upscaled_in_a_loop(lr, plain, descriptor, clock)
    bands, rows, cols = hr.shape
    profile = {"driver": "GTiff", "height": rows, "width": cols, "count": bands, "crs": crs}
    finer = place @ place.scale(1 / scale)
    with (
        clock.during("writing"),
        rasterio.open(target, "w", dtype=hr.dtype, transform=finer, **profile) as file,
    ):
        file.write(hr)
    return clock
