"""The published architecture as a plain port runs it, and where the time of a scene goes.

Layer by layer, nothing folded; on a scene as in a notebook: read, loop, write. It is what
`hsisr benchmark --speed` measures hsisr against, and used for nothing else. The clock counts
reading, the network, and waiting for the writer.
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hsisr.engine.device import device_named
from hsisr.engine.plan import Plan
from hsisr.engine.stitch import Stitched, stitch
from hsisr.engine.upscaler import Upscaler
from hsisr.io.base import Scene, SceneWriter
from hsisr.io.views import DelegatingScene
from hsisr.models.dacn import Dacn, dacn_descriptor
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.interpolation import Trim
from hsisr.models.registry import build
from hsisr.tiling import Window, window_starts


@dataclass(slots=True)
class StageClock:
    """Seconds of each stage; `stitch` does what `hsisr.engine.stitch.stitch` does."""

    seconds: dict[str, float] = field(
        default_factory=lambda: {"reading": 0.0, "network": 0.0, "writing": 0.0}
    )
    """reading: in the reader. network: in upscalers, which interpolation runs beside the rest; of a
    device that goes on by itself, what it takes to ask it and to wait for it.
    writing: handing blocks on, which takes long only where the writer's thread is behind."""

    def stitch(
        self, scene: Scene, bands: tuple[int, ...], writer: SceneWriter, plan: Plan, **how: Any
    ) -> Stitched:
        """See `hsisr.engine.stitch.stitch`."""
        timed: dict[int, Upscaler] = {}
        for group in plan.groups:
            timed.setdefault(id(group.upscaler), _TimedUpscaler(group.upscaler, self))
        groups = tuple(replace(g, upscaler=timed[id(g.upscaler)]) for g in plan.groups)
        return stitch(
            _TimedScene(scene, self),
            bands,
            _TimedWriter(writer, self),
            replace(plan, groups=groups),
            **how,
        )

    @contextmanager
    def during(self, stage: str) -> Iterator[None]:
        """Count what happens inside."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - started


class _TimedScene(DelegatingScene):
    def __init__(self, scene: Scene, clock: StageClock) -> None:
        super().__init__(scene)
        self._clock = clock

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        with self._clock.during("reading"):
            return self._scene.read_stored(window, bands)


class _TimedUpscaler(Upscaler):
    def __init__(self, upscaler: Upscaler, clock: StageClock) -> None:
        self.scale, self.margin_lr_px = upscaler.scale, upscaler.margin_lr_px
        self.most_under_way = upscaler.most_under_way
        self._upscaler, self._clock = upscaler, clock

    def run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        with self._clock.during("network"):
            return self._upscaler.run(tiles, bands, trim)

    def begin(
        self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim
    ) -> Callable[[], torch.Tensor]:
        with self._clock.during("network"):
            wait = self._upscaler.begin(tiles, bands, trim)

        def result() -> torch.Tensor:
            with self._clock.during("network"):
                return wait()

        return result


class _TimedWriter(SceneWriter):
    def __init__(self, writer: SceneWriter, clock: StageClock) -> None:
        self.path, self.metadata = writer.path, writer.metadata
        self.block_rows, self.block_cols = writer.block_rows, writer.block_cols
        self._writer, self._clock = writer, clock

    def write(self, numbers: npt.NDArray[Any], **place: Any) -> None:
        with self._clock.during("writing"):
            self._writer.write(numbers, **place)

    def commit(self) -> Path:
        return self._writer.commit()

    def discard(self) -> None:
        self._writer.discard()


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
    """Every layer of `Dacn` on its own, as the notebooks have them."""

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
    """Upscale a scene file to a GeoTIFF as rasterio writes it by default; nothing overlaps."""
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
