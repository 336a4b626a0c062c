"""The promises on every real scene: grid, spectra, agreement, invalid pixels (marker `shared`)."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.io.base import Scene
from hsisr.io.open import PartScene, open_scene
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import SceneMetadata, SpectralAxis
from hsisr.tiling import Window

pytestmark = [
    pytest.mark.shared,
    pytest.mark.filterwarnings("ignore::hsisr.errors.HsisrWarning"),
]

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
CORNER = {name: (3, 3, 64, 64) for name in SCENES if "cave" in name}
"""Window of scenes of which the whole is a gigabyte at x8."""


def opened(path: Path, variable: str | None, window: tuple[int, int, int, int] | None) -> Scene:
    scene = open_scene(path, variable=variable)
    return PartScene(scene, Window(*window)) if window else scene


def assert_promises(lr: Scene, hr_path: Path, scale: int) -> None:
    with closing(lr), closing(open_scene(hr_path)) as hr:
        assert hr.metadata.shape == lr.metadata.finer(scale).shape
        assert hr.metadata.stored.dtype == lr.metadata.stored.dtype
        assert_same_axis(lr.metadata.spectral_axis, hr.metadata.spectral_axis)
        assert_same_ground(lr.metadata, hr.metadata.georeference, scale)
        observed, result = lr.read(), hr.read()
        fine = observed.valid.repeat(scale, axis=1).repeat(scale, axis=2)
        np.testing.assert_array_equal(result.valid, fine)
        assert_block_means(observed.values, observed.valid, result.values, scale)


def assert_same_axis(before: SpectralAxis, after: SpectralAxis) -> None:
    for field in ("wavelengths_nm", "fwhm_nm"):
        old, new = getattr(before, field), getattr(after, field)
        np.testing.assert_allclose(new or (), old or (), rtol=1e-9)
    assert after.good == before.good
    assert before.names in (None, after.names)


def assert_same_ground(lr: SceneMetadata, after: Georeference, scale: int) -> None:
    before = lr.georeference
    assert after.exists == before.exists
    if before.transform is None:
        assert after.transform is None
        return
    assert after.transform is not None
    assert rasterio.CRS.from_wkt(after.crs_wkt or "") == rasterio.CRS.from_wkt(before.crs_wkt or "")
    for row, col in ((0, 0), (lr.rows, 0), (0, lr.cols), (lr.rows, lr.cols)):
        np.testing.assert_allclose(
            after.transform @ (col * scale, row * scale), before.transform @ (col, row), rtol=1e-12
        )


def assert_block_means(
    observed: npt.NDArray[Any], valid: npt.NDArray[np.bool_], result: npt.NDArray[Any], scale: int
) -> None:
    bands, rows, cols = observed.shape
    blocks = result.reshape(bands, rows, scale, cols, scale).astype(np.float64)
    reach = np.abs(blocks).max(axis=(2, 4))  # of float32 sums
    error = np.abs(blocks.mean(axis=(2, 4)) - observed)[valid]
    allowed = 1e-3 * np.abs(observed) + 1e-6 * reach
    assert (error <= allowed[valid]).all()


@pytest.mark.parametrize(
    ("name", "scale", "window"),
    [
        *((name, 2, (3, 3, 24, 20)) for name in SCENES if "formats" in name and "emit" not in name),
        ("formats/emit20250324t221005_jpl_unmix_ex.hdr", 2, None),
        *(
            pytest.param(name, scale, CORNER.get(name), marks=pytest.mark.slow)
            for name in SCENES
            for scale in (2, 4, 8)
        ),
    ],
)
def test_bicubic_keeps_word_on(
    name: str,
    scale: int,
    window: tuple[int, int, int, int] | None,
    shared_data: Path,
    tmp_path: Path,
) -> None:
    source, output, variable = shared_data / name, tmp_path / "out.tif", VARIABLES.get(name)
    how = UpscaleOptions(scale=scale, model="bicubic", variable=variable, window=window)
    upscale(source, output, how)
    assert_promises(opened(source, variable, window), output, scale)


def test_enmap_as_gdal_sees_it(shared_data: Path, tmp_path: Path) -> None:
    source, output = shared_data / "dev/enmap-potsdam.tif", tmp_path / "out.tif"
    upscale(source, output, UpscaleOptions(scale=2, model="bicubic"))
    with rasterio.open(source) as lr, rasterio.open(output) as hr:
        assert (hr.width, hr.height, hr.count) == (256, 128, 224)
        assert hr.crs == lr.crs
        assert hr.bounds == lr.bounds
        assert hr.res == (15, 15)
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
