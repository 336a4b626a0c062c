"""Real scenes, as they lie beside the project, are read as their description says."""

from pathlib import Path

import numpy as np
import pytest
from rasterio.crs import CRS

from hsisr.errors import InputDataError
from hsisr.io.open import open_scene
from hsisr.io.views import warn_of_fill
from hsisr.tiling import Window
from tests.program import metadata_at

pytestmark = pytest.mark.shared

SHAPES = {
    "dev/abu-airport-1.mat": (205, 100, 100),
    "dev/abu-urban-3.mat": (191, 100, 100),
    "dev/cave-flowers.tif": (31, 512, 512),
    "dev/enmap-potsdam.tif": (224, 64, 128),
    "dev/hydice-urban.mat": (162, 100, 80),
    "dev/pavia-centre-crop.mat": (102, 105, 120),
    "train/abu-beach-1.mat": (188, 150, 150),
    "train/enmap-potsdam-north.tif": (224, 64, 96),
    "train/indian-pines.npy": (200, 145, 145),
    "train/salinas-a.mat": (204, 83, 86),
    "train/san-diego-2.mat": (186, 100, 100),
    "formats/enmap-potsdam-bil.hdr": (224, 64, 64),
    "formats/enmap-potsdam-bil.img": (224, 64, 64),
    "formats/emit20250324t221005_jpl_unmix_ex": (285, 10, 10),
    "formats/emit20250324t221005_jpl_unmix_ex.hdr": (285, 10, 10),
    "formats/muufl-gulfport-wavelengths.mat": (72, 51, 88),
    "formats/pavia-centre-crop-v73.mat": (102, 100, 100),
    "formats/salton_sea_roi.mat": (224, 51, 56),
}


WITH_AXES = {
    "train/moffett-aviris-50x50x189.npy": "brc",
    "train/stereomsi-imec-14b.npy": "brc",
    "train/viel-chikusei-48.npy": "brc",
    "train/viel-ref-48.npy": "brc",
}
"""Bands first, without a word of it in the file: a warning names the option."""
REFUSED = (
    "aerial/uc-merced-0.6m.npz",  # photographs for training
    "formats/products/EMIT_L1B_OBS_001_20220827T060753_9999999_999.nc",  # angles
    "formats/products/EMIT_L2A_MASK_001_20220827T060753_9999999_999.nc",  # masks
    "formats/products/wiser-EMIT_L2A_RFL_001_20241006T165148_2428011_003_crop.nc",  # no positions
    "train/jasper-ridge.mat",  # pixels by bands
    "train/samson.mat",
)
NO_SCENES = (".json", ".md", ".txt", ".xml", ".zip")


def test_every_real_scene_opens_without_a_warning(shared_data: Path) -> None:
    found = set()
    for path in sorted(p for p in shared_data.rglob("*") if p.is_file()):
        name = path.relative_to(shared_data).as_posix()
        if path.suffix in NO_SCENES or name in REFUSED:
            continue
        with open_scene(path, axes=WITH_AXES.get(name)) as scene:  # a warning is an error here
            warn_of_fill(scene)
            if name in SHAPES:
                cube = scene.read(Window(2, 3, 6, 7))
                assert scene.metadata.shape == SHAPES[name]
                assert np.isfinite(cube.values[cube.valid]).all()
                assert cube.valid.any()
        found.add(name)
    assert found >= SHAPES.keys() | WITH_AXES.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_scene_is_refused(name: str, shared_data: Path) -> None:
    words = "unmixing matrix Y .*reshape" if name.startswith("train/") else None
    with pytest.raises(InputDataError, match=words):
        open_scene(shared_data / name)


def test_enmap_as_envi_equals_enmap_as_geotiff(shared_data: Path) -> None:
    envi = metadata_at(shared_data / "formats/enmap-potsdam-bil.hdr")
    tiff, place = metadata_at(shared_data / "dev/enmap-potsdam.tif"), envi.georeference
    assert envi.spectral_axis.wavelengths_nm == tiff.spectral_axis.wavelengths_nm
    assert envi.spectral_axis.fwhm_nm == tiff.spectral_axis.fwhm_nm
    assert envi.header["acquisition time"] == "2022-07-24T10:45:26Z"
    assert CRS.from_wkt(place.crs_wkt or "").to_epsg() == 32633
    assert place.transform is not None
    assert place.transform @ (0, 0) == pytest.approx((364095, 5809965))
    assert envi.stored.nodata == -32768


def test_salton_sea_has_bad_bands_of_nan(shared_data: Path) -> None:
    with open_scene(shared_data / "formats/salton_sea_roi.mat") as scene:
        axis, cube = scene.metadata.spectral_axis, scene.read()
    assert axis.good is not None
    assert axis.good.count(False) == 20
    assert (axis.unit, axis.fwhm_nm is None) == ("Nanometers", False)  # of its struct
    np.testing.assert_array_equal(cube.valid.any(axis=(1, 2)), axis.good)
