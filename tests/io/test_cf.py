"""Places by CF: grid mappings given by parameters alone, single rows and columns."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import xarray
from affine import Affine
from rasterio import CRS

from hsisr.errors import HsisrWarning, InputDataError
from hsisr.io.arrays.axes import named_order, warn_if_unlikely
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.io.open import open_scene
from hsisr.scene.georeference import Georeference
from tests.io.written import metadata_of, write_scene, write_store
from tests.program import assert_holds, metadata_at
from tests.scenes import numbered

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
def test_parameters_mean_their_system(code: int | str, suffix: str, tmp_path: Path) -> None:
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
def test_unclear_datums_told(said: dict[str, Any], words: str, suffix: str, tmp_path: Path) -> None:
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
    words = f" {name} has a single number: no place is taken from coordinates$"
    with pytest.warns(HsisrWarning, match=words):
        assert place_of(gridded(suffix, tmp_path / "", said, shape)).transform is None
    (tmp_path / "told").mkdir()
    said["GeoTransform"] = "10 3 0 50 0 -3"
    place = place_of(gridded(suffix, tmp_path / "told", said, shape))
    assert place.transform == Affine(3, 0, 10, 0, -3, 50)
    (tmp_path / "cut").mkdir()
    said["GeoTransform"] = "4 3 0 59 0 -3"  # that of the whole, of which this is a part
    with pytest.warns(HsisrWarning, match="GeoTransform left out: the coordinates"):
        place = place_of(gridded(suffix, tmp_path / "cut", said, shape))
    assert place.transform == Affine(3, 0, 10, 0, -3, 50)


VALUES = numbered(4, 6, 8, "int16")


@pytest.mark.parametrize(
    ("names", "shape", "spectral", "order"),
    [
        (("downtrack", "crosstrack", "bands"), (6, 8, 4), None, "rcb"),  # EMIT
        (("lines", "samples", "wl"), (6, 8, 4), None, "rcb"),
        (("number_of_lines", "pixels_per_line", "wavelength_3d"), (6, 8, 4), None, "rcb"),  # PACE
        (("time", "band", "y", "x"), (1, 4, 6, 8), None, "1brc"),
        (("band", "time", "lat", "lon"), (4, 1, 6, 8), None, "b1rc"),
        (("time", "y", "x"), (1, 6, 8), None, "brc"),  # one band
        (("y", "x", "n"), (6, 8, 4), None, "rcb"),
        (("scanline", "ground_pixel", "spectral_channel"), (6, 8, 4), None, "rcb"),  # Sentinel-5P
        (("scanline", "fov", "n"), (6, 8, 4), "n", "rcb"),
        (("along_track_pixel", "cross_track_pixel", "spectral_pixel"), (6, 8, 4), None, "rcb"),
        (("bins_along_track", "bins_across_track", "red_bands"), (6, 8, 4), None, "rcb"),  # PACE
        (("y_dim", "x_index", "band_number"), (6, 8, 4), None, "rcb"),
        (("band_y", "band_x", "n"), (6, 8, 4), None, None),
        (("n", "y", "x"), (4, 6, 8), "n", "brc"),
        (("a", "b", "c"), (6, 8, 4), None, None),
        (("", "", ""), (6, 8, 4), None, None),
        (("dim_0", "dim_1", "n"), (6, 8, 4), "n", None),
        (("time", "y", "x"), (12, 6, 8), None, None),
        (("time", "band", "y", "x"), (2, 4, 6, 8), None, None),
        (("y", "x", "lat"), (6, 8, 4), None, None),
    ],
)
def test_dimension_names_tell_the_order_or_are_refused(
    names: tuple[str, ...], shape: tuple[int, ...], spectral: str | None, order: str | None
) -> None:
    if order is not None:
        assert named_order(names, shape, spectral) == order
        return
    with pytest.raises(InputDataError, match=r"do not tell rows, columns and bands apart.*--axes"):
        named_order(names, shape, spectral)


@pytest.mark.parametrize(
    ("axes", "shape", "advice"),
    [
        ("rcb", (31, 200, 240), "--axes brc"),
        ("rcb", (31, 256, 256), "--axes brc"),
        ("rcb", (31, 1392, 1300), "--axes brc"),
        ("rcb", (189, 50, 50), "--axes brc"),
        ("rcb", (240, 31, 200), "--axes rbc"),  # rows, bands, columns, as BIL has them
        ("brc", (240, 31, 200), "--axes rbc"),
        ("rcb", (242, 100, 1000), "--axes brc"),  # more bands than any sensor has
        ("rcb", (128, 128, 1506), None),  # microscopes
        ("brc", (40, 50, 31), "--axes rcb"),
        ("brc", (512, 512, 31), "--axes rcb"),
        ("brc", (512, 217, 204), "--axes rcb"),  # Salinas, as tifffile writes it
        ("brc", (31, 40, 50), None),
        ("brc", (224, 60, 40), None),
        ("brc", (224, 60, 60), None),
        ("rcb", (145, 145, 200), None),  # Indian Pines
        ("rcb", (83, 86, 204), None),  # Salinas-A
        ("rcb", (250, 191, 224), None),  # Cuprite
        ("rcb", (512, 217, 204), None),  # Salinas
        ("rcb", (1476, 256, 145), None),  # Botswana
    ],
)
def test_unlikely_orders_are_told(axes: str, shape: tuple[int, ...], advice: str | None) -> None:
    told = pytest.warns(HsisrWarning, match=advice) if advice else nullcontext()
    with told:
        warn_if_unlikely(Path("a.npy"), axes, shape)


def test_the_dimension_of_the_wavelengths_tells_the_cube_and_its_bands(tmp_path: Path) -> None:
    path = write_store(
        tmp_path / "a.zarr",
        {
            "angles": (("y", "x", "angle"), np.zeros((6, 8, 3))),
            "cube": (("n", "y", "x"), VALUES),
            "centres": (("n",), [0.4, 0.5, 0.6, 0.7]),
        },
        attributes={"centres": {"standard_name": "radiation_wavelength", "units": "um"}},
    )
    assert_holds(path, VALUES)
    assert metadata_at(path).spectral_axis.wavelengths_nm == (400.0, 500.0, 600.0, 700.0)


def test_a_single_time_is_no_axis_of_a_scene(tmp_path: Path) -> None:
    path = write_store(
        tmp_path / "a.zarr",
        {
            "cube": (("time", "band", "y", "x"), VALUES[None]),
            "other": (("time", "p", "q", "r"), VALUES.transpose(1, 2, 0)[None]),
        },
    )
    with open_scene(path, variable="cube") as scene:
        np.testing.assert_array_equal(scene.read(bands=[2, 0]).values, VALUES[[2, 0]])
    with pytest.raises(InputDataError, match="--axes"):
        open_scene(path, variable="other")
    assert_holds(path, VALUES, variable="other", axes="rcb")


def test_an_order_against_the_names_of_dimensions_is_told(tmp_path: Path) -> None:
    path = gridded("nc", tmp_path, {})
    for axes in ("rcb", "brc"):
        told = r"x\.nc: --axes rcb counts, although .* band, y, x, which is brc; leave it out"
        against = pytest.warns(HsisrWarning, match=told) if axes == "rcb" else nullcontext()
        with against, open_scene(path, axes=axes) as scene:
            assert scene.metadata.bands == (3 if axes == "brc" else 6)


def test_positions_whose_axes_are_the_other_way_round(tmp_path: Path) -> None:
    latitude = np.linspace(50, 51, 4)[:, None] + np.zeros((4, 4))
    places = {"lat": (("x", "y"), latitude.T), "lon": (("x", "y"), latitude - 40)}
    cube = {"a": (("x", "y", "band"), np.ones((4, 4, 3), "int16"))}
    xarray.Dataset({**cube, **places}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    found = metadata_at(tmp_path / "a.nc").geolocation
    assert found is not None
    np.testing.assert_array_equal(found.latitude, latitude)
    np.testing.assert_array_equal(found.longitude, latitude.T - 40)


KM = pyproj.CRS("+proj=utm +zone=33 +datum=WGS84 +units=km").to_wkt()


@FORMATS
@pytest.mark.parametrize(
    "crs", [KM, KM.replace('"kilometre"', '"km"'), None], ids=["kilometre", "km", "none"]
)
def test_lengths_that_look_like_longitudes_stay(
    crs: str | None, suffix: str, tmp_path: Path
) -> None:
    place = Georeference(crs_wkt=crs, transform=Affine(0.25, 0, 500, 0, -0.25, 4000))
    path = tmp_path / f"a.{suffix}"
    write_scene(path, metadata_of((2, 4, 6), place=place))
    assert place_of(path) == place
    name = f"netcdf:{path}:data" if suffix == "nc" else f'ZARR:"{path}":/data'
    with gdal_env(), rasterio.open(name) as image:
        assert image.transform.almost_equals(place.transform, 1e-6)
