"""Scenes in sensor geometry: positions on the finer grid, beside outputs, and the map grid."""

import itertools
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.warp import Resampling, reproject

from hsisr.io.open import find_scenes, open_scene
from hsisr.io.products.ortho import nearest_pixels
from hsisr.scene.georeference import Geolocation
from hsisr.tiling import Window
from tests.products import fixtures
from tests.products.fixtures import write_emit
from tests.program import hsisr, metadata_at, refusal, succeed

xarray = pytest.importorskip("xarray")
ROWS, COLS, BANDS = 24, 20, 12


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("emit") / "EMIT.nc"
    write_emit(path, rows=ROWS, cols=COLS, every=24)
    return path


def made(product: Path, output: Path, *more: str, scale: int = 2) -> Path:
    succeed("upscale", product, "-o", output, "-s", scale, "-m", "bicubic", *more)
    return output


def facts(path: Path) -> tuple[object, ...]:
    """What an output in any layout says like its product."""
    found = metadata_at(path)
    return found.spectral_axis, found.header, found.stored


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_plane_of_positions_is_met_exactly(scale: int) -> None:
    r, c = np.mgrid[:5, :4] + 0.5
    places = Geolocation(longitude=10 + 0.1 * c + 0.02 * r, latitude=50 - 0.1 * r + 0.01 * c)
    fine = places.finer(scale)
    r, c = (np.mgrid[: 5 * scale, : 4 * scale] + 0.5) / scale
    longitude, latitude = fine.positions(0, 5 * scale)
    np.testing.assert_allclose(longitude, 10 + 0.1 * c + 0.02 * r, rtol=0, atol=1e-12)
    np.testing.assert_allclose(latitude, 50 - 0.1 * r + 0.01 * c, rtol=0, atol=1e-12)
    part = fine.positions(3, 7, 2, 5)
    np.testing.assert_allclose(part[0], longitude[3:7, 2:5], rtol=0, atol=1e-12)
    back = fine.coarser(scale)
    np.testing.assert_allclose(back.longitude, places.longitude, rtol=0, atol=1e-12)


def test_positions_cross_the_date_line() -> None:
    c = np.arange(6) * 0.2 + np.zeros((3, 1))
    longitude = (179.5 + c + 180) % 360 - 180
    fine = Geolocation(longitude=longitude, latitude=np.zeros((3, 6))).finer(2)
    steps = np.diff(fine.positions(0, 6)[0], axis=1) % 360
    np.testing.assert_allclose(steps, 0.1, atol=1e-9)


@pytest.mark.parametrize("scale", [2, 4])
def test_points_and_block_means_are_the_files(product: Path, scale: int, tmp_path: Path) -> None:
    succeed("upscale", product, "-o", tmp_path / "out.tif", "-s", scale, "-m", "bicubic")
    with rasterio.open(tmp_path / "out.tif") as out, h5py.File(product) as file:
        points, crs = out.gcps
        blocks = out.read(1).reshape(ROWS, scale, COLS, scale)
        observed = file["reflectance"][:, :, 0]
        assert crs.to_epsg() == 4326
        assert len(points) > 100
        for point in points:
            row, col = point.row / scale - 0.5, point.col / scale - 0.5
            assert (row % 1, col % 1) == (0, 0)
            assert point.x == pytest.approx(file["location/lon"][int(row), int(col)], abs=1e-9)
            assert point.y == pytest.approx(file["location/lat"][int(row), int(col)], abs=1e-9)
    valid = observed != -9999
    assert ((blocks == -9999).all(axis=(1, 3)) == ~valid).all()
    np.testing.assert_allclose(blocks.mean(axis=(1, 3))[valid], observed[valid], rtol=1e-4)


