"""Scenes drawn at random: what other programs read of an output is what was put into the scene.

Scenes are written with rasterio, netCDF4 or by hand, outputs read with rasterio, SPy, xarray and
SciPy; hsisr's own reading has to agree.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import scipy.io
from affine import Affine
from rasterio.warp import transform as warp_points
from spectral.io import envi

import hsisr
from hsisr.io.geotiff.gdal import gdal_env
from tests.scenes import write_envi, write_geotiff

netCDF4 = pytest.importorskip("netCDF4")  # noqa: N816 - its own name
xarray = pytest.importorskip("xarray")

Numbers = npt.NDArray[np.float64]
SYSTEMS = {
    "EPSG:32633": (30.0, 364_095.0, 5_809_965.0),
    "EPSG:32733": (20.0, 500_010.0, 6_200_040.0),
    "EPSG:4326": (0.0003, -120.25, -33.5),
    "EPSG:3031": (60.0, -1_500_000.0, 800_000.0),
    "EPSG:2227": (5.0, 6_000_000.0, 2_100_000.0),  # in US survey feet
}
"""Reference systems, the side of a pixel, an origin."""
OUTPUTS = ("o.tif", "cog.tif", "o.hdr", "o.nc", "o.zarr", "o.mat")


@dataclass(frozen=True, eq=False)
class Known:
    """What a file holds: physical values (bands, rows, cols), NaN where invalid; lists by band."""

    values: Numbers
    transform: Affine
    crs: str
    spectral: Mapping[str, list[float]]


@dataclass(frozen=True, eq=False)
class Scene(Known):
    """One that was drawn, and how it is stored."""

    stored: npt.NDArray[Any]
    nodata: float | None
    scales: Numbers


def drawn(random: Any, *, turned: bool, alike: bool) -> Scene:
    """A scene; without `turned` its grid is straight, with `alike` all bands have one scale."""
    bands, rows, cols = (int(n) for n in random.integers((3, 4, 4), (12, 12, 12)))
    dtype = str(random.choice(["uint8", "int16", "uint16", "int32", "float32"]))
    stored = random.integers(5, 100, (bands, rows, cols)).astype(dtype)
    nodata = None if random.random() < 0.3 else float(random.choice([0, 255, 1]))
    if nodata is not None:
        stored[stored == nodata] += 1
        stored[random.random(stored.shape) < 0.05] = nodata
    scales = np.full(bands, random.choice([1, 1e-4, 0.5]))
    if not alike and random.random() < 0.5:
        scales = np.round(random.uniform(0.001, 0.02, bands), 6)
    values = np.where(stored == nodata, np.nan, stored * scales[:, None, None])
    crs = str(random.choice(list(SYSTEMS)))
    side, x, y = SYSTEMS[crs]
    angle = float(random.uniform(-170, 170)) if turned and random.random() < 0.4 else 0.0
    up = -1 if angle or random.random() < 0.7 else 1
    grid = Affine.translation(x, y) @ Affine.rotation(angle) @ Affine.scale(side, up * side)
    spectral = {
        "wavelength": np.round(random.uniform(400, 2400, bands), 2).tolist(),
        "fwhm": np.round(random.uniform(4, 12, bands), 2).tolist(),
        "bbl": (random.random(bands) > 0.2).astype(float).tolist(),
    }
    return Scene(values, grid, crs, spectral, stored, nodata, scales)


def in_geotiff(random: Any, scene: Scene, folder: Path) -> Path:
    unit, factor = ("Micrometers", 1e-3) if random.random() < 0.5 else ("Nanometers", 1)
    factors = {"wavelength": factor, "fwhm": factor, "bbl": 1}
    tags = [
        {"wavelength_units": unit}
        | {name: f"{scene.spectral[name][band] * by:.9g}" for name, by in factors.items()}
        for band in range(len(scene.stored))
    ]
    kind: dict[str, Any] = {"crs": scene.crs, "transform": scene.transform, "nodata": scene.nodata}
    kind |= {"ENDIANNESS": str(random.choice(["BIG", "LITTLE"])), "ALPHA": "NO"}
    path = write_geotiff(folder / "a b.tif", scene.stored, band_tags=tags, **kind)
    with gdal_env(), rasterio.open(path, "r+") as file:
        file.scales = scene.scales
        file.update_tags(AREA_OR_POINT=str(random.choice(["Area", "Point"])))
    return path


def in_envi(random: Any, scene: Scene, folder: Path) -> Path:
    lists = {**scene.spectral, "data gain values": scene.scales.tolist()}
    fields = {name: "{" + ", ".join(map(str, numbers)) + "}" for name, numbers in lists.items()}
    fields["wavelength units"] = "Nanometers"
    if scene.nodata is not None:
        fields["data ignore value"] = f"{scene.nodata:g}"
    grid, wkt = scene.transform, rasterio.CRS.from_string(scene.crs).to_wkt(version="WKT1_ESRI")
    fields["map info"] = f"{{Arbitrary, 1, 1, {grid.c}, {grid.f}, {grid.a}, {-grid.e}}}"
    fields["coordinate system string"] = f"{{{wkt}}}"
    layout: dict[str, Any] = {"interleave": str(random.choice(["bsq", "bil", "bip"]))}
    layout |= {"big_endian": bool(random.random() < 0.5), "offset": int(random.integers(0, 40))}
    return write_envi(folder / "ä.hdr", scene.stored, fields, **layout)


def in_netcdf(random: Any, scene: Scene, folder: Path) -> Path:
    order = [[0, 1, 2], [1, 2, 0]][int(random.integers(2))]
    names = np.array(["band", "y", "x"])[order]
    grid, shape = scene.transform, scene.stored.shape
    with netCDF4.Dataset(folder / "a.nc", "w") as file:
        for name, size in zip(("band", "y", "x"), shape, strict=True):
            file.createDimension(name, size)
        fill = False if scene.nodata is None else scene.stored.dtype.type(scene.nodata)
        cube = file.createVariable("cube", scene.stored.dtype, names, fill_value=fill)
        cube.set_auto_maskandscale(False)
        cube[...] = scene.stored.transpose(order)
        cube.setncatts({"scale_factor": scene.scales[0], "grid_mapping": "crs"})
        wkt = rasterio.CRS.from_string(scene.crs).to_wkt()
        file.createVariable("crs", "i4", ()).setncatts({"crs_wkt": wkt})
        for name, first, step in (("y", grid.f, grid.e), ("x", grid.c, grid.a)):
            places = file.createVariable(name, "f8", (name,))
            places[:] = first + step * (np.arange(len(places)) + 0.5)
        for name, numbers in scene.spectral.items():
            file.createVariable(name, "f8", ("band",))[:] = numbers
            file[name].units = "nm"
    return folder / "a.nc"


KINDS = {"GeoTIFF": in_geotiff, "ENVI": in_envi, "netCDF": in_netcdf}


def by_gdal(path: Path) -> Known:
    with gdal_env(), rasterio.open(path) as file:
        numbers, valid = file.read(), file.read_masks() > 0
        tags = [file.tags(index) for index in file.indexes]
        factor = 1e3 if tags[0].get("wavelength_units") == "Micrometers" else 1
        spectral = {
            name: [float(tag[name]) * (1 if name == "bbl" else factor) for tag in tags]
            for name in ("wavelength", "fwhm", "bbl")
            if name in tags[0]
        }
        values = numbers * np.array(file.scales)[:, None, None]
        return Known(np.where(valid, values, np.nan), file.transform, file.crs.to_wkt(), spectral)


def by_spy(path: Path) -> Known:
    found, image = envi.read_envi_header(path), envi.open(path)
    numbers = np.array(image.open_memmap(interleave="bip")).transpose(2, 0, 1)
    factor = 1e3 if found["wavelength units"] == "Micrometers" else 1
    spectral = {
        name: [float(text) * (1 if name == "bbl" else factor) for text in found[name]]
        for name in ("wavelength", "fwhm", "bbl")
    }
    gains = np.array([float(text) for text in found.get("data gain values", ["1"])])
    ignored = float(found.get("data ignore value", "nan"))
    values = np.where(numbers == ignored, np.nan, numbers * gains[:, None, None])
    return replace(by_gdal(path.with_suffix(".img")), values=values, spectral=spectral)


def by_xarray(path: Path) -> Known:
    file = xarray.open_zarr(path) if path.suffix == ".zarr" else xarray.open_dataset(path)
    with closing(file):
        scales = file["band_scale"].to_numpy() if "band_scale" in file else np.ones(1)
        values = file["data"].to_numpy().astype(float) * scales[:, None, None]
        if "mask" in file:
            values = np.where(file["mask"].to_numpy() > 0, values, np.nan)
        names = {"wavelength": "wavelength", "fwhm": "fwhm", "bbl": "good_bands"}
        spectral = {name: file[own].to_numpy().astype(float) for name, own in names.items()}
        place = file["spatial_ref"].attrs
        grid = Affine.from_gdal(*map(float, place["GeoTransform"].split()))
        return Known(values, grid, place["crs_wkt"], spectral)


def by_scipy(path: Path) -> Known:
    file = scipy.io.loadmat(path)
    numbers = file["data"].transpose(2, 0, 1).astype(float)
    numbers[numbers == file.get("nodata", np.array([[np.nan]]))[0, 0]] = np.nan
    factor = 1e3 if file["wavelength_units"][0] == "Micrometers" else 1
    spectral = {
        "wavelength": (file["wavelengths"][0] * factor).tolist(),
        "fwhm": (file["fwhm"][0] * factor).tolist(),
        "bbl": file["bbl"][0].astype(float).tolist(),
    }
    values = numbers * file.get("scales", np.ones((1, 1)))[0][:, None, None]
    return Known(values, Affine(*file["transform"][0]), str(file["crs_wkt"][0]), spectral)


READERS = {".tif": by_gdal, ".hdr": by_spy, ".nc": by_xarray, ".zarr": by_xarray, ".mat": by_scipy}


def by_hsisr(path: Path) -> Known:
    with closing(hsisr.open_scene(path)) as scene:
        cube, meta = scene.read(), scene.metadata
        axis, place = meta.spectral_axis, meta.georeference
        scales = np.array(meta.stored.scales or (1.0,))[:, None, None]
        spectral = {
            "wavelength": list(axis.wavelengths_nm or ()),
            "fwhm": list(axis.fwhm_nm or ()),
            "bbl": [float(good) for good in axis.good or ()],
        }
        values = np.where(cube.valid, cube.values * scales, np.nan)
        return Known(values, place.transform or Affine.identity(), place.crs_wkt or "", spectral)


def on_earth(place: Known, pixels: Sequence[tuple[int, int]]) -> Numbers:
    """Longitudes and latitudes of corners of pixels."""
    x, y = zip(*(place.transform @ pixel for pixel in pixels), strict=True)
    return np.array(warp_points(rasterio.CRS.from_string(place.crs), "EPSG:4326", x, y))


@pytest.mark.filterwarnings("ignore::hsisr.errors.HsisrWarning")
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("seed", range(36))
def test_what_others_read_of_an_output_is_what_was_put_in(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    kind, name = list(KINDS)[seed % 3], str(random.choice(OUTPUTS))
    scene = drawn(random, turned=kind == "GeoTIFF", alike=kind == "netCDF")
    path, out = KINDS[kind](random, scene, tmp_path), tmp_path / f"out-{name}"
    scale, (bands, rows, cols) = int(random.choice([2, 4])), scene.stored.shape
    row, col, first = (int(random.integers(0, side - 2)) for side in (rows, cols, bands))
    window, chosen = (row, col, rows - row - 1, cols - col - 1), slice(first, bands - 1)
    how: dict[str, Any] = {"window": window, "bands": f"{first + 1}-{bands - 1}"}
    how |= {"format": "COG" if name == "cog.tif" else None, "scale": scale, "threads": 1}
    made = hsisr.upscale(path, out, model=str(random.choice(["bicubic", "nearest"])), **how)
    expected = Known(
        scene.values[chosen, row : rows - 1, col : cols - 1],
        scene.transform @ Affine.translation(col, row),
        scene.crs,
        {name: numbers[chosen] for name, numbers in scene.spectral.items()},
    )
    for found in (READERS[out.suffix](out), by_hsisr(out)):
        blocks = found.values.reshape(-1, window[2], scale, window[3], scale)
        slack = (1 if made.moved_values else 1e-5) * scene.scales.max()
        np.testing.assert_allclose(blocks.mean(axis=(2, 4)), expected.values, 1e-5, slack)
        assert np.isfinite(blocks).sum() == scale**2 * np.isfinite(expected.values).sum()
        for field, numbers in expected.spectral.items():
            np.testing.assert_allclose(found.spectral[field], numbers, rtol=1e-7)
        fine, coarse = ((0, 0), (cols * scale, rows * scale)), ((0, 0), (cols, rows))
        np.testing.assert_allclose(on_earth(found, fine), on_earth(expected, coarse), 0, 1e-6)
