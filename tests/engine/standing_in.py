"""Networks that stand in for real ones: as upscalers, and as plans for scenes in memory."""

from typing import Any

import torch

from hsisr.engine.mixing import Mixing
from hsisr.engine.plan import Plan, network_groups, plan_network
from hsisr.engine.reading import BandStatistics, scene_statistics
from hsisr.engine.upscaler import NetworkUpscaler
from hsisr.models.descriptor import ModelDescriptor
from tests.memory import MemoryScene, layout_of


class Repeating(torch.nn.Module):
    """Repeats pixels, times a gain; spoils numbers and runs out of memory as it is told."""

    def __init__(
        self, gain: float = 1.0, most: float = torch.inf, far: float = torch.inf, **more: Any
    ) -> None:
        """In half precision, or `always`, what is above `most` is `far`; `too_many` is an error."""
        super().__init__()
        self.gain, self.most, self.far, self.more = gain, most, far, more
        self.calls: list[tuple[bool, int]] = []

    def forward(self, lr: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        half = torch.is_autocast_enabled("cpu")
        self.calls.append((half, len(lr)))
        if len(lr) >= self.more.get("too_many", 99):
            raise self.more["error"]
        hr = lr.repeat_interleave(2, -1).repeat_interleave(2, -2) * self.gain
        return hr.where(hr <= self.most, self.far) if half or self.more.get("always") else hr


def descriptor(**own: Any) -> ModelDescriptor:
    """Of a network of two times over three bands, but for what is named."""
    tile = {"tile_lr_px": 4, "overlap_lr_px": 0, "margin_lr_px": 0}
    usual = {"arch": "stand-in", "scale": 2, "group_size": 3, "group_overlap": 0, **tile}
    return ModelDescriptor(**{**usual, **own})


def upscaler(
    network: torch.nn.Module,
    *,
    statistics: BandStatistics | None = None,
    precision: torch.dtype = torch.float32,
) -> NetworkUpscaler:
    """Of two times over three bands, which draws nothing towards the scene."""
    return NetworkUpscaler(
        network=network,
        descriptor=descriptor(normalisation="none" if statistics is None else "band"),
        device=torch.device("cpu"),
        precision=precision,
        consistent=False,
        statistics=statistics,
    )


def network_plan(
    scene: MemoryScene,
    network: torch.nn.Module,
    *,
    scale: int = 2,
    tile: int,
    overlap: int,
    margin: int = 0,
    group: tuple[int, int] = (4, 1),
    batch: int = 2,
    block: tuple[int, int] = (1, 1),
    working_bytes: int = 10**9,
    normalisation: Any = "none",
    mixing: Mixing | None = None,
) -> Plan:
    """How a network upscales a scene, or its pseudo-bands."""
    tiles = {"tile_lr_px": max(tile, overlap + 1), "overlap_lr_px": overlap, "margin_lr_px": margin}
    groups_of = {"group_size": group[0], "group_overlap": group[1], "normalisation": normalisation}
    made = NetworkUpscaler(
        network=network,
        descriptor=descriptor(scale=scale, **tiles, **groups_of),
        device=torch.device("cpu"),
        consistent=False,
        statistics=mixing.statistics if mixing else scene_statistics(scene),
        detail_only=mixing is not None,
    )
    bands = mixing.count if mixing else scene.metadata.bands
    groups = network_groups(range(bands), made, size=group[0], overlap=group[1])
    layout = layout_of(scene, block, working_bytes)
    return plan_network(
        made, groups, layout, tile=tile, overlap=overlap, batch_size=batch, mixing=mixing
    )
