"""Where other programs keep wavelengths, widths, bad bands, times and colours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from hsisr.errors import HsisrWarning
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.io.open import open_scene, scene_files
from hsisr.scene.metadata import SceneMetadata
from tests.io.written import writer_for
from tests.program import warned
from tests.scenes import edited, numbered, write_envi, write_geotiff, write_mat5

VALUES = numbered(4, 6, 5)
NM = (400.0, 500.0, 600.0, 700.0)
GOOD = (True, False, True, True)
FIELDS = {
    "wavelength units": "Micrometers",
    "wavelength": "{0.4, 0.5, 0.6, 0.7}",
    "fwhm": "{0.005, 0.005, 0.006, 0.006}",
    "bbl": "{1, 0, 1, 1}",
}
PER_BAND = ("wavelength", "fwhm", "bbl")
NAMES = [f"band {n} ({w:g} Nanometers)" for n, w in enumerate(NM, 1)]


def metadata_of(path: Path) -> SceneMetadata:
    with open_scene(path) as scene:
        np.testing.assert_array_equal(scene.read().values, VALUES)
        return scene.metadata


def written(meta: SceneMetadata, path: Path, end: str) -> Path:
    with writer_for(path, meta) as writer:
        writer.write(VALUES, row=0, col=0, band=0)
    return path.with_suffix(f".{end}")


def tagged(path: Path, *, of_bands: bool, domain: str | None = None, braces: str = "{}") -> Path:
    """The fields as tags of a raster: lists of the dataset, or one number for each band."""
    with edited(path) as dataset:
        if not of_bands:
            lists = {key.replace(" ", "_"): text for key, text in FIELDS.items()}
            lists = {key: text if braces else text.strip("{}") for key, text in lists.items()}
            dataset.update_tags(ns=domain, **lists)
            return path
        for band in range(4):
            numbers = {key: FIELDS[key].strip("{}").split(", ")[band] for key in PER_BAND}
            dataset.update_tags(band + 1, ns=domain, wavelength_units="um", **numbers)
    return path


def envi_sidecar(folder: Path, *, of_bands: bool) -> Path:
    header = write_envi(folder / "x.hdr", VALUES)
    bare = header.read_text()
    tagged(folder / "x.img", of_bands=of_bands)
    assert (folder / "x.img.aux.xml").exists()
    header.write_text(bare)  # GDAL may have put them there too
    return header


def with_header(folder: Path, name: str) -> Path:
    write_envi(folder / name, VALUES, FIELDS, data=folder / "gone.img")
    return write_geotiff(folder / "x.tif", VALUES)


def tagged_tiff(**how: Any) -> Callable[[Path], Path]:
    return lambda folder: tagged(write_geotiff(folder / "x.tif", VALUES), **how)


PLACES: dict[str, Callable[[Path], Path]] = {
    "lists of the dataset": tagged_tiff(of_bands=False),
    "lists without braces": tagged_tiff(of_bands=False, braces=""),
    "ENVI domain of the bands": tagged_tiff(of_bands=True, domain="ENVI"),
    "x.hdr beside x.tif": lambda f: with_header(f, "x.hdr"),
    "x.tif.hdr beside x.tif": lambda f: with_header(f, "x.tif.hdr"),
    "bands in .aux.xml": lambda f: envi_sidecar(f, of_bands=True),
    "lists in .aux.xml": lambda f: envi_sidecar(f, of_bands=False),
}


@pytest.mark.parametrize("place", PLACES)
def test_fields_are_found_where_other_programs_keep_them(place: str, tmp_path: Path) -> None:
    meta = metadata_of(PLACES[place](tmp_path))
    assert meta.spectral_axis.wavelengths_nm == NM
    assert meta.spectral_axis.fwhm_nm == (5.0, 5.0, 6.0, 6.0)
    assert meta.spectral_axis.good == GOOD
    assert not set(PER_BAND) & meta.tags.keys()


def test_widths_in_another_unit_than_the_wavelengths_are_left_out(tmp_path: Path) -> None:
    path = write_envi(tmp_path / "x.hdr", VALUES, {**FIELDS, "fwhm": "{5, 5, 6, 6}"})
    with warned() as said:
        axis = metadata_of(path).spectral_axis
    assert (axis.wavelengths_nm, axis.fwhm_nm) == (NM, None)
    assert "FWHM values left out: found 5 to 6 Micrometers, wider than" in said[0]


SIDECAR = (
    """<PAMDataset><Metadata><MDI key="start_time">2022-07-24</MDI></Metadata>{}</PAMDataset>"""
)
SIDECAR_BAND = (
    '<PAMRasterBand band="{}"><NoDataValue>-9999</NoDataValue><Offset>1</Offset><Scale>0.5</Scale>'
    "<UnitType>W</UnitType><Description>n</Description></PAMRasterBand>"
)


@pytest.mark.parametrize("told", [{}, {"data ignore value": "7", "data gain values": "{2}"}])
def test_a_sidecar_counts_where_the_header_is_silent(told: dict[str, str], tmp_path: Path) -> None:
    path = write_envi(tmp_path / "x.hdr", numbered(4, 6, 5, "int16"), told)
    bands = "".join(SIDECAR_BAND.format(band) for band in range(1, 5))
    (tmp_path / "x.img.aux.xml").write_text(SIDECAR.format(bands))
    meta = metadata_of(path)
    assert meta.stored.nodata == (7 if told else -9999)
    assert meta.stored.scales == ((2.0,) * 4 if told else (0.5,) * 4)
    assert (meta.stored.offsets, meta.stored.units) == ((1.0,) * 4, ("W",) * 4)
    assert (meta.spectral_axis.names, meta.tags["start_time"]) == (("n",) * 4, "2022-07-24")


def test_a_field_that_some_bands_lack_is_left_out(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "x.tif", VALUES, band_tags=[{"wavelength": "400"}] * 3)
    with pytest.warns(HsisrWarning, match="wavelength left out: found 3 for 4 bands"):
        assert metadata_of(path).spectral_axis.wavelengths_nm is None


def test_a_header_beside_a_tiff_is_one_of_its_files(tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        write_geotiff(tmp_path / name, numbered(3, 4, 5))
    (tmp_path / "a.hdr").write_text("ENVI\nbands = 3\n")
    (tmp_path / "b.hdr").write_text("NROWS 4\nNCOLS 5\n")
    assert scene_files(tmp_path / "a.tif") == (tmp_path / "a.tif", tmp_path / "a.hdr")
    assert scene_files(tmp_path / "b.tif") == (tmp_path / "b.tif",)


@pytest.mark.parametrize("kind", ["tif", "hdr"])
def test_wavelengths_in_names_are_read_and_do_not_grow(kind: str, tmp_path: Path) -> None:
    if kind == "tif":
        path = write_geotiff(tmp_path / "x.tif", VALUES, names=NAMES)
    else:
        path = write_envi(tmp_path / "x.hdr", VALUES, {"band names": "{" + ", ".join(NAMES) + "}"})
    meta = metadata_of(path)
    assert meta.spectral_axis.wavelengths_nm == NM
    for turn in ("a", "b"):
        with gdal_env(), rasterio.open(written(meta, tmp_path / f"{turn}.hdr", "img")) as dataset:
            assert list(dataset.descriptions) == NAMES
        meta = metadata_of(tmp_path / f"{turn}.hdr")


@pytest.mark.parametrize(("bands", "found"), [(NM, NM), ((1, 2, 3, 4), None)])
def test_bands_of_icvl_are_wavelengths_and_counts_are_none(
    bands: tuple[float, ...], found: tuple[float, ...] | None, tmp_path: Path
) -> None:
    path = write_mat5(tmp_path / "x.mat", VALUES, bands=np.array(bands))
    assert metadata_of(path).spectral_axis.wavelengths_nm == found


def test_acquisition_time_is_start_time(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "x.tif", VALUES)
    with edited(path) as dataset:
        dataset.update_tags(start_time="2022-07-24T10:45:26")
    written(metadata_of(path), tmp_path / "a.hdr", "hdr")
    meta = metadata_of(tmp_path / "a.hdr")
    assert meta.header["acquisition time"] == "2022-07-24T10:45:26"
    with gdal_env(), rasterio.open(written(meta, tmp_path / "b.tif", "tif")) as dataset:
        assert dataset.tags()["start_time"] == "2022-07-24T10:45:26"


@pytest.mark.parametrize(
    ("wavelengths", "shown"),
    [
        ("{450, 480, 550, 660}", (4, 3, 2)),
        ("{655, 552, 490, 850}", (1, 2, 3)),
        ("{655, 552, 490, 850}\ndefault bands = {1}", (1, 2, 3)),  # as GDAL writes
        ("{1.5, 2, 3, 4}", None),
    ],
)
def test_natural_colours(wavelengths: str, shown: tuple[int, ...] | None, tmp_path: Path) -> None:
    meta = metadata_of(write_envi(tmp_path / "x.hdr", VALUES, {"wavelength": wavelengths}))
    written(meta, tmp_path / "a.hdr", "hdr")
    header = metadata_of(tmp_path / "a.hdr").header
    assert header.get("default bands") == (shown and "{" + ", ".join(map(str, shown)) + "}")
    with gdal_env(), rasterio.open(written(meta, tmp_path / "a.tif", "tif")) as dataset:
        colours = dataset.colorinterp
    wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    assert [colours[band - 1] for band in shown or ()] == list(wanted[: len(shown or ())])
    assert (ColorInterp.red in colours) == (shown is not None)


@pytest.mark.parametrize(
    "said", ["[400. 500. 600. 700.]", "400 500 600 700", "[400, 500, 600, 700]"]
)
def test_lists_as_numpy_shows_them_are_understood(said: str, tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "x.tif", VALUES)
    with edited(path) as dataset:
        dataset.update_tags(wavelength=said)
    assert metadata_of(path).spectral_axis.wavelengths_nm == (400, 500, 600, 700)
    plain = "{" + said.strip("[]") + "}"
    header = write_envi(tmp_path / "y.hdr", VALUES, {"wavelength": plain, "bbl": "{1 1 0 1}"})
    axis = metadata_of(header).spectral_axis
    assert (axis.wavelengths_nm, axis.good) == ((400, 500, 600, 700), (True, True, False, True))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("{3, 2, 1}", "{3, 2, 1}"),
        ("{3.0, 2.00, 1}", "{3, 2, 1}"),
        ("{2}", "{2}"),
        ("{30, 20, 10}", None),
        ("{0, 0, 0}", None),
        ("{1, 2}", None),
        ("{red, green, blue}", None),
    ],
)
def test_shown_bands_not_there_are_left_out(said: str, kept: str | None, tmp_path: Path) -> None:
    path = write_envi(tmp_path / "x.hdr", VALUES, {"default bands": said})
    with warned() as heard:
        meta = metadata_of(path)
    assert ["default bands left out" in one for one in heard] == [True] * (not kept)
    written(meta, tmp_path / "a.hdr", "hdr")
    assert metadata_of(tmp_path / "a.hdr").header.get("default bands") == kept
