"""STAC Items as names of scenes: which asset, where it lies, what is no item."""

import re
from pathlib import Path
from typing import Any

import pytest

from hsisr.errors import InputDataError
from hsisr.io.stac.item import read_item
from tests.scenes import PROPERTIES, THUMBNAIL, data_asset, write_item


def chosen_key(folder: Path, assets: dict[str, Any], asset: str | None = None) -> str:
    return read_item(write_item(folder, assets), asset=asset).key


@pytest.mark.parametrize(
    ("assets", "key"),
    [
        ({"a": data_asset(), "b": THUMBNAIL}, "a"),
        ({"a": data_asset(roles=None), "b": THUMBNAIL}, "a"),
        ({"a": data_asset(), "b": data_asset("x.grib2", type="application/wmo-GRIB2")}, "a"),
        ({"a": data_asset("x.nc", type="application/netcdf"), "b": THUMBNAIL}, "a"),
        ({"a": data_asset(type=None), "b": data_asset("b.tif", roles=["metadata"])}, "a"),
        ({"h": data_asset("c.hdr", type=None), "d": data_asset("c.img", type=None)}, "d"),
        ({"h": data_asset("c.hdr", type=None), "d": data_asset("c", type="x/envi")}, "d"),
        ({"h": data_asset("c.img.hdr", type=None), "d": data_asset("c.img", type=None)}, "d"),
    ],
)
def test_an_asset_has_a_role_and_a_kind(tmp_path: Path, assets: dict[str, Any], key: str) -> None:
    assert chosen_key(tmp_path, assets) == key


def test_the_asset_may_be_named(tmp_path: Path) -> None:
    two = {"swir": data_asset(), "vnir": data_asset("v.tif")}
    assert chosen_key(tmp_path, two, "vnir") == "vnir"
    with pytest.raises(InputDataError, match="has no asset 'tir', expected one of swir, vnir"):
        chosen_key(tmp_path, two, "tir")
    with pytest.raises(InputDataError, match="found assets swir, vnir, expected one; choose it wi"):
        chosen_key(tmp_path, two)
    with pytest.raises(InputDataError, match="found no asset that is GeoTIFF, COG or ENVI among b"):
        chosen_key(tmp_path, {"b": THUMBNAIL})


@pytest.mark.parametrize(
    ("href", "place"),
    [
        ("cube.tif", "in/cube.tif"),
        ("./deep/a%20b.tif", "in/deep/a b.tif"),
        ("file:///data/a%20b.tif", "/data/a b.tif"),
        ("/data/cube.tif", "/data/cube.tif"),
        ("https://example.org/a%20b.tif?x=1", None),
        ("/vsicurl/https://example.org/cube.tif", None),
        ("s3://bucket/cube.tif", None),
    ],
)
def test_hrefs_lead_from_the_item_if_local(tmp_path: Path, href: str, place: str | None) -> None:
    found = read_item(write_item(tmp_path / "in", {"a": data_asset(href)})).scene
    assert found == (href if place is None else tmp_path / place)


VALID: dict[str, Any] = {"type": "Feature", "stac_version": "1.0.0", "id": "a", "links": []}
VALID |= {"properties": PROPERTIES, "geometry": None, "assets": {"a": data_asset()}}


@pytest.mark.parametrize(
    ("href", "words"),
    [
        ("memory://cube.tif", "is 'memory://cube.tif', expected a file or an address of http, h"),
        ("zip://a.tif::https://example.org/a.zip", "expected a file or an address of http"),
        ("https://example.org/a.tif::file:///etc/passwd", "expected a file or an address of"),
        ("/vsistdin/cube.tif", "expected a file or an address of http"),
        ("./all.vrt", "its asset is a .vrt, which names other files"),
        ("https://example.org/all.VRT?x=1", "its asset is a .vrt, which names other files"),
        ("a" * 300 + ".tif", "found an asset's href that leads nowhere"),
        ("a" * 10**6, "expected an id and assets with href"),
        ("%00.tif", "found a zero byte in an asset's href"),
        ("\ud800.tif", "found an asset's href that leads nowhere"),
    ],
)
def test_hrefs_lead_to_files_or_known_addresses(tmp_path: Path, href: str, words: str) -> None:
    path = write_item(tmp_path, {"a": data_asset(href)})
    with pytest.raises(InputDataError, match=f"^{re.escape(str(path))}: .*{re.escape(words)}"):
        read_item(path)
