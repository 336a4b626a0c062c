"""STAC Items as inputs, and those derived for outputs."""

import json
import re
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from pystac.extensions.projection import ProjectionExtension
from rasterio.warp import transform_bounds

from hsisr.commands.archive.run import Done, Outcome, Skipped, upscale_all
from hsisr.commands.archive.select import Failure, Selection, select
from hsisr.engine.options import SelectOptions, UpscaleOptions
from hsisr.errors import HsisrWarning, OutputExistsError
from hsisr.resume.record import record_path
from tests.program import cube_at, metadata_at
from tests.scenes import (
    PROPERTIES,
    data_asset,
    numbered,
    write_envi,
    write_geotiff,
    write_item,
)

BICUBIC = UpscaleOptions(scale=2, model="bicubic")


def run(selection: Selection, options: UpscaleOptions = BICUBIC, **how: Any) -> list[Outcome]:
    return list(upscale_all(selection, options, **how))


def made(source: Path, output: Path, options: UpscaleOptions = BICUBIC, **wanted: Any) -> Done:
    (outcome,) = run(
        select(SelectOptions(sources=[source], output=output, **wanted), options), options
    )
    assert isinstance(outcome, Done), outcome
    return outcome


def failed(source: Path, output: Path, **wanted: Any) -> Exception:
    (outcome,) = run(select(SelectOptions(sources=[source], output=output, **wanted), BICUBIC))
    assert isinstance(outcome, Failure)
    return outcome.error


@pytest.fixture
def item(tmp_path: Path) -> Path:
    return write_item(tmp_path / "in")


def test_the_output_is_named_after_the_item_and_has_one_of_its_own(item: Path, out: Path) -> None:
    done = made(item, out)
    assert done.result.output == out / "flight_7_line_3_x2.tif"
    assert done.item == out / "flight_7_line_3_x2.json"
    assert done.as_dict()["item"] == str(done.item)
    assert sorted(p.name for p in out.glob("*.*")) == [
        *(".hsisr", "flight_7_line_3_x2.json", "flight_7_line_3_x2.tif")
    ]


@pytest.mark.parametrize("form", ["1.0", "1.1"])
def test_what_an_item_says_of_bands_is_used(form: str, tmp_path: Path, out: Path) -> None:
    values = np.full((3, 6, 8), 2000, np.int16)
    values[:, :, :3] = -9999
    old = {
        "eo:bands": [
            {"center_wavelength": w, "full_width_half_max": 0.01} for w in (0.4, 0.5, 0.6)
        ],
        "raster:bands": [{"nodata": -9999, "scale": 1e-4}] * 3,
    }
    new = {
        "nodata": -9999,
        "bands": [
            {"eo:center_wavelength": w, "eo:full_width_half_max": 0.01, "raster:scale": 1e-4}
            for w in (0.4, 0.5, 0.6)
        ],
    }
    said = old if form == "1.0" else new
    output = made(item_of(tmp_path, values, **said), out / "fine.tif").result.output
    meta, cube = metadata_at(output), cube_at(output)
    assert meta.spectral_axis.wavelengths_nm == (400.0, 500.0, 600.0)
    assert meta.spectral_axis.fwhm_nm == (10.0,) * 3
    assert (meta.stored.nodata, meta.stored.scales) == (-9999, (1e-4,) * 3)
    assert (cube.values[:, :, 6:] == 2000).all()
    assert not cube.valid[:, :, :6].any()


def item_of(folder: Path, values: Any, **said: Any) -> Path:
    """An item that says this of a scene of these values, which does not say it itself."""
    item = write_item(folder / "in", {"data": data_asset("./s.tif", **said)})
    write_geotiff(item.parent / "s.tif", values)
    return item


