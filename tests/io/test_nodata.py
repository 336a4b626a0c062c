"""Which numbers are data: named by the user, impossible ones, constants that nobody named."""

import logging
import re
import warnings
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy as copied_by_gdal

from hsisr import upscale
from hsisr.errors import HsisrWarning, UsageError
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.io.open import open_scene
from hsisr.io.views import DescribedScene, warn_of_fill
from hsisr.resume.completion import require_whole
from hsisr.tiling import Window
from tests.program import cube_at, metadata_at
from tests.scenes import EVERY_FORMAT, numbered, write_envi, write_geotiff

VALUES = numbered(4, 6, 5, "int16")
RANDOM = np.random.default_rng(4)


@pytest.mark.parametrize("name", sorted({*EVERY_FORMAT} - {"PNG folder"}))
def test_the_user_names_the_number_that_means_no_data(name: str, tmp_path: Path) -> None:
    number, path = int(VALUES[1, 2, 3]), EVERY_FORMAT[name](tmp_path, VALUES)
    assert metadata_at(path, nodata=str(number)).stored.nodata == number
    np.testing.assert_array_equal(cube_at(path, nodata=str(number)).valid, number != VALUES)


def test_the_users_word_goes_before_the_files(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "x.tif", VALUES, nodata=int(VALUES[0, 0, 0]))
    assert not cube_at(path).valid.all()
    assert metadata_at(path, nodata="none").stored.nodata is None
    for other in ("none", -1):
        assert cube_at(path, nodata=other).valid.all()
    with pytest.raises(UsageError, match="--nodata water: expected a number, nan or none"):
        open_scene(path, nodata="water")


@pytest.mark.parametrize("first", [float("nan"), 3.0], ids=["nan", "number"])
def test_each_band_keeps_its_number_unless_the_user_names_one(first: float, tmp_path: Path) -> None:
    source, path = write_geotiff(tmp_path / "x.tif", VALUES.astype("f4")), tmp_path / "x.vrt"
    copied_by_gdal(source, path, driver="VRT")
    text = path.read_text(encoding="utf-8")
    for band, number in enumerate((first, -5, 7, 8), 1):
        text = text.replace(f'band="{band}">', f'band="{band}"><NoDataValue>{number}</NoDataValue>')
    path.write_text(text, encoding="utf-8")
    for asked, expected in ((None, (first, -5, 7, 8)), (str(first), (first,) * 4)):
        with closing(open_scene(path, nodata=asked)) as scene:
            other = replace(scene.metadata, header={"sensor": "known from elsewhere"})
            for one in (scene, DescribedScene(scene, other)):
                np.testing.assert_array_equal([one.nodata_of(b) for b in range(4)], expected)


@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", "-9999"), ("float32", "-1.7e+308")])
def test_a_number_beyond_the_type_is_left_out(dtype: str, nodata: str, tmp_path: Path) -> None:
    path = write_envi(tmp_path / "x.hdr", VALUES.astype(dtype), {"data ignore value": nodata})
    words = re.escape(f"nodata {nodata} cannot occur among {dtype} numbers")
    with pytest.warns(HsisrWarning, match=words):
        assert metadata_at(path).stored.nodata is None
    with pytest.warns(HsisrWarning, match=words):
        assert cube_at(path).valid.all()


@pytest.mark.parametrize(
    ("name", "dtype", "nodata"),
    [
        ("a.tif", "int64", -(2**63)),
        ("a.hdr", "uint64", 2**64 - 1),
        ("a.nc", "int64", 2**63 - 1),
    ],
)
def test_the_ends_of_64_bits_mean_no_data(
    name: str, dtype: str, nodata: int, tmp_path: Path
) -> None:
    numbers = VALUES.astype(dtype)
    numbers[:, 2, 3] = nodata
    path = write_envi(tmp_path / "x.hdr", numbers, {"data ignore value": str(nodata)})
    with pytest.warns(HsisrWarning, match=rf"{nodata} is rounded .*; -?9007199254740992 marks"):
        upscale(path, tmp_path / name, scale=2, model="nearest")
    for found, one in ((path, numbers), (tmp_path / name, numbers.repeat(2, 1).repeat(2, 2))):
        np.testing.assert_array_equal(cube_at(found).valid, one != nodata)
    if name == "a.tif":
        with gdal_env(), rasterio.open(tmp_path / name) as image:
            np.testing.assert_array_equal(image.read_masks() > 0, cube_at(tmp_path / name).valid)


