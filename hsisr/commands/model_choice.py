"""From the name of a model to something that upscales."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hsisr.engine.async_work import CudaTransfers
from hsisr.engine.device import device_named, precision_named
from hsisr.engine.memory import tile_bytes, tiles_that_pay, tune_allocator
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.plan import (
    BandGroup,
    Layout,
    Plan,
    interpolated_groups,
    network_groups,
    plan_interpolation,
    plan_network,
)
from hsisr.engine.statistics import BandStatistics
from hsisr.engine.upscaler import InterpolationUpscaler, NetworkUpscaler
from hsisr.errors import HsisrWarning, WeightsError
from hsisr.models.interpolation import KERNELS

if TYPE_CHECKING:
    from hsisr.weights import LoadedWeights

_LEAST_TILE = 8


@dataclass(frozen=True, slots=True, eq=False)
class ChosenModel:
    """An interpolation, or a network with its weights."""

    name: str
    weights: "LoadedWeights | None" = None

    @property
    def sha256(self) -> str | None:
        """Hash of the weights file; None for interpolation."""
        return None if self.weights is None else self.weights.sha256


def choose_model(options: UpscaleOptions) -> ChosenModel:
    """Find what the options name and load it.

    Raises:
        WeightsError: No such model, or one of another scale, or a file that is not weights.
    """
    if options.model in KERNELS:
        return ChosenModel(options.model)
    from hsisr.weights import default_for, load_weights, resolve  # loads every network

    if options.model is None:
        entry = default_for(options.scale)
        if entry is None:
            warnings.warn(
                f"no weights are released for scale {options.scale} yet; using bicubic "
                "interpolation (--model bicubic asks for it)",
                HsisrWarning,
                stacklevel=2,
            )
            return ChosenModel("bicubic")
        return ChosenModel(entry.name, load_weights(resolve(entry.name, options.scale)))
    try:
        weights = load_weights(resolve(options.model, options.scale))
    except WeightsError as error:
        raise WeightsError(f"{error} (interpolations: {', '.join(KERNELS)})") from error
    if weights.descriptor.scale != options.scale:
        raise WeightsError(
            f"{options.model} is for scale {weights.descriptor.scale}, found --scale "
            f"{options.scale}; give the one scale or other weights"
        )
    return ChosenModel(weights.name, weights)


def plan_work(
    model: ChosenModel,
    options: UpscaleOptions,
    layout: Layout,
    statistics: BandStatistics | None,
    bad: Sequence[int],
    tile_room: int,
) -> Plan:
    """The plan for a scene: tiles, panels and band groups.

    Args:
        model: What upscales.
        options: Tile, overlap, batch size, device, precision.
        layout: The output's bands, rows and columns (on the LR grid), blocks and memory.
        statistics: Of the bands in output order; networks need them.
        bad: Positions of the bands to be interpolated beside the network.
        tile_room: Bytes that the network's features may take.
    """
    device = device_named(options.device)
    precision = precision_named(options.precision, device)
    plain = InterpolationUpscaler(KERNELS["bicubic"], options.scale, options.consistency)
    if model.weights is None:
        kernel = KERNELS[model.name]
        upscaler = InterpolationUpscaler(kernel, options.scale, options.consistency)
        return plan_interpolation(upscaler, layout, tile=options.tile)
    from hsisr.models.registry import agrees, for_inference  # loads every network

    tune_allocator()
    descriptor = model.weights.descriptor
    trained = model.weights.network.to(device)
    lean = for_inference(trained, precision, agreeing=options.consistency)
    network = NetworkUpscaler(
        network=lean,
        descriptor=descriptor,
        device=device,
        precision=precision,
        consistent=options.consistency and not agrees(lean),
        statistics=statistics,
        transfers=CudaTransfers(device) if device.type == "cuda" else None,
    )
    good = [band for band in range(layout.bands) if band not in set(bad)]
    groups: tuple[BandGroup, ...] = (
        *network_groups(
            good, network, size=descriptor.group_size, overlap=descriptor.group_overlap
        ),
        *interpolated_groups(sorted(bad), plain),
    )
    tile, batch_size, features = _tiles_that_fit(network, options, tile_room)
    overlap = descriptor.overlap_lr_px if options.overlap is None else options.overlap
    return plan_network(
        network,
        groups,
        layout,
        tile=tile,
        overlap=min(overlap, tile - 1),
        batch_size=batch_size,
        floors=None if statistics is None else statistics.floors,
        feature_bytes=features if device.type == "cpu" else 0,
        ahead=device.type == "cuda",  # this thread only waits for the device and blends
    )


def _tiles_that_fit(
    network: NetworkUpscaler, options: UpscaleOptions, room: int
) -> tuple[int, int, int]:
    """Tile side in LR pixels, tiles at once, and the bytes that these take.

    The tile is that of the weights, halved, and that is said, where one alone is too much for the
    memory at hand. As many at once as pay, of those that fit.
    """
    descriptor = network.descriptor
    tile, context = options.tile or descriptor.tile_lr_px, 2 * descriptor.margin_lr_px

    def taken(side: int) -> int:
        return tile_bytes(network.network, descriptor.group_size, side + context)

    bytes_each = taken(tile)
    while options.tile is None and bytes_each > room and tile > _LEAST_TILE:
        tile //= 2
        bytes_each = taken(tile)
    if tile < (options.tile or descriptor.tile_lr_px):
        warnings.warn(
            f"little memory is free, so tiles are {tile} LR pixels wide instead of "
            f"{descriptor.tile_lr_px}; results differ slightly (--tile sets the size)",
            HsisrWarning,
            stacklevel=2,
        )
    most = tiles_that_pay(tile + context, bytes_each, network.device, network.precision)
    batch_size = options.batch_size or max(1, min(most, room // max(1, bytes_each)))
    return tile, batch_size, bytes_each * batch_size