def test_positions_lie_beside_a_geotiff(product: Path, tmp_path: Path) -> None:
    for output, files in (("fine.tif", "fine.tif, fine.lonlat.tif"), ("fine.nc", "fine.nc")):
        done = hsisr("upscale", product, "-o", tmp_path / output, "-s", 2, "-m", "bicubic")
        assert done.stderr.startswith(f"EMIT.nc -> {files}\n")
    with open_scene(product) as scene, rasterio.open(tmp_path / "fine.lonlat.tif") as beside:
        assert scene.metadata.geolocation is not None
        expected = scene.metadata.geolocation.finer(2).positions(0, 2 * ROWS)
        assert beside.descriptions == ("longitude", "latitude")
        np.testing.assert_array_equal(beside.read(), expected)
    again = hsisr("upscale", product, "-o", tmp_path / "fine.tif", "-s", 2, "-m", "bicubic")
    assert again.exit_code == 1
    assert find_scenes(tmp_path) == [tmp_path / "fine.nc", tmp_path / "fine.tif"]


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_netcdf_holds_positions_that_others_understand(product: Path, tmp_path: Path) -> None:
    path = made(product, tmp_path / "fine.nc")
    with h5py.File(product) as observed:
        corner = [float(observed[f"location/{name}"][-1, -1]) for name in ("lon", "lat")]
    with xarray.open_dataset(path) as file:
        assert file["data"].shape == (BANDS, 2 * ROWS, 2 * COLS)
        assert {"longitude", "latitude", "wavelength"} <= set(file["data"].coords)
        blocks = [file[name].to_numpy()[-2:, -2:].mean() for name in ("longitude", "latitude")]
        np.testing.assert_allclose(blocks, corner, atol=3e-5)
        assert np.isnan(file["data"].to_numpy()[:, :4, :6]).all()
    with rasterio.open(f"netcdf:{path}:data") as gdal:
        assert gdal.count == BANDS
        told = gdal.tags(ns="GEOLOCATION")
        assert told["X_DATASET"].endswith(":longitude")
        assert told["GEOREFERENCING_CONVENTION"] == "PIXEL_CENTER"
    assert facts(path) == facts(product)


def by_brute_force(scene: Any, scale: int) -> tuple[Any, Any]:
    """For each pixel of the finer map grid: seen or not, and its distance to the nearest centre."""
    places, table = scene.metadata.geolocation, scene.metadata.geolocation.table
    lon, lat = places.finer(scale).positions(0, scene.metadata.rows * scale)
    shorter = np.cos(np.deg2rad(places.latitude.mean()))
    t = table.transform
    rows, cols = (n * scale for n in table.rows.shape)
    x = t.c + t.a * (np.arange(cols) + 0.5) / scale
    y = t.f + t.e * (np.arange(rows) + 0.5) / scale
    far = np.empty((rows, cols))
    for row in range(rows):
        squares = ((lon.ravel() - x[:, None]) * shorter) ** 2 + (lat.ravel() - y[row]) ** 2
        far[row] = squares.min(axis=1)
    return (table.rows != 0).repeat(scale, 0).repeat(scale, 1), np.sqrt(far)


def distances(scene: Any, scale: int, window: Window) -> npt.NDArray[np.float64]:
    """What `nearest_pixels` finds, as distances; NaN where it finds nothing."""
    places = scene.metadata.geolocation.finer(scale)
    table = places.table
    found = nearest_pixels(places, table, window)
    far = np.full((window.rows, window.cols), np.nan)
    if found is None:
        return far
    seen, rows, cols = found
    lon, lat = places.positions(0, scene.metadata.rows * scale)
    r, c = np.nonzero(seen)
    x = table.transform.c + table.transform.a * (c + window.col + 0.5) / scale
    y = table.transform.f + table.transform.e * (r + window.row + 0.5) / scale
    shorter = np.cos(np.deg2rad(places.latitude.mean()))
    far[seen] = np.hypot((lon[rows, cols] - x) * shorter, lat[rows, cols] - y)
    return far


@pytest.mark.parametrize("scale", [2, 4])
def test_the_finer_lookup_table_names_nearest_neighbours(product: Path, scale: int) -> None:
    with open_scene(product) as scene:
        seen, far = by_brute_force(scene, scale)
        found, (rows, cols) = np.full(seen.shape, np.nan), seen.shape
        for r, c in itertools.product(range(0, rows, 30), range(0, cols, 30)):
            part = Window(r, c, min(30, rows - r), min(30, cols - c))
            found[r : part.row_end, c : part.col_end] = distances(scene, scale, part)
    assert (np.isfinite(found) == seen).all()
    np.testing.assert_allclose(found[seen], far[seen], rtol=1e-6, atol=1e-12)


