"""ENVI pairs as SPy and GDAL see them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from spectral.io import envi

from hsisr.errors import HsisrWarning, OutputExistsError, UsageError
from hsisr.io.base import TargetOptions
from hsisr.io.geotiff.gdal import gdal_env, same_crs
from hsisr.io.write import check_target
from hsisr.scene.georeference import Georeference
from tests.io.test_envi_headers import ROTATED_POLE
from tests.io.written import (
    PLACED,
    POINTS,
    TURNED,
    UTM,
    cube_for,
    metadata_of,
    rich_metadata,
    write_scene,
    writer_for,
)
from tests.program import metadata_at


def header_of(path: Path) -> dict[str, Any]:
    fields: dict[str, Any] = envi.read_envi_header(path)
    return fields


def test_spy_and_gdal_find_every_field_but_none_of_the_old_grid(tmp_path: Path) -> None:
    metadata = rich_metadata(unit="Micrometers")
    write_scene(tmp_path / "a.hdr", metadata)
    found, axis, stored = header_of(tmp_path / "a.hdr"), metadata.spectral_axis, metadata.stored
    assert found["wavelength units"] == "Micrometers"
    assert found["wavelength"] == ["0.40942", "0.45942", "0.50942", "0.55942", "0.60942"]
    assert [float(w) * 1000 for w in found["fwhm"]] == pytest.approx(axis.fwhm_nm, rel=1e-12)
    assert found["bbl"] == ["1", "0", "1", "1", "1"]
    assert found["band names"] == list(axis.names or ())
    assert found["data ignore value"] == "-32768"
    assert tuple(float(v) for v in found["data gain values"]) == stored.scales
    assert tuple(float(v) for v in found["data offset values"]) == stored.offsets
    assert found["data units"] == list(stored.units or ())
    assert found["acquisition time"] == "2022-07-24T10:45:26Z"
    assert found["sensor type"] == "EnMAP"
    assert found["default bands"] == ["3", "2", "1"]
    assert found["reflectance scale factor"] == "10000"
    assert not {"x start", "pixel size"} & found.keys()
    assert found["description"] == "a.img, written by hsisr"
    assert found["hsisr model"] == "bicubic"
    assert found["gain state"] == ["low0", "low1", "low2", "low3", "low4"]
    with gdal_env(), rasterio.open(tmp_path / "a.img") as dataset:
        assert dataset.nodata == stored.nodata
        assert dataset.scales == pytest.approx(stored.scales)
        assert dataset.offsets == stored.offsets
        assert dataset.tags(1, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"] == "0.409"


def test_wavelengths_of_some_bands_alone_are_no_list(tmp_path: Path) -> None:
    some = {"wavelength": "400", "wavelength_units": "nm", "lamp": "on"}
    metadata = replace(metadata_of((3, 4, 4)), band_tags=(some, {}, {"lamp": "off"}))
    write_scene(tmp_path / "a.hdr", metadata)
    found = header_of(tmp_path / "a.hdr")
    assert not {"wavelength", "wavelength units"} & found.keys()
    assert found["lamp"] == ["on", "", "off"]


def test_a_field_with_braces_inside_does_not_swallow_the_next(tmp_path: Path) -> None:
    metadata = replace(
        metadata_of((1, 4, 4)),
        tags={"A": "{open", "B": "clo}sed\n{x", "C": '{"a": {"b": 1}}'},
        header={"d": "{1, {2}, 3}"},
    )
    write_scene(tmp_path / "a.hdr", metadata)
    found = header_of(tmp_path / "a.hdr")
    assert found["a"] == "(open"
    assert found["b"] == "clo)sed (x"
    assert found["d"] == ["1", "(2)", "3"]
    with gdal_env(), rasterio.open(tmp_path / "a.img") as dataset:
        assert dataset.tags(ns="ENVI")["byte_order"] == "0"


def at(code: int | str, width: float, left: float, height: float, top: float) -> Georeference:
    crs = rasterio.CRS.from_user_input(code).to_wkt()
    return Georeference(crs_wkt=crs, transform=Affine(width, 0, left, 0, height, top))


PLACES = {
    "straight": PLACED,
    "turned": TURNED,
    "south-up": at(32633, 7.5, 3e5, 7.5, 4e6),
    "half-turn": at(32633, -7.5, 3e5, 7.5, 4e6),
    "east-west": at(32633, -7.5, 3e5, -7.5, 4e6),
    "oblong": at(32633, 7.5, 3e5, -3.75, 4e6),
    "degrees": at(4326, 1 / 14400, 13.0000123, -1 / 14400, 52),
    "km": at("+proj=utm +zone=33 +datum=WGS84 +units=km", 0.03, 500, -0.03, 4000),
    "equal-area": at(3035, 5, 4321000.5, -5, 3210000.25),
    "feet": at(2222, 5, 700000, -5, 1000000),
    "US survey feet": at(2227, 5, 6000000, -5, 2100000),
}


@pytest.mark.parametrize("name", PLACES)
def test_gdal_and_hsisr_read_back_the_place(name: str, tmp_path: Path) -> None:
    place = PLACES[name]
    write_scene(tmp_path / "a.hdr", rich_metadata(place=place))
    own = metadata_at(tmp_path / "a.hdr").georeference
    assert same_crs(own.crs_wkt or "", place.crs_wkt or "")
    assert tuple(own.transform or ()) == pytest.approx(tuple(place.transform or ()), rel=1e-12)
    with gdal_env(), rasterio.open(tmp_path / "a.img") as dataset:
        assert dataset.crs == rasterio.CRS.from_wkt(place.crs_wkt or "")
        assert tuple(dataset.transform) == pytest.approx(tuple(place.transform or ()), rel=1e-12)
    assert "map info" in header_of(tmp_path / "a.hdr")
    assert {p.name for p in tmp_path.iterdir()} == {"a.hdr", "a.img"}


def test_a_rotated_pole_is_kept_as_wkt2_with_a_warning(tmp_path: Path) -> None:
    place = Georeference(crs_wkt=ROTATED_POLE, transform=Affine(0.1, 0, 5, 0, -0.1, 8))
    with pytest.warns(HsisrWarning, match=r"a\.img: .*unnamed.* GDAL's ENVI driver does not read"):
        write_scene(tmp_path / "a.hdr", metadata_of((1, 4, 4), place=place))
    own = metadata_at(tmp_path / "a.hdr").georeference
    assert same_crs(own.crs_wkt or "", ROTATED_POLE)
    assert own.transform == place.transform
    assert header_of(tmp_path / "a.hdr")["map info"][0] == "Arbitrary"


def test_sheared_pixels_are_refused_rather_than_straightened(tmp_path: Path) -> None:
    place = Georeference(crs_wkt=UTM, transform=Affine(7.5, 0.3, 3e5, 0.1, -7.5, 4e6))
    with pytest.raises(UsageError, match=r"a.img: found a grid that is sheared.*write GeoTIFF"):
        writer_for(tmp_path / "a.hdr", metadata_of((1, 40, 40), place=place))
    assert list(tmp_path.iterdir()) == []


def test_geo_points_are_degrees_counted_from_one(tmp_path: Path) -> None:
    crs = rasterio.CRS.from_epsg(4326)
    write_scene(tmp_path / "a.hdr", metadata_of((1, 70, 90), place=POINTS))
    (tmp_path / "a.img.aux.xml").unlink()
    with gdal_env(), rasterio.open(tmp_path / "a.img") as dataset:
        points, _ = dataset.gcps
    assert [(p.row, p.col, p.x, p.y) for p in points] == [
        (p.row, p.col, p.x, p.y) for p in POINTS.gcps
    ]
    utm = [rasterio.warp.transform(crs, UTM, [p.x], [p.y]) for p in POINTS.gcps]
    projected = replace(
        POINTS,
        gcps=tuple(replace(p, x=x[0], y=y[0]) for p, (x, y) in zip(POINTS.gcps, utm, strict=True)),
        gcps_crs_wkt=UTM,
    )
    write_scene(tmp_path / "b.hdr", metadata_of((1, 70, 90), place=projected))
    ours = [float(n) for n in header_of(tmp_path / "b.hdr")["geo points"]]
    assert ours[2:4] == pytest.approx([POINTS.gcps[0].y, POINTS.gcps[0].x], abs=1e-8)


@pytest.mark.parametrize(
    ("name", "data", "header", "interleave"),
    [
        ("a.hdr", "a.img", "a.hdr", "bsq"),
        ("a.dat", "a.dat", "a.hdr", "bsq"),
        ("a.BIL", "a.BIL", "a.hdr", "bil"),
        ("a", "a", "a.hdr", "bsq"),
        ("a.v1", "a.v1", "a.v1.hdr", "bsq"),
    ],
)
def test_names_of_pairs(name: str, data: str, header: str, interleave: str, tmp_path: Path) -> None:
    metadata = metadata_of((2, 4, 6))
    with writer_for(tmp_path / name, metadata, format="ENVI") as writer:
        writer.write(cube_for(metadata), row=0, col=0, band=0)
    assert {p.name for p in tmp_path.iterdir()} == {data, header}
    assert writer.path == tmp_path / header
    assert header_of(tmp_path / header)["interleave"] == interleave
    found = envi.open(tmp_path / header).open_memmap()
    np.testing.assert_array_equal(np.asarray(found).transpose(2, 0, 1), cube_for(metadata))


@pytest.mark.parametrize("found", ["bip", "none"])
def test_an_interleave_that_the_suffix_denies_is_refused(found: str, tmp_path: Path) -> None:
    options = {"INTERLEAVE": found}
    with pytest.raises(UsageError, match=r"option INTERLEAVE=\w+, expected one of BIL"):
        writer_for(tmp_path / "a.bil", metadata_of((1, 4, 4)), creation_options=options)


@pytest.mark.parametrize("rival", ["a", "a.dat", "a.bil"])
def test_a_file_that_would_pass_for_the_data_is_never_removed(rival: str, tmp_path: Path) -> None:
    (tmp_path / rival).write_text("precious")
    with pytest.raises(OutputExistsError, match=r"would be taken for the data of a.hdr"):
        check_target(tmp_path / "a.hdr", TargetOptions(overwrite=True))
    assert (tmp_path / rival).read_text() == "precious"


def test_a_data_file_that_appears_meanwhile_is_kept_and_no_header_made(tmp_path: Path) -> None:
    writer = writer_for(tmp_path / "a.hdr", metadata_of((1, 4, 4)))
    (tmp_path / "a.img").write_text("precious")
    with pytest.raises(OutputExistsError, match=r"a.img appeared while"):
        writer.commit()
    assert [p.name for p in tmp_path.iterdir()] == ["a.img"]
