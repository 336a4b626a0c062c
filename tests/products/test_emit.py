"""EMIT files: what is read and carried, and what is refused."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio

from hsisr.io.open import open_scene
from hsisr.tiling import Window
from tests.products.fixtures import EMIT_WAVELENGTHS, write_emit
from tests.program import hsisr

xarray = pytest.importorskip("xarray")
ROWS, COLS, BANDS = 24, 20, 285


@pytest.fixture(scope="module", params=["L1B", "L2A"])
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("emit") / f"EMIT_{request.param}.nc"
    return path, write_emit(path, level=request.param, rows=ROWS, cols=COLS), request.param


def test_info_tells_what_the_file_says(product: Any) -> None:
    path, _, level = product
    told = json.loads(hsisr("info", path, "--json").stdout)
    name = {"L1B": "radiance", "L2A": "reflectance"}[level]
    assert told["format"] == "EMIT"
    assert (told["bands"], told["rows"], told["cols"]) == (BANDS, ROWS, COLS)
    assert (told["dtype"], told["nodata"]) == ("float32", -9999)
    assert told["product"] == {
        "name": f"EMIT {level} {name}",
        "level": level,
        "sensor": "EMIT",
        "acquired": "2022-08-27T06:07:53Z",
        "sun_azimuth": None,
        "sun_elevation": None,
    }
    np.testing.assert_array_equal(np.array(told["wavelengths_nm"], "f4"), EMIT_WAVELENGTHS)
    assert told["fwhm_nm"][:2] == [8.4, 8.402]
    masked = (EMIT_WAVELENGTHS > 1320) & (EMIT_WAVELENGTHS < 1440)
    masked |= (EMIT_WAVELENGTHS > 1770) & (EMIT_WAVELENGTHS < 1960)
    bad = None if level == "L1B" else [int(band) + 1 for band in np.flatnonzero(masked)]
    assert told["bad_bands"] == bad
    assert told["georeference"]["pixel_positions"]


def test_pixels_are_those_that_xarray_reads(product: Any) -> None:
    path, cube, _ = product
    with xarray.open_dataset(path, mask_and_scale=False) as file:
        (name,) = file.data_vars
        other = file[name].transpose("bands", "downtrack", "crosstrack").to_numpy()
    np.testing.assert_array_equal(other, cube)
    with open_scene(path) as scene:
        part = scene.read(Window(1, 2, 5, 7), [0, 7, 200])
    np.testing.assert_array_equal(part.values, cube[[0, 7, 200], 1:6, 2:9])
    np.testing.assert_array_equal(part.valid, part.values != -9999)


@pytest.mark.parametrize("scale", [2, 4])
def test_outputs_keep_spectrum_time_nodata_and_places(
    product: Any, scale: int, tmp_path: Path
) -> None:
    path, cube, _ = product
    made = hsisr("upscale", path, "-o", tmp_path / "out.tif", "-s", scale, "-m", "bicubic")
    assert made.exit_code == 0, made.stderr
    with rasterio.open(tmp_path / "out.tif") as out, h5py.File(path) as file:
        assert out.shape == (ROWS * scale, COLS * scale)
        assert out.nodata == -9999
        assert float(out.tags(3)["wavelength"]) == pytest.approx(float(EMIT_WAVELENGTHS[2]))
        assert out.tags(ns="ENVI")["acquisition_time"] == "2022-08-27T06:07:53Z"
        points, crs = out.gcps
        numbers = out.read(1)
        assert crs.to_epsg() == 4326
        assert len(points) > 100
        for point in points:
            row, col = point.row / scale - 0.5, point.col / scale - 0.5
            assert (row % 1, col % 1) == (0, 0)
            assert point.x == pytest.approx(file["location/lon"][int(row), int(col)], abs=1e-9)
            assert point.y == pytest.approx(file["location/lat"][int(row), int(col)], abs=1e-9)
    blocks = numbers.reshape(ROWS, scale, COLS, scale)
    assert ((blocks == -9999).all(axis=(1, 3)) == (cube[0] == -9999)).all()
    valid = cube[0] != -9999
    np.testing.assert_allclose(blocks.mean(axis=(1, 3))[valid], cube[0][valid], rtol=1e-4)