def corners(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of the upper left corners of pixels, which is what rasterio takes, from those of centres."""
    wide = np.pad(positions, ((1, 0), (1, 0)), mode="reflect", reflect_type="odd")
    return (wide[1:, 1:] + wide[:-1, 1:] + wide[1:, :-1] + wide[:-1, :-1]) / 4


@pytest.mark.parametrize("suffix", [".tif", ".nc", ".hdr"])
def test_ortho_is_where_gdal_warps_the_swath(product: Path, suffix: str, tmp_path: Path) -> None:
    swath, path = made(product, tmp_path / "swath.nc"), tmp_path / f"map{suffix}"
    made(product, path, "--ortho")
    with open_scene(path) as scene, h5py.File(product) as observed:
        west, step, _, north, _, _ = observed.attrs["geotransform"]
        shape = observed["location/glt_x"].shape
        transform = scene.metadata.georeference.transform
        assert transform is not None
        assert transform.almost_equals(rasterio.Affine(step / 2, 0, west, 0, -step / 2, north))
        assert rasterio.CRS.from_wkt(scene.metadata.georeference.crs_wkt or "").is_geographic
        assert scene.metadata.shape == (BANDS, 2 * shape[0], 2 * shape[1])
        ours = scene.read(bands=[2])
    with xarray.open_dataset(swath) as file:
        longitude, latitude = file["longitude"].to_numpy(), file["latitude"].to_numpy()
        band = file["data"].to_numpy()[2]
    warped = np.full(ours.values.shape[1:], np.nan, np.float32)
    reproject(
        band,
        warped,
        src_crs=rasterio.CRS.from_epsg(4326),
        dst_crs=rasterio.CRS.from_epsg(4326),
        dst_transform=transform,
        src_geoloc_array=(corners(longitude), corners(latitude)),
        resampling=Resampling.nearest,
        src_nodata=np.nan,
        dst_nodata=np.nan,
    )
    both = ours.valid[0] & np.isfinite(warped)
    assert both.mean() > 0.3
    # GDAL takes the sensor pixel that a centre lies in, we the one with the nearest centre
    assert (ours.values[0] == warped)[both].mean() > 0.9


def test_the_layout_of_emit_holds_the_refined_lookup_table(product: Path, tmp_path: Path) -> None:
    path = made(product, tmp_path / "EMIT_x2.nc", "--co", "LAYOUT=EMIT")
    made(product, tmp_path / "map.tif", "--ortho")
    with xarray.open_dataset(path, mask_and_scale=False) as file:
        cube, grid = file["reflectance"].to_numpy(), file.attrs["geotransform"]
    with xarray.open_dataset(path, group="location", mask_and_scale=False) as file:
        x, y = file["glt_x"].to_numpy(), file["glt_y"].to_numpy()
    with rasterio.open(tmp_path / "map.tif") as ortho:
        gathered = np.where((x > 0)[..., None], cube[y - 1, x - 1], -9999)
        np.testing.assert_array_equal(ortho.read(), gathered.transpose(2, 0, 1))
        assert ortho.transform.almost_equals(rasterio.Affine.from_gdal(*grid))
    assert facts(path) == facts(product)
    with open_scene(path) as ours, open_scene(product) as observed:
        assert ours.format == "EMIT"
        assert ours.metadata.tags["title"] == observed.metadata.tags["title"]
        places, coarse = ours.metadata.geolocation, observed.metadata.geolocation
        assert places is not None
        assert coarse is not None
        np.testing.assert_array_equal(places.longitude, coarse.finer(2).positions(0, 2 * ROWS)[0])


def test_killed_runs_leave_none(
    product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends between the renames of the positions and of the scene."""
    target, link = tmp_path / "fine.tif", os.link

    def killed(source: Path, name: Path) -> None:
        if Path(name) == target:
            raise SystemExit(137)
        link(source, name)

    with monkeypatch.context() as without_cleaning:
        without_cleaning.setattr(os, "link", killed)
        without_cleaning.setattr("hsisr.io.atomic._remove", lambda _: None)
        without_cleaning.setattr("shutil.rmtree", lambda *_, **__: None)
        hsisr("upscale", product, "-o", target, "-s", 2, "-m", "bicubic")
    assert (tmp_path / "fine.lonlat.tif").is_file()
    assert not target.exists()
    made(product, target)
    assert sorted(p.name for p in tmp_path.glob("[!.]*")) == ["fine.lonlat.tif", "fine.tif"]


def test_a_finished_ortho_output_is_known_again(product: Path, tmp_path: Path) -> None:
    path = made(product, tmp_path / "map.tif", "--ortho")
    for leave in (True, False):
        more = ("--skip-existing", *(("--ortho",) if leave else ()))
        told = hsisr("upscale", product, "-o", path, "-s", 2, "-m", "bicubic", *more)
        assert ("left out" in told.stderr) == leave


def test_packed_positions_are_unpacked(tmp_path: Path) -> None:
    x, y = np.meshgrid(13 + 0.01 * np.arange(8), 52 - 0.01 * np.arange(6))
    with h5py.File(tmp_path / "x.nc", "w") as file:
        file["cube"] = np.ones((3, 6, 8), np.uint16)
        for name, degrees in (("lon", x), ("lat", y)):
            file[name] = np.rint(degrees * 1000).astype("int32")
            file[name][0, 0] = -1
            file[name].attrs.update(scale_factor=1e-3, _FillValue=np.int32(-1))
    places = metadata_at(tmp_path / "x.nc", axes="brc").geolocation
    assert places is not None
    x[0, 0] = y[0, 0] = np.nan
    np.testing.assert_allclose(places.longitude, x, atol=1e-9)
    np.testing.assert_allclose(places.latitude, y, atol=1e-9)


SWATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "emit": ("EMIT.nc", {"every": 24}),
    "pace": ("PACE.nc", {}),
    "prisma": ("PRS.he5", {"level": "L2C"}),
    "tanager": ("T.h5", {"ortho": False}),
}


