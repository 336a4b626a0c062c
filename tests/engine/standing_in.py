"""Networks that stand in for real ones, as upscalers of two times over groups of three bands."""

import torch

from hsisr.engine.statistics import BandStatistics
from hsisr.engine.upscaler import NetworkUpscaler
from hsisr.models.descriptor import ModelDescriptor


def upscaler(
    network: torch.nn.Module,
    *,
    statistics: BandStatistics | None = None,
    precision: torch.dtype = torch.float32,
) -> NetworkUpscaler:
    """An upscaler on the processor that draws nothing towards the scene.

    Args:
        network: Takes (n, 3, rows, cols) and what a stored 0 is, gives twice the rows and columns.
        statistics: For normalisation by band; none without them.
        precision: Of the network.
    """
    descriptor = ModelDescriptor(
        arch="stand-in",
        scale=2,
        group_size=3,
        group_overlap=0,
        tile_lr_px=4,
        overlap_lr_px=0,
        margin_lr_px=0,
        normalisation="none" if statistics is None else "band",
    )
    return NetworkUpscaler(
        network=network,
        descriptor=descriptor,
        device=torch.device("cpu"),
        precision=precision,
        consistent=False,
        statistics=statistics,
    )
