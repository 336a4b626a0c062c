"""Small georeferenced files to run commands on."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine

from tests.scenes import edited, write_geotiff

NORTH_UP = Affine(30, 0, 364095, 0, -30, 5809965)


def write_tif(
    path: Path,
    cube: npt.NDArray[Any],
    *,
    nodata: float | None = None,
    transform: Affine = NORTH_UP,
    crs: str = "EPSG:32633",
    bad: tuple[int, ...] = (),
    scale: float | None = None,
) -> Path:
    """A GeoTIFF whose bands lie at 400, 410, ... nm; bands in `bad` (0-based) are marked bad."""
    tags = [
        {
            "wavelength": str(400 + 10 * band),
            "wavelength_units": "Nanometers",
            "fwhm": "8.5",
            "bbl": "0" if band in bad else "1",
        }
        for band in range(len(cube))
    ]
    write_geotiff(path, cube, band_tags=tags, nodata=nodata, transform=transform, crs=crs)
    if scale is not None:
        with edited(path) as dataset:
            dataset.scales = (scale,) * len(cube)
    return path


def counts(bands: int, rows: int, cols: int, seed: int = 0) -> npt.NDArray[np.uint16]:
    """Smooth positive whole numbers around 2000."""
    b, r, c = np.meshgrid(*map(np.arange, (bands, rows, cols)), indexing="ij")
    wave = 2000 + 300 * np.sin(r / 6 + b) * np.cos(c / 9) + 20 * b
    noise = np.random.default_rng(seed).normal(0, 10, wave.shape)
    return np.asarray(np.rint(wave + noise), np.uint16)
