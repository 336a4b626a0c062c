"""TIFF stacks: pages and planes, axes, and what is no stack."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tifffile import TiffWriter

from hsisr.errors import HsisrWarning, InputDataError, UsageError
from hsisr.io.geotiff.reader import is_tiff_stack
from hsisr.io.open import find_scenes, open_scene, options_of_kind
from hsisr.tiling import Window
from tests.program import assert_holds, metadata_at
from tests.scenes import (
    TRANSFORM,
    UTM,
    edited,
    numbered,
    write_geotiff,
    write_image_folder,
    write_pages,
)

VALUES = numbered(5, 20, 18)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"metadata": {}},
        {"bigtiff": True, "compression": "zlib"},
        {"tile": (16, 16), "compression": "zlib", "predictor": True},
        {"rowsperstrip": 3, "compression": "lzw"},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"ome": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "CYX"}, "compression": "zlib"},
        {"volumetric": True},
    ],
    ids=str,
)
def test_pages_and_planes_are_bands(options: dict[str, Any], tmp_path: Path) -> None:
    path = write_pages(tmp_path / "x.tif", VALUES, **options)
    with open_scene(path) as scene:
        assert scene.format == "TIFF stack"
        stored = scene.read_stored(Window(5, 3, 9, 15), [4, 0, 2])
    np.testing.assert_array_equal(stored, VALUES[[4, 0, 2], 5:14, 3:18], strict=True)


@pytest.mark.parametrize("axes", [None, "rcb"])
def test_pages_written_one_by_one_are_a_stack(axes: str | None, tmp_path: Path) -> None:
    stored = VALUES if axes is None else VALUES.transpose(1, 2, 0)
    with TiffWriter(tmp_path / "x.tif") as tiff:
        for page in stored:
            tiff.write(page, contiguous=False)
    assert_holds(tmp_path / "x.tif", VALUES, axes=axes)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=["plain", "packed"])
@pytest.mark.parametrize("axes", ["rcb", "rbc", "brc", "crb"])
def test_axes_say_what_pages_are(axes: str, options: dict[str, Any], tmp_path: Path) -> None:
    stored = VALUES.transpose(["brc".index(axis) for axis in axes])
    path = write_pages(tmp_path / "x.tif", stored, **options)
    with open_scene(path, axes=axes) as scene:
        found = scene.read_stored(Window(5, 3, 9, 15), [4, 0, 2])
    np.testing.assert_array_equal(found, VALUES[[4, 0, 2], 5:14, 3:18], strict=True)
    assert options_of_kind(path, None, axes) == (None, axes)


@pytest.mark.parametrize("options", [{}, {"imagej": True}], ids=["plain", "ImageJ"])
def test_rows_on_unnamed_pages_are_a_warning(options: dict[str, Any], tmp_path: Path) -> None:
    path = write_pages(tmp_path / "x.tif", numbered(40, 50, 31), **options)
    with pytest.warns(HsisrWarning, match=r"40 bands of 50 x 31 pixels.*--axes rcb"):
        open_scene(path).close()
    with pytest.raises(UsageError, match="--axes 'xyz': expected the letters r, c and b"):
        open_scene(path, axes="xyz")


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_samples_of_one_page_are_bands_of_a_raster(planes: str, tmp_path: Path) -> None:
    values = VALUES if planes == "separate" else VALUES.transpose(1, 2, 0)
    path = write_pages(tmp_path / "x.tif", values, planarconfig=planes)
    with open_scene(path) as scene:
        assert scene.format == "GTiff"
        np.testing.assert_array_equal(scene.read().values, VALUES)


def test_further_images_of_other_sizes_are_told(tmp_path: Path) -> None:
    with TiffWriter(tmp_path / "x.tif") as tiff:
        for values in (VALUES, VALUES[:3, :10]):
            tiff.write(values, photometric="minisblack", planarconfig="separate")
    words = (
        r"x\.tif: found 2 images in the file; the first one is read, of 5 bands and 20 x 18 pixels"
    )
    with pytest.warns(HsisrWarning, match=words):
        assert_holds(tmp_path / "x.tif", VALUES)


def test_overviews_and_masks_are_no_pages_of_a_stack(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "x.tif", VALUES[:1])
    with edited(path) as dataset:
        dataset.build_overviews([2, 4])
        dataset.write_mask(np.ones((20, 18), np.uint8))
    assert not is_tiff_stack(path)
    assert not is_tiff_stack(write_geotiff(tmp_path / "y.tif", VALUES, driver="COG"))


def test_a_stack_keeps_the_place_and_nodata_of_its_first_page(tmp_path: Path) -> None:
    tags = [
        (33550, "d", 3, (30.0, 30.0, 0.0), True),
        (33922, "d", 6, (0.0, 0, 0, TRANSFORM.c, TRANSFORM.f, 0), True),
        (34735, "H", 12, (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, UTM.to_epsg()), True),
        (42113, "s", 0, "7", True),
    ]
    meta = metadata_at(write_pages(tmp_path / "x.tif", VALUES, extratags=tags, compression="zlib"))
    assert meta.georeference.transform == TRANSFORM
    assert "UTM zone 33N" in (meta.georeference.crs_wkt or "")
    assert meta.stored.nodata == 7


def test_more_than_128_pages_are_read_without_as_many_open_files(tmp_path: Path) -> None:
    values = numbered(140, 3, 2)
    with open_scene(write_pages(tmp_path / "x.tif", values, compression="zlib")) as scene:
        for _ in range(2):
            np.testing.assert_array_equal(scene.read().values, values)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_stack_that_breaks_off_is_refused(
    share: float, compression: str | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_pages(tmp_path / "x.tif", VALUES, compression=compression)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    with pytest.raises(InputDataError, match=r"x\.tif"), open_scene(path) as scene:
        scene.read()
    assert capfd.readouterr().err == ""


IMAGES = numbered(12, 6, 5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_image_folder(tmp_path / "scene_ms", IMAGES)


def test_bands_come_in_natural_order_under_their_names(folder: Path) -> None:
    with open_scene(folder) as scene:
        assert scene.format == "image folder"
        assert scene.metadata.spectral_axis.names == tuple(f"band_{n}" for n in range(1, 13))
        np.testing.assert_array_equal(scene.read().values, IMAGES)


def test_bands_come_in_the_order_of_the_wavelengths_in_their_names(tmp_path: Path) -> None:
    for number, name in enumerate(("b_0.525um", "b_0.53um", "b_0.5375um", "b_1um")):
        write_geotiff(tmp_path / f"{name}.tif", IMAGES[number : number + 1])
    assert_holds(tmp_path, IMAGES[:4])
    assert metadata_at(tmp_path).spectral_axis.wavelengths_nm == (525, 530, 537.5, 1000)


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
            IMAGES[n : n + 1],
            band_tags=[tags],
            crs=UTM,
            transform=TRANSFORM,
            nodata=int(IMAGES[n, 0, n]),
        )
    with open_scene(tmp_path / "s") as scene:
        assert scene.metadata.spectral_axis.wavelengths_nm == (400.0, 500.0, 600.0)
        assert scene.metadata.georeference.transform == TRANSFORM
        assert [scene.nodata_of(b) for b in range(3)] == [IMAGES[b, 0, b] for b in range(3)]
        assert not any(scene.read().valid[b, 0, b] for b in range(3))


def test_gains_of_images_and_wavelengths_in_their_names(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for n in range(2):
        path = write_geotiff(tmp_path / "s" / f"b_{400 + 600 * n}nm.tif", IMAGES[n : n + 1])
        with edited(path) as dataset:
            dataset.scales, dataset.offsets = (1 + n,), (n,)
    meta = metadata_at(tmp_path / "s")
    assert meta.spectral_axis.wavelengths_nm == (400.0, 1000.0)
    assert (meta.stored.scales, meta.stored.offsets) == ((1.0, 2.0), (0.0, 1.0))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (IMAGES[:1, :5], r"zz\.png is 5 x 5 pixels of uint16, but band_1\.png is 6 x 5"),
        (IMAGES[:1].astype(np.uint8), "6 x 5 pixels of uint8, but"),
        (IMAGES[:3], r"zz\.png has 3 bands, expected one; name zz\.png if it is the scene"),
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
    folder = write_image_folder(tmp_path / "s", IMAGES, ".tif")
    write_geotiff(folder / name, IMAGES[:1])
    with pytest.warns(HsisrWarning, match=rf"{name} left out: no band by its name"):
        assert metadata_at(folder).bands == 12


def test_pictures_beside_bands_are_no_bands_but_masks_among_masks_are(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "s", IMAGES, ".tif")
    write_geotiff(folder / "a_preview.tif", IMAGES[:3])
    write_geotiff(folder / "quicklook.png", IMAGES[:3], driver="PNG")
    assert find_scenes(folder) == [folder]
    with pytest.warns(HsisrWarning, match=r"quicklook\.png, a_preview\.tif left out"):
        assert metadata_at(folder).bands == 12
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in ("mask_1", "mask_2"):
        write_geotiff(masks / f"{name}.tif", IMAGES[:1])
    assert metadata_at(masks).bands == 2