@pytest.mark.parametrize("nodata", [-(2**63), 2**60])
def test_nodata_of_64_bits_with_an_exponent_is_no_small_number(nodata: int, tmp_path: Path) -> None:
    numbers = VALUES.astype("int64")
    numbers[:, 2, 3], numbers[0, 0, :2] = nodata, (-9, 1)  # what GDAL reads of -9.2e+18 and 1.1e+18
    path = write_geotiff(tmp_path / "x.tif", numbers, nodata=nodata)
    assert metadata_at(path).stored.nodata == nodata
    np.testing.assert_array_equal(cube_at(path).valid, numbers != nodata)
    assert metadata_at(write_geotiff(tmp_path / "y.tif", numbers)).stored.nodata is None


def test_the_lowest_float_as_nodata_is_written_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # with pytest's, nothing is printed
    field = {"data ignore value": "-3.4028234663852886e+38"}
    path = write_envi(tmp_path / "x.hdr", VALUES.astype("float32"), field)
    upscale(path, tmp_path / "a.tif", scale=2, model="nearest")
    require_whole(tmp_path / "a.tif")
    assert capsys.readouterr().err == ""


SHAPE = (4, 24, 24)


def cube(dtype: str = "int16") -> np.ndarray:
    return RANDOM.normal(2000, 100, SHAPE).astype(dtype)


def whole_numbers(low: int, high: int, dtype: str = "u2") -> np.ndarray:
    return RANDOM.integers(low, high, SHAPE).astype(dtype)


def filled(values: np.ndarray, number: float, place: Any = np.s_[:, :9, :9]) -> np.ndarray:
    """With a number in a corner, or in another place."""
    values[place] = number
    return values


BORDER, BAND = np.s_[:, 0], np.s_[1]
DARK = np.s_[3, ::2]
FILLED = {
    "a dead band beside": (filled(filled(cube(), -9999), 7, BAND), "-9999"),
    "a corner of -9999": (filled(cube(), -9999), "-9999"),
    "a border of -32768": (filled(cube(), -32768, BORDER), "-32768"),
    "zeros around radiance": (filled(cube("uint16"), 0), "0"),
    "65535 in reflectance": (filled(cube("uint16"), 65535), "65535"),
    "the least float32": (filled(cube("f4"), float(np.finfo("f4").min)), r"-3\.4028235e\+38"),
    "a flat scene": (filled(np.full(SHAPE, 2000, "i2"), -999), "-999"),
    "the only number below zero": (filled(whole_numbers(0, 8000, "i2"), -999), "-999"),
    "-99 among temperatures": (filled(RANDOM.uniform(20, 30, SHAPE).astype("f4"), -99), "-99"),
    "pixels of zeros": (filled(whole_numbers(1, 8000), 0), "0"),
}
PLAIN = {
    "noise": cube(),
    "dark water": np.abs(RANDOM.normal(0, 300, SHAPE)).astype("uint16"),
    "zeros here and there": filled(whole_numbers(0, 99), 0),
    "one saturated band": np.concatenate([cube("uint16"), np.full((1, 24, 24), 65535, "u2")]),
    "saturation in one band": np.concatenate([cube("uint16"), filled(cube("uint16")[:1], 65535)]),
    "saturated pixels among dark ones": np.where(
        RANDOM.random(SHAPE) < 0.02, 65535, RANDOM.integers(0, 60000, SHAPE)
    ).astype("u2"),
    "zeros in most pixels of a band": filled(whole_numbers(1, 8000), 0, DARK),
    "a single dead pixel": np.where(np.arange(2304).reshape(SHAPE) == 700, 0, cube("uint16")),
}


