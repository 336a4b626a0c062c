"""Places by CF: grid mappings given by parameters alone, single rows and columns."""

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import xarray
from affine import Affine
from rasterio import CRS

from hsisr.errors import HsisrWarning
from hsisr.scene.georeference import Georeference
from tests.program import metadata_at

SYSTEMS = (32733, 3031, 3413, 5041, 3035, 2154, 5070, 3395, 6933, 4326, 4258)
SPHERE = "+proj=sinu +lon_0=0 +R=6371007.181"
WGS84 = {"semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}
FORMATS = pytest.mark.parametrize("suffix", ["zarr", "nc"])


def gridded(
    suffix: str,
    folder: Path,
    said: dict[str, Any],
    shape: tuple[int, int] = (7, 6),
    units: tuple[str, str] = ("m", "m"),
) -> Path:
    """A file of xarray: pixels of 3, their upper left corner at (10, 50)."""
    rows, cols = shape
    cube = xarray.DataArray(
        np.ones((3, rows, cols), "int16"),
        dims=("band", "y", "x"),
        coords={
            "y": ("y", 48.5 - 3 * np.arange(rows), {"units": units[1]}),
            "x": ("x", 11.5 + 3 * np.arange(cols), {"units": units[0]}),
            "crs": ((), 0, said),
        },
        attrs={"grid_mapping": "crs"},
    )
    path = folder / f"x.{suffix}"
    to = cube.to_dataset(name="a")
    if suffix == "nc":
        to.to_netcdf(path, engine="h5netcdf")
    else:
        to.to_zarr(path, zarr_format=2, consolidated=False)
    return path


def place_of(path: Path) -> Georeference:
    return metadata_at(path).georeference


def parameters(system: pyproj.CRS) -> dict[str, Any]:
    said = {name: value for name, value in system.to_cf().items() if name != "crs_wkt"}
    return {n: list(value) if isinstance(value, tuple) else value for n, value in said.items()}


@FORMATS
@pytest.mark.parametrize("code", [*SYSTEMS, SPHERE])
def test_a_grid_mapping_of_parameters_is_the_system_that_they_come_from(
    code: int | str, suffix: str, tmp_path: Path
) -> None:
    system = pyproj.CRS(code)
    degrees = ("degrees_east", "degrees_north")
    units = degrees if system.is_geographic else ("m", "m")
    place = place_of(gridded(suffix, tmp_path, parameters(system), (2, 3), units))
    assert place.transform == Affine(3, 0, 10, 0, -3, 50)
    area = system.area_of_use
    at = ((2 * area.east + area.west) / 3, (2 * area.north + area.south) / 3) if area else (9, 48)
    expected, found = (
        pyproj.Transformer.from_crs(each.geodetic_crs, each, always_xy=True).transform(*at)
        for each in (system, pyproj.CRS(place.crs_wkt))
    )
    assert found == pytest.approx(expected, abs=1e-8 if system.is_geographic else 1e-3)


@FORMATS
def test_the_false_origin_is_in_the_unit_of_the_coordinates(suffix: str, tmp_path: Path) -> None:
    said = parameters(pyproj.CRS(32733))
    said |= {name: said[name] / 1000 for name in ("false_easting", "false_northing")}
    place = place_of(gridded(suffix, tmp_path, said, units=("km", "km")))
    assert place.transform == Affine(3e3, 0, 10e3, 0, -3e3, 50e3)
    assert CRS.from_wkt(place.crs_wkt).to_epsg() == 32733


@FORMATS
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"semi_major_axis": None}, "names no ellipsoid; taken as WGS 84"),
        (
            {
                "semi_major_axis": 6377563.396,
                "inverse_flattening": 299.3249646,
                "horizontal_datum_name": "OSGB36",
            },
            "of the datum 'OSGB36' only the ellipsoid is used",
        ),
    ],
)
def test_what_is_not_known_of_the_datum_is_told(
    said: dict[str, Any], words: str, suffix: str, tmp_path: Path
) -> None:
    mapping = {"grid_mapping_name": "transverse_mercator", **WGS84, **said}
    mapping = {name: value for name, value in mapping.items() if value is not None}
    path = gridded(suffix, tmp_path, mapping)
    with pytest.warns(HsisrWarning, match=words):
        assert "Transverse Mercator" in str(place_of(path).crs_wkt)


@FORMATS
@pytest.mark.parametrize(
    ("shape", "name"), [((1, 6), "y"), ((7, 1), "x"), ((1, 1), "x")], ids=["row", "column", "pixel"]
)
def test_a_single_row_or_column_is_told_or_lies_where_the_transform_says(
    shape: tuple[int, int], name: str, suffix: str, tmp_path: Path
) -> None:
    said = parameters(pyproj.CRS(32633))
    with pytest.warns(HsisrWarning) as heard:
        assert place_of(gridded(suffix, tmp_path / "", said, shape)).transform is None
    (one,) = heard
    assert str(one.message).endswith(
        f"{name} has a single number: no place is taken from coordinates"
    )
    (tmp_path / "told").mkdir()
    said["GeoTransform"] = "10 3 0 50 0 -3"
    place = place_of(gridded(suffix, tmp_path / "told", said, shape))
    assert place.transform == Affine(3, 0, 10, 0, -3, 50)
    (tmp_path / "cut").mkdir()
    said["GeoTransform"] = "4 3 0 59 0 -3"  # that of the whole, of which this is a part
    with pytest.warns(HsisrWarning, match="GeoTransform left out: the coordinates"):
        place = place_of(gridded(suffix, tmp_path / "cut", said, shape))
    assert place.transform == Affine(3, 0, 10, 0, -3, 50)
