"""The published architecture on a scene as a notebook would run it: read, loop, write."""

from pathlib import Path

from hsisr.benchmark.speed.plain import PlainDacn, upscaled_in_a_loop
from hsisr.benchmark.speed.stages import StageClock
from hsisr.benchmark.speed.tile_speed import lively_dacn
from hsisr.engine.device import device_named


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