@pytest.mark.parametrize("product_of", SWATHS)
def test_a_window_of_a_swath_is_that_of_the_whole(product_of: str, tmp_path: Path) -> None:
    name, how = SWATHS[product_of]
    scene = tmp_path / name
    getattr(fixtures, f"write_{product_of}")(scene, **how)
    for scale in (2, 4) if product_of == "emit" else (2,):
        outputs = (tmp_path / f"whole{scale}.nc", tmp_path / f"part{scale}.nc")
        for output, more in zip(outputs, ((), ("--window", "3,4,5,4")), strict=True):
            made(scene, output, *more, scale=scale)
        own = {"y": slice(3 * scale, 8 * scale), "x": slice(4 * scale, 8 * scale)}
        with xarray.open_dataset(outputs[0]) as expected, xarray.open_dataset(outputs[1]) as found:
            for name in ("data", "longitude", "latitude"):
                np.testing.assert_array_equal(found[name], expected[name].isel(own))
    with rasterio.open(made(scene, tmp_path / "part.tif", "--window", "3,4,5,4")) as tif:
        points, _ = tif.gcps
    places = metadata_at(scene).geolocation
    assert places is not None
    assert [(point.row, point.col) for point in points[:2]] == [(1, 1), (1, 3)]
    assert (points[-1].row, points[-1].col) == (9, 7)
    assert (points[-1].x, points[-1].y) == (places.longitude[7, 7], places.latitude[7, 7])
    refused = hsisr("upscale", scene, "-o", tmp_path / "box.tif", "--bbox", "0,0,1,1")
    assert "give --window" in refusal(refused, 3)


def test_a_window_of_a_swath_lies_on_the_grid_of_the_whole(product: Path, tmp_path: Path) -> None:
    whole = made(product, tmp_path / "whole.tif", "--ortho")
    part = made(product, tmp_path / "part.tif", "--ortho", "--window", "5,4,12,9")
    table = metadata_at(product).geolocation.table  # type: ignore[union-attr]
    assert table is not None
    shown = (table.rows > 5) & (table.rows <= 17) & (table.cols > 4) & (table.cols <= 13)
    with rasterio.open(whole) as theirs, rasterio.open(part) as ours:
        (top, bottom), (left, right) = ((n.min(), n.max() + 1) for n in np.nonzero(shown))
        corner = ours.transform @ (0, 0)
        assert corner == pytest.approx(theirs.transform @ (2 * left, 2 * top), abs=1e-9)
        assert ours.shape == (2 * (bottom - top), 2 * (right - left))
        expected = theirs.read(3)[2 * top : 2 * bottom, 2 * left : 2 * right]
        found, shown = ours.read(3), shown[top:bottom, left:right].repeat(2, 0).repeat(2, 1)
    assert ((found != -9999) == shown).all()
    # at the border of the window the nearest pixel may lie beyond it
    assert (found == expected)[shown].mean() > 0.9


def test_a_window_without_data_is_no_damaged_product(product: Path, tmp_path: Path) -> None:
    how = ("-s", 2, "-m", "bicubic", "--window", "0,0,2,3", "-o", tmp_path / "o.tif")
    done = hsisr("upscale", product, *how)
    assert (done.exit_code, "no pixel is data, so none" in done.stderr) == (0, True), done.stderr
