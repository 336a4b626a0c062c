"""Small georeferenced files to run commands on."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine

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
    bands, rows, cols = cube.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands,
        height=rows,
        width=cols,
        dtype=cube.dtype,
        crs=crs,
        transform=transform,
        nodata=nodata,
    ) as target:
        target.write(cube)
        if scale is not None:
            target.scales = (scale,) * bands
        for band in range(bands):
            good = {"bbl": "0" if band in bad else "1"}
            target.update_tags(
                band + 1,
                wavelength=str(400 + 10 * band),
                wavelength_units="Nanometers",
                fwhm="8.5",
                **good,
            )
    return path


def counts(bands: int, rows: int, cols: int, seed: int = 0) -> npt.NDArray[np.uint16]:
    """Smooth positive whole numbers around 2000."""
    b, r, c = np.meshgrid(*map(np.arange, (bands, rows, cols)), indexing="ij")
    wave = 2000 + 300 * np.sin(r / 6 + b) * np.cos(c / 9) + 20 * b
    noise = np.random.default_rng(seed).normal(0, 10, wave.shape)
    return np.asarray(np.rint(wave + noise), np.uint16)
