"""Generated scenes for the benchmarks: smooth ground, a spectrum, noise; no two blocks alike."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

STRIP = 256


def write_scene(path: Path, rows: int, cols: int, bands: int) -> None:
    """A tiled uint16 GeoTIFF of 30 m pixels in UTM zone 33N, written strip by strip."""
    profile = {
        "driver": "GTiff",
        "height": rows,
        "width": cols,
        "count": bands,
        "dtype": "uint16",
        "crs": "EPSG:32633",
        "transform": Affine(30, 0, 364095, 0, -30, 5809965),
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "interleave": "band",
        "compress": "zstd",
        "zstd_level": 1,
        "predictor": 2,
        "num_threads": 2,
        "bigtiff": "yes",
    }
    random = np.random.default_rng(0)
    noise = random.integers(0, 40, (STRIP, cols), dtype=np.uint16)
    spectrum = 1500 + 1200 * np.sin(np.arange(bands) / 30)
    with rasterio.Env(GDAL_CACHEMAX=128), rasterio.open(path, "w", **profile) as scene:
        for row in range(0, rows, STRIP):
            r, c = np.mgrid[row : min(row + STRIP, rows), 0:cols]
            ground = 1 + 0.4 * np.sin(r / 7) * np.cos(c / 11) + 0.2 * ((r // 40 + c // 60) % 2)
            for band in range(bands):
                strip = (ground * spectrum[band]).astype(np.uint16)
                strip += np.roll(noise, 17 * band, axis=1)[: len(strip)]
                scene.write(strip, band + 1, window=Window(0, row, cols, len(strip)))