ODD: dict[str, tuple[dict[str, Any], str | None]] = {
    "nodata of the asset alone": ({"nodata": -9999}, None),
    "one entry for all bands": ({"raster:bands": [{"nodata": -9999}]}, None),
    "another number of bands": (
        {"nodata": -9999, "eo:bands": [{"center_wavelength": 0.4}] * 2},
        "tells of 2 bands, the scene has 3",
    ),
    "wavelengths in words": (
        {"nodata": -9999, "eo:bands": [{"center_wavelength": "red"}] * 3},
        "center_wavelength of the item left out: found 'red'",
    ),
    "a wavelength too few": (
        {"nodata": -9999, "eo:bands": [{"center_wavelength": 0.4}, {}, {}]},
        "wavelength_um of the item left out: found 1 for 3",
    ),
    "wavelengths in nanometres": (
        {"nodata": -9999, "eo:bands": [{"center_wavelength": w} for w in (400, 500, 600)]},
        "wavelengths left out: found 400 to 600 Micrometers",
    ),
    "bands that are none": (
        {"nodata": -9999, "raster:bands": ["B1", "B2", "B3"]},
        "raster:bands of the item left out: found no list of bands",
    ),
    "a gain of 0": (
        {"nodata": -9999, "raster:bands": [{"scale": 0, "offset": 1}] * 3},
        "gains and offsets left out: found 0",
    ),
    "a nodata that cannot occur": (
        {"raster:bands": [{"nodata": n} for n in (-9999, -9999, 1e9)]},
        r"nodata 1e\+09 cannot occur: left out",
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_words_cost_no_more_than_themselves(what: str, tmp_path: Path, out: Path) -> None:
    said, words = ODD[what]
    values = np.full((3, 8, 8), 2000, np.int16)
    values[:, :, :3] = -9999
    item = item_of(tmp_path, values, **said)
    with pytest.warns(HsisrWarning, match=words) if words else nullcontext():
        meta = metadata_at(made(item, out / "fine.tif").result.output)
    assert (meta.stored.nodata, meta.stored.scales) == (-9999, None)
    assert meta.spectral_axis.wavelengths_nm is None


def test_an_item_may_name_another_nodata_in_each_band(tmp_path: Path, out: Path) -> None:
    said = {"raster:bands": [{"nodata": -9999}, {"nodata": -1}, {"nodata": "nan"}]}
    values = np.full((3, 8, 8), 2000, np.float32)
    for plane, number in zip(values, (-9999, -1, np.nan), strict=True):
        plane[:, :3] = number
    values[0, 7, 7] = -1
    item = item_of(tmp_path, values, **said)
    words = r"several nodata \(-9999, -1, nan\): each is used .* an output names -9999"
    with pytest.warns(HsisrWarning, match=words):
        cube = cube_at(made(item, out / "fine.tif").result.output)
    assert nodata_said(out / "fine.json") == {-9999}
    assert not cube.valid[:, :, :6].any()
    assert cube.valid[:, :, 6:].all()
    np.testing.assert_allclose(cube.values[1:, :, 6:], 2000)


def test_the_file_goes_before_its_item_and_the_user_before_both(tmp_path: Path, out: Path) -> None:
    colours = [{"center_wavelength": micrometres} for micrometres in (0.5, 0.6, 0.7)]
    said: dict[str, Any] = {"raster:bands": [{"nodata": 5}] * 3, "eo:bands": colours}
    item = write_item(tmp_path / "in", {"data": data_asset(**said)})
    meta = metadata_at(made(item, out / "a.tif").result.output)  # as the file says
    assert meta.stored.nodata == 0
    assert nodata_said(out / "a.json") == {0}
    assert meta.spectral_axis.wavelengths_nm == (400.0, 410.0, 420.0)
    for nodata, known in (("7", {7}), ("none", {None})):
        named = UpscaleOptions(scale=2, model="bicubic", nodata=nodata)
        output = made(item, out / f"{nodata}.tif", named).result.output
        assert {metadata_at(output).stored.nodata} == known
        assert nodata_said(out / f"{nodata}.json") == known


def test_a_finished_output_and_its_item_are_kept_by_resume(item: Path, out: Path) -> None:
    made(item, out / "fine.tif")
    before = (out / "fine.json").read_bytes()
    with pytest.warns(HsisrWarning, match=r"fine\.tif is finished already"):
        done = made(item, out / "fine.tif", replace(BICUBIC, resume=True))
    assert done.item == out / "fine.json"
    assert done.item.read_bytes() == before


def test_the_page_shows_the_scene_as_its_item_says(tmp_path: Path, out: Path) -> None:
    said = [{"raster:scale": 1e-4, "eo:center_wavelength": um} for um in (0.5, 0.6, 0.7)]
    item, page = item_of(tmp_path, numbered(3, 6, 8, "int16"), bands=said), out / "page.html"
    how = UpscaleOptions(scale=2, model="bicubic", report=page, wavelengths="550-700")
    made(item, out / "fine.tif", how)
    assert "as stored in the files" in (text := page.read_text())  # so all have one scale
    assert "600 to 700 nm" in text


def nodata_said(item: Path) -> set[Any]:
    """What the only asset of an item says of nodata in each of its bands."""
    (asset,) = json.loads(item.read_text())["assets"].values()
    return {band.get("nodata") for band in asset["raster:bands"]}


def test_the_derived_item_says_what_is_finer_and_keeps_the_rest(item: Path, out: Path) -> None:
    done = made(item, out / "fine.tif")
    assert done.item is not None
    derived, source = pystac.Item.from_file(done.item), pystac.Item.from_file(item)
    assert derived.id == "flight 7/line 3_x2"
    assert (derived.geometry, derived.bbox) == (source.geometry, source.bbox)
    assert derived.datetime == datetime(2022, 7, 1, 10, tzinfo=UTC)
    assert derived.collection_id is None
    assert derived.common_metadata.gsd == 15
    assert derived.properties["eo:cloud_cover"] == 7
    assert derived.properties["created"] != PROPERTIES["created"]
    assert derived.properties["processing:software"].keys() == {"sensor-chain", "hsisr"}
    assert any("/processing/" in extension for extension in derived.stac_extensions)
    (link,) = derived.get_links("derived_from")
    assert link.get_href(transform_href=False) == "../in/item.json"
    projection = ProjectionExtension.ext(derived)
    assert projection.shape == [12, 10]
    assert projection.transform == [15, 0, 364095, 0, -15, 5809965]
    assert projection.code == "EPSG:32633"
    assert projection.bbox == PROPERTIES["proj:bbox"]


def test_the_item_of_a_part_tells_its_bands_and_its_place(item: Path, out: Path) -> None:
    part = UpscaleOptions(scale=2, model="bicubic", bands="2-3", window=(1, 2, 3, 2))
    done = made(item, out / "fine.tif", part)
    assert done.item is not None
    assert done.result.written_bands == (2, 3)
    derived = pystac.Item.from_file(done.item)
    (asset,) = derived.assets.values()
    told = asset.extra_fields
    assert [band["name"] for band in told["eo:bands"]] == ["b1", "b2"]
    assert len(told["raster:bands"]) == 2
    with rasterio.open(out / "fine.tif") as file:
        assert (file.count, file.shape) == (2, (6, 4))
        expected = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    assert derived.bbox == pytest.approx(expected, abs=1e-9)
    assert derived.geometry is not None
    (ring,) = derived.geometry["coordinates"]
    x, y = zip(*ring, strict=True)
    assert (min(x), min(y), max(x), max(y)) == pytest.approx(expected, abs=1e-6)
    assert "proj:bbox" not in derived.properties


@pytest.mark.parametrize("crs", ['LOCAL_CS["site",UNIT["metre",1]]', "+proj=ortho +lat_0=0"])
def test_a_part_that_has_no_place_on_earth_keeps_the_outline_of_the_whole(
    crs: str, item: Path, out: Path
) -> None:
    with rasterio.open(item.parent / "cube.tif", "r+") as file:
        file.crs, file.transform = crs, Affine(1e6, 0, -9e6, 0, -1e6, 9e6)
    part = UpscaleOptions(scale=2, model="bicubic", window=(1, 2, 3, 2))
    with pytest.warns(UserWarning, match=r"fine\.json: geometry and bbox are those of the whole"):
        done = made(item, out / "fine.tif", part)
    assert done.item is not None
    assert pystac.Item.from_file(done.item).bbox == pystac.Item.from_file(item).bbox


def test_an_existing_item_is_kept_and_nothing_is_computed(item: Path, out: Path) -> None:
    (out / "fine.json").write_text("precious")
    error = failed(item, out / "fine.tif")
    assert isinstance(error, OutputExistsError)
    assert "fine.json exists and is kept" in str(error)
    assert [path.name for path in out.iterdir()] == ["fine.json"]
    made(item, out / "fine.tif", replace(BICUBIC, overwrite=True))
    assert json.loads((out / "fine.json").read_text())["type"] == "Feature"


def again(item: Path, out: Path, items: bool | None = None) -> Outcome:
    wanted = SelectOptions(sources=[item], output=out, items=items)
    (outcome,) = run(select(wanted, BICUBIC), skip_existing=True)
    return outcome


def test_an_output_made_with_other_bands_of_the_item_is_kept(tmp_path: Path, out: Path) -> None:
    said: list[dict[str, Any]] = [{"raster:bands": [{"scale": s}] * 3} for s in (0.1, 0.2)]
    item = write_item(tmp_path / "in", {"data": data_asset(**said[0])})
    made(item, out)
    assert isinstance(again(item, out), Skipped)
    write_item(tmp_path / "in", {"data": data_asset(**said[1])})
    outcome = again(item, out)
    assert isinstance(outcome, Failure)
    assert "was made from another input" in str(outcome.error)


@pytest.mark.parametrize("recorded", [True, False])
def test_an_output_without_its_item_is_made_anew(item: Path, out: Path, recorded: bool) -> None:
    done = made(item, out)
    if not recorded:
        record_path(done.result.output).unlink()
    assert isinstance(again(item, out), Skipped)
    assert isinstance(again(item, out, items=False), Skipped)
    assert done.item is not None
    done.item.unlink()
    assert isinstance(again(item, out, items=False), Skipped)
    with pytest.warns(HsisrWarning, match="is broken off|has no STAC Item"):
        assert isinstance(again(item, out), Done)
    assert done.item.exists()


def test_no_item_is_shared_or_overwritten(item: Path, tmp_path: Path, out: Path) -> None:
    before = item.read_bytes()
    selection = select(SelectOptions(sources=[item], output=item.with_name("item.tif")), BICUBIC)
    (outcome,) = run(selection, replace(BICUBIC, overwrite=True))
    assert isinstance(outcome, Failure)
    assert "is the input's own STAC Item" in str(outcome.error)
    assert item.read_bytes() == before
    one = write_item(tmp_path / "one")
    write_envi(tmp_path / "two.hdr", np.ones((1, 4, 4), np.uint8))
    other = write_item(tmp_path / "two", {"a": data_asset("../two.hdr", type=None)})
    selection = select(SelectOptions(sources=[one, other], output=out), BICUBIC)
    for entry in selection.entries:
        assert isinstance(entry, Failure)
        assert re.search(r"would become .*flight_7_line_3_x2\.json; upscale", str(entry.error))
