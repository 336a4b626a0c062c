"""Where netCDF outputs lie for SNAP, after its source, and still for GDAL and rioxarray.

SNAP itself is not run. Its reader of CF netCDF looks at variables named longitude and latitude (lon
and lat, too) and at nothing else: of one axis each, they are an even grid in WGS 84; of rows and
columns, they are the positions of the pixels (snap-engine, commit 08af332, `CfGeocodingPart`).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform as warp_points

from hsisr.io.products import netcdf_writer
from tests.program import metadata_at, succeed

xarray = pytest.importorskip("xarray")
rioxarray = pytest.importorskip("rioxarray")
ROWS, COLS, SCALE = 6, 9, 2
GRIDS = {
    "utm": ("EPSG:32633", Affine(30, 0, 364_095, 0, -30, 5_809_965)),
    "turned": ("EPSG:32633", Affine(29, 7, 364_095, 7, -29, 5_809_965)),
    "degrees": ("EPSG:4326", Affine(0.01, 0, 10, 0, -0.02, 50)),
    "turned degrees": ("EPSG:4326", Affine(0.01, 0.003, 10, 0.003, -0.01, 50)),
    "polar": ("EPSG:3031", Affine(1000, 0, 1_200_000, 0, -1000, 900_000)),
    "date line": ("EPSG:32601", Affine(500, 0, 298_000, 0, -500, 500_000)),
}


def finer(folder: Path, crs: str | None, transform: Affine) -> Path:
    """A netCDF output of a scene that lies there."""
    size = {"count": 3, "height": ROWS, "width": COLS, "dtype": "int16", "nodata": -9999}
    with rasterio.open(folder / "in.tif", "w", crs=crs, transform=transform, **size) as image:
        image.write(np.arange(3 * ROWS * COLS, dtype=np.int16).reshape(3, ROWS, COLS) + 1)
    out = folder / "out.nc"
    succeed("upscale", folder / "in.tif", "-s", SCALE, "-m", "nearest", "-o", out)
    return out


def by_snap(path: Path) -> Any:
    """Longitudes and latitudes of pixel centres as SNAP takes them."""
    with xarray.open_dataset(path) as file:
        _, rows, cols = file["data"].shape
        x, y = (file[name].to_numpy() for name in ("longitude", "latitude"))
    if x.ndim == 1:
        assert (len(x), len(y)) == (cols, rows)
        steps = (x[-1] - x[0]) / (cols - 1), (y[-1] - y[0]) / (rows - 1)
        return np.meshgrid(x[0] + steps[0] * np.arange(cols), y[0] + steps[1] * np.arange(rows))
    assert x.shape == y.shape == (rows, cols)
    return x, y


def by_rasterio(crs: Any, transform: Affine, shape: tuple[int, int]) -> Any:
    rows, cols = shape
    grid: Any = transform  # takes arrays too
    x, y = grid @ np.meshgrid(np.arange(cols) + 0.5, np.arange(rows) + 0.5)
    found = warp_points(crs, "EPSG:4326", x.ravel(), y.ravel())
    return (np.reshape(degrees, shape) for degrees in found)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # rioxarray's use of affine
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", GRIDS)
def test_snap_finds_each_pixel_where_its_grid_has_it(
    name: str, exact: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exact:
        monkeypatch.setattr(netcdf_writer, "_EXACT_POINTS", 20)
    crs, transform = GRIDS[name]
    path = finer(tmp_path, crs, transform)
    fine = transform @ Affine.scale(1 / SCALE)
    x, y = by_rasterio(crs, fine, (SCALE * ROWS, SCALE * COLS))
    found = by_snap(path)
    np.testing.assert_allclose((found[0] - x + 180) % 360 - 180, 0, atol=1e-9 if exact else 1e-4)
    np.testing.assert_allclose(found[1], y, rtol=0, atol=1e-9 if exact else 1e-4)
    with rasterio.open(path) as plain, rasterio.open(f"netcdf:{path}:data") as named:
        for image in (plain, named):
            assert image.crs == rasterio.CRS.from_string(crs)
            assert image.transform.almost_equals(fine, 1e-6)
    with xarray.open_dataset(path, decode_coords="all") as file:
        assert {"longitude", "latitude"} <= set(file["data"].coords)
        assert file["data"].rio.transform().almost_equals(fine, 1e-6)
    ours = metadata_at(path)
    assert ours.geolocation is None
    assert ours.georeference.transform is not None
    assert ours.georeference.transform.almost_equals(fine, 1e-6)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (None, Affine(30, 0, 5, 0, -30, 50)),
        ("+proj=eqc +R=1737400", Affine(30, 0, 5, 0, -30, 50)),  # the Moon
        ("EPSG:32633", Affine(1e9, 0, 0, 0, -1e9, 0)),
    ],
)
def test_what_lies_nowhere_on_earth_has_no_degrees(
    crs: str | None, transform: Affine, tmp_path: Path
) -> None:
    with xarray.open_dataset(finer(tmp_path, crs, transform)) as file:
        assert not {"longitude", "latitude"} & set(file.variables)
        assert file["data"].shape == (3, SCALE * ROWS, SCALE * COLS)
