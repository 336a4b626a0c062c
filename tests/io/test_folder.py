"""Folders of single-band images, as the CAVE set comes."""

from pathlib import Path

import numpy as np
import pytest

from hsisr.errors import HsisrWarning, InputDataError
from hsisr.io.open import find_scenes, open_scene
from tests.program import metadata_at
from tests.scenes import TRANSFORM, UTM, edited, numbered, write_geotiff, write_image_folder

VALUES = numbered(12, 6, 5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_image_folder(tmp_path / "scene_ms", VALUES)


def test_bands_come_in_natural_order_under_their_names(folder: Path) -> None:
    with open_scene(folder) as scene:
        assert scene.format == "image folder"
        assert scene.metadata.spectral_axis.names == tuple(f"band_{n}" for n in range(1, 13))
        np.testing.assert_array_equal(scene.read().values, VALUES)


def test_previews_notes_and_hidden_files_are_left_alone(folder: Path) -> None:
    for name in ("scene_RGB.bmp", "preview.jpg", "Thumbs.db", "notes.txt", "._band_1.png"):
        (folder / name).write_bytes(b"something else")
    (folder / "more").mkdir()
    assert metadata_at(folder).bands == 12


def test_place_nodata_and_wavelengths_of_tiff_bands(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for n, wavelength in enumerate((400, 500, 600)):
        tags = {"wavelength": str(wavelength), "wavelength_units": "nm"}
        write_geotiff(
            tmp_path / "s" / f"B{n}.tif",
            VALUES[n : n + 1],
            band_tags=[tags],
            crs=UTM,
            transform=TRANSFORM,
            nodata=int(VALUES[n, 0, n]),
        )
    with open_scene(tmp_path / "s") as scene:
        assert scene.metadata.spectral_axis.wavelengths_nm == (400.0, 500.0, 600.0)
        assert scene.metadata.georeference.transform == TRANSFORM
        assert [scene.nodata_of(b) for b in range(3)] == [VALUES[b, 0, b] for b in range(3)]
        assert not any(scene.read().valid[b, 0, b] for b in range(3))


def test_gains_of_images_and_wavelengths_in_their_names(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for n in range(2):
        path = write_geotiff(tmp_path / "s" / f"b_{400 + 600 * n}nm.tif", VALUES[n : n + 1])
        with edited(path) as dataset:
            dataset.scales, dataset.offsets = (1 + n,), (n,)
    with open_scene(tmp_path / "s") as scene:
        stored = scene.metadata.stored
        assert scene.metadata.spectral_axis.wavelengths_nm == (400.0, 1000.0)
    assert (stored.scales, stored.offsets) == ((1.0, 2.0), (0.0, 1.0))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (VALUES[:1, :5], r"zz\.png is 5 x 5 pixels of uint16, but band_1\.png is 6 x 5"),
        (VALUES[:1].astype(np.uint8), "6 x 5 pixels of uint8, but"),
        (VALUES[:3], r"zz\.png has 3 bands, expected one; name zz\.png if it is the scene"),
    ],
)
def test_an_image_that_does_not_belong_is_named(
    values: np.ndarray[tuple[int, ...], np.dtype[np.uint16]], words: str, folder: Path
) -> None:
    write_geotiff(folder / "zz.png", values, driver="PNG")
    with pytest.raises(InputDataError, match=words):
        open_scene(folder)


def test_a_damaged_image_is_named(folder: Path) -> None:
    (folder / "band_3.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(InputDataError, match=r"band_3\.png: the image is truncated"):
        open_scene(folder)


@pytest.mark.parametrize("name", ["readme.txt", "photo.jpg"])
def test_a_folder_without_images_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(InputDataError, match="a folder without PNG or TIFF images"):
        open_scene(tmp_path)


@pytest.mark.parametrize(
    "name", ["mask.tif", "scene_mask.tif", "LC08_QA_PIXEL.TIF", "T33_20m_SCL.tif", "HLS.Fmask.tif"]
)
def test_masks_beside_bands_are_no_bands(name: str, tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "s", VALUES, ".tif")
    write_geotiff(folder / name, VALUES[:1])
    with pytest.warns(HsisrWarning, match=rf"{name} left out: no band by its name"):
        assert metadata_at(folder).bands == 12


def test_pictures_beside_bands_are_no_bands(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "s", VALUES, ".tif")
    write_geotiff(folder / "a_preview.tif", VALUES[:3])
    write_geotiff(folder / "quicklook.png", VALUES[:3], driver="PNG")
    assert find_scenes(folder) == [folder]
    with pytest.warns(HsisrWarning, match=r"quicklook\.png, a_preview\.tif left out"):
        assert metadata_at(folder).bands == 12


def test_images_that_all_are_called_masks_are_bands(tmp_path: Path) -> None:
    for name in ("mask_1", "mask_2"):
        (tmp_path / "s").mkdir(exist_ok=True)
        write_geotiff(tmp_path / "s" / f"{name}.tif", VALUES[:1])
    assert metadata_at(tmp_path / "s").bands == 2