@pytest.mark.parametrize("what", FILLED)
def test_a_constant_that_looks_like_no_data_is_named(what: str, tmp_path: Path) -> None:
    values, number = FILLED[what]
    with (
        open_scene(write_geotiff(tmp_path / "x.tif", values)) as scene,
        pytest.warns(HsisrWarning, match=rf"x\.tif: many samples are {number}, ") as heard,
    ):
        warn_of_fill(scene)
    advice = str(heard[0].message).split("give --nodata ")[1].split(",")[0]
    with open_scene(tmp_path / "x.tif", nodata=advice) as scene:
        assert not scene.read().valid[0, 0, :9].any(), "the advice, followed"


HIDDEN = {
    "-9999": (cube(), slice(None), -9999),
    "-9999 in one detector": (cube(), slice(2), -9999),
    "zeros in whole pixels": (whole_numbers(1, 8000), slice(None), 0),
    "zeros beside a dark band": (filled(whole_numbers(1, 8000), 0, DARK), slice(None), 0),
    "the least number of the type": (cube("int32"), slice(None), -(2**31)),
    "the largest of 64 bits": (cube("int64"), slice(None), 2**63 - 1),
    "-1 among counts": (cube(), slice(None), -1),
}


@pytest.fixture(params=[2**21, 0], ids=["small scene", "large scene"])
def samples(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """As many are looked at before a scene is read; none of a large one."""
    monkeypatch.setattr("hsisr.io.views._SAMPLES_LOOKED_AT", request.param)
    return int(request.param)


@pytest.mark.parametrize("what", HIDDEN)
def test_fill_is_named_when_all_was_read(what: str, samples: int, tmp_path: Path) -> None:
    values, bands, number = HIDDEN[what]
    values[bands, 6:8, 4:20] = number
    path = write_geotiff(tmp_path / "x.tif", values)
    with warnings.catch_warnings(record=True) as heard, open_scene(path) as opened:
        warnings.simplefilter("always")
        scene = warn_of_fill(opened)
        for row in range(0, 24, 4):
            assert len(heard) == int(samples > 0)
            scene.read(Window(row, 0, 4, 24))
        np.testing.assert_array_equal(scene.read().values, values)
    assert [f" {number}, apart" in str(warning.message) for warning in heard] == [True]


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("what", PLAIN)
def test_numbers_of_a_scene_and_named_fill_are_no_reason_to_warn(what: str, tmp_path: Path) -> None:
    named = filled(PLAIN[what].copy(), 255, np.s_[:, :9, :9])
    for values, nodata in ((PLAIN[what], None), (named, 255)):
        with open_scene(write_geotiff(tmp_path / "x.tif", values, nodata=nodata)) as scene:
            warn_of_fill(scene).read()


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize(
    ("named", "fill", "place"),
    [
        (0, -9999, np.s_[:, :, -1]),
        (0, -9999, np.s_[:, 6:8, 4:20]),
        (-9999, 0, np.s_[:, 6:8, 4:20]),
        (-32768, -9999, np.s_[:2, 6:8, 4:20]),
    ],
)
def test_fill_beside_a_nodata_is_named(named: int, fill: int, place: Any, tmp_path: Path) -> None:
    values = filled(filled(cube(), named, np.s_[:, 12:]), fill, place)
    words = rf"samples are {fill}, .* others, though the file names {named} as no data; "
    with (
        open_scene(write_geotiff(tmp_path / "x.tif", values, nodata=named)) as scene,
        pytest.warns(HsisrWarning, match=words),
    ):
        warn_of_fill(scene).read()
