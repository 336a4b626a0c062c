"""ENVI: naming habits, layouts, header fields, and headers that lie."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from hsisr.errors import HsisrWarning, InputDataError
from hsisr.io.open import open_scene
from hsisr.tiling import Window
from tests.program import assert_holds, metadata_at
from tests.scenes import ENVI_AXES, ENVI_TYPES, numbered, write_envi, write_geotiff

VALUES = numbered(3, 6, 5)


def with_fields(folder: Path, **fields: str) -> Path:
    texts = {key.replace("_", " "): text for key, text in fields.items()}
    return write_envi(folder / "x.hdr", VALUES, texts)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ("x.hdr", "x"),
        ("x.hdr", "x.img"),
        ("x.hdr", "x.dat"),
        ("x.hdr", "x.raw"),
        ("x.hdr", "x.bsq"),
        ("x.hdr", "x.bil"),
        ("x.hdr", "x.bip"),
        ("x.img.hdr", "x.img"),
        ("f_rfl.hdr", "f_rfl"),
        ("X.HDR", "X.IMG"),
        ("x.hdr", "x.IMG"),
        ("x.hdr", "x.rdn"),
    ],
)
def test_the_pair_is_found_from_either_side(header: str, data: str, tmp_path: Path) -> None:
    write_envi(tmp_path / header, VALUES, data=tmp_path / data)
    for name in (header, data):
        with open_scene(tmp_path / name) as scene:
            assert scene.format == "ENVI"
            np.testing.assert_array_equal(scene.read().values, VALUES)


@pytest.mark.parametrize("interleave", ENVI_AXES)
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("dtype", ENVI_TYPES)
def test_every_layout_type(dtype: str, interleave: str, big_endian: bool, tmp_path: Path) -> None:
    values = VALUES.astype(dtype)
    path = write_envi(
        tmp_path / "x.hdr", values, interleave=interleave, big_endian=big_endian, offset=11
    )
    with open_scene(path) as scene:
        stored = scene.read_stored(Window(1, 2, 4, 3), [2, 0])
    np.testing.assert_array_equal(stored, values[[2, 0], 1:5, 2:5], strict=True)


def test_other_fields_are_carried_in_lower_case(tmp_path: Path) -> None:
    kept = {"reflectance scale factor": "10000", "default bands": "{3, 2, 1}"}
    more = {"Acquisition Time": "2022", "x start": "12", "pixel size": "{30, 30}"}
    meta = metadata_at(write_envi(tmp_path / "x.hdr", VALUES, {**kept, **more}))
    assert meta.header == {**kept, "acquisition time": "2022"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_headers_in_other_encodings(encoding: str, tmp_path: Path) -> None:
    path = with_fields(tmp_path, wavelength="{0.4, 0.5, 0.6}", wavelength_units="µm")
    text = path.read_text(encoding="utf-8")
    path.write_text(text, encoding=encoding)
    assert metadata_at(path).spectral_axis.wavelengths_nm == (400.0, 500.0, 600.0)


def test_an_external_mask_beside_the_data_is_used_or_named(tmp_path: Path) -> None:
    path = with_fields(tmp_path)
    mask = np.full((1, 6, 5), 255, np.uint8)
    mask[0, 2, 3] = 0
    write_geotiff(tmp_path / "x.img.msk", mask)
    with open_scene(path) as scene:
        valid = scene.read(Window(2, 2, 3, 3)).valid
    assert not valid[:, 0, 1].any()
    assert valid.sum() == valid.size - 3
    path = with_fields(tmp_path)
    (tmp_path / "x.img.msk").write_bytes(b"nothing")
    with pytest.raises(InputDataError, match=r"the mask x\.img\.msk beside the data"):
        open_scene(path)


def test_a_band_of_wavelength_zero_is_not_there_and_widths_of_zero_are_none(tmp_path: Path) -> None:
    with pytest.warns(HsisrWarning, match="band 1 has a wavelength of 0.*marked bad"):
        axis = metadata_at(with_fields(tmp_path, wavelength="{0, 500, 600}")).spectral_axis
    assert axis.wavelengths_nm == (0.0, 500.0, 600.0)
    assert axis.good == (False, True, True)
    path = with_fields(tmp_path, wavelength="{400, 500, 600}", fwhm="{0, 0, 0}")
    assert metadata_at(path).spectral_axis.fwhm_nm is None


UNUSABLE = {
    "too few wavelengths": ({"wavelength": "{400, 500}"}, "wavelengths left out: found 2 for 3"),
    "wavelengths in words": (
        {"wavelength": "{blue, green, red}"},
        "wavelengths left out: found 'blue'",
    ),
    "NaN wavelengths": ({"wavelength": "{400, nan, 600}"}, "band 2 has nan"),
    "wavelengths of another unit": (
        {"wavelength": "{0.4, 0.5, 0.6}", "wavelength units": "Nanometers"},
        "wavelengths left out: found 0.4 to 0.6 Nanometers, expected 100 nm to 100 um",
    ),
    "no unit for all": ({"wavelength": "{0.4, 0.5, 600}"}, "found 0.4 to 600 Nanometers"),
    "micrometres that are none": (
        {"wavelength": "{400, 500, 600}", "wavelength units": "Micrometers"},
        "found 400 to 600 Micrometers",
    ),
    "numbers of bands": ({"wavelength": "{1, 2, 3}"}, "found the numbers of the bands"),
    "numbers of bands from 0 on": ({"wavelength": "{0, 1, 2}"}, "found the numbers of the bands"),
    "unknown unit": (
        {"wavelength": "{4, 5, 6}", "wavelength units": "Parsec"},
        "wavelengths left out: unknown wavelength unit 'Parsec'",
    ),
    "too many flags": ({"bbl": "{1, 1, 1, 1}"}, "bad-band list left out: found 4 for 3"),
    "too few names": ({"band names": "{a}"}, "band names left out: found 1 for 3"),
    "too few gains": ({"data gain values": "{1, 2}"}, "data gain values left out: found 2 for 3"),
    "nodata in words": (
        {"data ignore value": "water"},
        "data ignore value left out: found 'water'",
    ),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_field_that_cannot_be_used_costs_no_more_than_itself(what: str, tmp_path: Path) -> None:
    fields, words = UNUSABLE[what]
    path = with_fields(tmp_path, **{"sensor_type": "AVIRIS", **fields})
    with pytest.warns(HsisrWarning, match=r"x\.hdr: .*" + words):
        meta = metadata_at(path)
    assert (meta.spectral_axis.wavelengths_nm, meta.stored.scales) == (None, None)
    assert meta.header["sensor type"] == "AVIRIS"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("description = {made by me", "description: found no closing brace"),
        ("z plot titles = {a, b", "z plot titles: found no closing brace"),
        ("z plot titles = {a, b\n; a = {note", "z plot titles: found no closing brace"),
    ],
)
def test_an_endless_list_takes_no_other_along(lines: str, words: str, tmp_path: Path) -> None:
    path = with_fields(tmp_path, wavelength="{400, 500, 600}")
    text = path.read_text(encoding="utf-8").removeprefix("ENVI\n")
    path.write_text(f"ENVI\n{lines}\n{text}", encoding="utf-8")
    with pytest.warns(HsisrWarning, match=words):
        meta = metadata_at(path)
    assert meta.spectral_axis.wavelengths_nm == (400.0, 500.0, 600.0)


def test_a_header_that_contradicts_itself_is_refused_or_told(tmp_path: Path) -> None:
    path = with_fields(tmp_path, bbl="{1, 1, 1}")
    plain = path.read_text("utf-8")
    path.write_text(f"{plain}bands = 3\nbbl = {{1, 0, 1}}\n")
    with pytest.warns(HsisrWarning, match="found bbl twice, .*; the last is taken"):
        assert metadata_at(path).spectral_axis.good == (True, False, True)
    path.write_text(f"{plain}Samples = 3\n")
    with pytest.raises(InputDataError, match="contradicts itself: found samples twice"):
        open_scene(path)


def test_a_compressed_data_file_is_not_taken_for_numbers(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (3, 6, 5)).astype("uint16")
    path = write_envi(tmp_path / "x.hdr", noise)
    data = path.with_suffix(".img")
    data.write_bytes(gzip.compress(data.read_bytes()))
    with pytest.raises(InputDataError, match="and is compressed; unpack it first"):
        open_scene(path)


def test_a_description_may_look_like_a_header(tmp_path: Path) -> None:
    path = with_fields(tmp_path, description="{old:\nbands = 9\nsamples = 7\nend}")
    assert metadata_at(path).bands == 3


@pytest.mark.parametrize("first", [ord("<"), ord("{"), 0x3C20, 0x413C, 0x227B])
def test_numbers_that_begin_like_a_text_are_numbers(first: int, tmp_path: Path) -> None:
    values = VALUES.astype("i2")
    values[0, 0, 0] = first
    path = write_envi(tmp_path / "x.hdr", values)
    for name in (path, path.with_suffix(".img")):
        assert_holds(name, values)
