"""The promises on every real scene: grid, spectra, agreement, invalid pixels (marker `shared`)."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.io.base import Scene, TargetOptions
from hsisr.io.open import open_scene
from hsisr.io.write import create_writer
from hsisr.tiling import Window

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::hsisr.errors.HsisrWarning")]

SCENES = (
    "dev/abu-airport-1.mat",
    "dev/abu-urban-3.mat",
    "dev/cave-flowers.tif",
    "dev/cave-jelly-beans.tif",
    "dev/cave-superballs.tif",
    "dev/cave-thread-spools.tif",
    "dev/enmap-potsdam.tif",
    "dev/hydice-urban.mat",
    "dev/pavia-centre-crop.mat",
    "formats/enmap-potsdam-bil.hdr",
    "formats/emit20250324t221005_jpl_unmix_ex.hdr",
    "formats/salton_sea_roi.mat",
    "formats/muufl-gulfport-wavelengths.mat",
    "formats/pavia-centre-crop-v73.mat",
)
VARIABLES = {"formats/pavia-centre-crop-v73.mat": "data"}


def opened(path: Path, name: str = "") -> Scene:
    return open_scene(path, variable=VARIABLES.get(name) if path.suffix == ".mat" else None)


def assert_promises(lr_path: Path, name: str, hr_path: Path, scale: int) -> None:
    with closing(opened(lr_path, name)) as lr, closing(open_scene(hr_path)) as hr:
        bands, rows, cols = lr.metadata.shape
        assert hr.metadata.shape == (bands, rows * scale, cols * scale)
        assert hr.metadata.stored.dtype == lr.metadata.stored.dtype
        assert_same_axis(lr, hr)
        assert_same_ground(lr, hr, scale)
        observed, result = lr.read(), hr.read()
        fine = observed.valid.repeat(scale, axis=1).repeat(scale, axis=2)
        np.testing.assert_array_equal(result.valid, fine)
        assert_block_means(observed.values, observed.valid, result.values, scale)


def assert_same_axis(lr: Scene, hr: Scene) -> None:
    before, after = lr.metadata.spectral_axis, hr.metadata.spectral_axis
    for field in ("wavelengths_nm", "fwhm_nm"):
        old, new = getattr(before, field), getattr(after, field)
        assert (old is None) == (new is None)
        if old is not None:
            np.testing.assert_allclose(new, old, rtol=1e-9)
    assert after.good == before.good
    if before.names is not None:
        assert after.names == before.names


def assert_same_ground(lr: Scene, hr: Scene, scale: int) -> None:
    before, after = lr.metadata.georeference, hr.metadata.georeference
    assert after.exists == before.exists
    if before.transform is None:
        assert after.transform is None
        return
    assert after.transform is not None
    assert before.crs_wkt is not None
    assert after.crs_wkt is not None
    assert rasterio.crs.CRS.from_wkt(after.crs_wkt) == rasterio.crs.CRS.from_wkt(before.crs_wkt)
    _, rows, cols = lr.metadata.shape
    for row, col in ((0, 0), (rows, 0), (0, cols), (rows, cols)):
        np.testing.assert_allclose(
            after.transform @ (col * scale, row * scale), before.transform @ (col, row), rtol=1e-12
        )


def assert_block_means(
    observed: npt.NDArray[Any], valid: npt.NDArray[np.bool_], result: npt.NDArray[Any], scale: int
) -> None:
    bands, rows, cols = observed.shape
    blocks = result.reshape(bands, rows, scale, cols, scale).astype(np.float64)
    means = blocks.mean(axis=(2, 4))
    reach = np.abs(blocks).max(axis=(2, 4))  # of float32 sums
    error = np.abs(means - observed)[valid]
    allowed = 1e-3 * np.abs(observed) + 1e-6 * reach
    assert (error <= allowed[valid]).all()


def corner(source: Path, name: str, side: int, folder: Path) -> Path:
    """A copy, as GeoTIFF, of the `side` x `side` pixels from row and column 3."""
    path = folder / "corner.tif"
    with closing(opened(source, name)) as scene:
        meta = scene.metadata
        window = Window(3, 3, min(side, meta.rows - 3), min(side, meta.cols - 3))
        cut = replace(
            meta,
            rows=window.rows,
            cols=window.cols,
            georeference=meta.georeference.shifted(window.row, window.col),
        )
        with create_writer(path, cut, TargetOptions()) as writer:
            numbers = scene.read_stored(window, range(meta.bands))
            writer.write(numbers, row=0, col=0, band=0)
    return path


def matrix(short: Callable[[str, int], bool]) -> list[Any]:
    """Every scene at every scale; those not in the short run are marked slow."""
    return [
        pytest.param(name, scale, marks=() if short(name, scale) else pytest.mark.slow)
        for name in SCENES
        for scale in (2, 4, 8)
    ]


@pytest.mark.parametrize(
    ("name", "scale"),
    matrix(lambda name, scale: scale == 2 and ("formats" in name or "airport" in name)),
)
def test_bicubic_keeps_the_promises_on(
    name: str, scale: int, shared_data: Path, tmp_path: Path
) -> None:
    source, output = shared_data / name, tmp_path / "out.tif"
    if "cave" in name:  # 512 x 512 pixels are a gigabyte at x8
        source = corner(source, name, 64, tmp_path)
    variable = VARIABLES.get(name) if source.suffix == ".mat" else None
    upscale(source, output, UpscaleOptions(scale=scale, model="bicubic", variable=variable))
    assert_promises(source, name, output, scale)


def test_enmap_x4_as_gdal_sees_it(shared_data: Path, tmp_path: Path) -> None:
    source, output = shared_data / "dev/enmap-potsdam.tif", tmp_path / "out.tif"
    upscale(source, output, UpscaleOptions(scale=4, model="bicubic"))
    with rasterio.open(source) as lr, rasterio.open(output) as hr:
        assert (hr.width, hr.height, hr.count) == (512, 256, 224)
        assert hr.crs == lr.crs
        assert hr.bounds == lr.bounds
        assert hr.res == (7.5, 7.5)
        assert hr.nodata == lr.nodata
        assert hr.descriptions == lr.descriptions
        for band in range(1, 225):
            before, after = lr.tags(band), hr.tags(band)
            assert after["wavelength_units"] == before["wavelength_units"]
            for key in ("wavelength", "fwhm", "bbl"):
                assert float(after[key]) == float(before[key])
        dead = (lr.read() == lr.nodata).all(axis=(1, 2))
        assert dead.sum() == 6
        assert (hr.read()[dead] == hr.nodata).all()
