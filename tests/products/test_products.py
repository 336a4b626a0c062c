"""Products: fields and pixels, as other readers see the same files."""

import itertools
import json
import re
import shlex
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import spectral.io.envi

from hsisr.commands.info import info
from hsisr.io.open import find_scenes, open_scene
from hsisr.tiling import Window
from tests.products import fixtures
from tests.products.fixtures import write_all
from tests.program import hsisr, metadata_at, succeed

xarray = pytest.importorskip("xarray")


@dataclass(frozen=True)
class Product:
    write: Callable[[Path], Any]
    name: str
    format: str
    told: dict[str, str | None]
    cube: Callable[[Path], Any]
    """Numbers (bands, rows, cols) by another reader."""
    wavelengths: Any
    nodata: float | None
    scale: float | None = None
    offset: float | None = None
    corner: tuple[int, float, float, float] | None = None
    """EPSG code, x and y of the upper left corner, pixel size; None: a swath."""
    bad: list[int] | None = None
    output: str = ".tif"


def fact(name: str, level: str, sensor: str, acquired: str | None, *sun: str) -> Any:
    keys = ("name", "level", "sensor", "acquired", "sun_azimuth", "sun_elevation")
    return dict(zip(keys, (name, level, sensor, acquired, *(sun or (None, None))), strict=True))


def prisma_by_h5py(path: Path) -> Any:
    with h5py.File(path) as file:
        swath = next(iter(file["HDFEOS/SWATHS"].values()))["Data Fields"]
        vnir, swir = swath["VNIR_Cube"][()], swath["SWIR_Cube"][()]
    kept = fixtures.PRISMA_VNIR[3:] < 942.96
    both = np.concatenate([vnir[:, 3:][:, kept][:, ::-1], swir[:, :-2][:, ::-1]], axis=1)
    return both.transpose(1, 0, 2)


_VNIR, _SWIR = fixtures.PRISMA_VNIR, fixtures.PRISMA_SWIR
PRISMA = np.sort([*_VNIR[(_VNIR > 0) & (_VNIR < 942.96)], *_SWIR[_SWIR > 0]])


def image_by_rasterio(path: Path) -> Any:
    folder = path if path.is_dir() else path.parent
    with rasterio.open(next(f for f in folder.iterdir() if "SPECTRAL" in f.name)) as image:
        return image.read()


def by_h5py(name: str, *axes: int) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        with h5py.File(path) as file:
            return file[name][()].transpose(axes)

    return read


def by_xarray(group: str | None, name: str, *axes: str) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        with xarray.open_dataset(path, group=group, mask_and_scale=False) as file:
            return file[name].transpose(*axes).to_numpy()

    return read


DLR = 423.03 + 20 * np.arange(5)
TIME = "2017-06-26T10:20:20.999936Z"
PRISMA_TIME = "2024-04-02T10:28:37.932000Z"
TANAGER = "2025-05-04T09:29:52.500Z"
HYP = "HDFEOS/{}/HYP/Data Fields/surface_reflectance"
EMIT = fixtures.EMIT_WAVELENGTHS[::12]
WATER = (EMIT > 1320) & (EMIT < 1440) | (EMIT > 1770) & (EMIT < 1960)
PRODUCTS = {
    "emit-l1b": Product(
        lambda path: fixtures.write_emit(path, level="L1B", every=12),
        "EMIT_L1B.nc",
        "EMIT",
        fact("EMIT L1B radiance", "L1B", "EMIT", "2022-08-27T06:07:53Z"),
        by_xarray(None, "radiance", "bands", "downtrack", "crosstrack"),
        *(EMIT, -9999),
    ),
    "emit-l2a": Product(
        lambda path: fixtures.write_emit(path, every=12),
        "EMIT_L2A.nc",
        "EMIT",
        fact("EMIT L2A reflectance", "L2A", "EMIT", "2022-08-27T06:07:53Z"),
        by_xarray(None, "reflectance", "bands", "downtrack", "crosstrack"),
        *(EMIT, -9999),
        bad=[int(band) + 1 for band in np.flatnonzero(WATER)],
    ),
    "prisma-l2d": Product(
        fixtures.write_prisma,
        "PRS_L2D.he5",
        "PRISMA",
        fact("PRISMA L2D reflectance", "L2D", "PRISMA", PRISMA_TIME, "161.25", "40.5"),
        *(prisma_by_h5py, PRISMA, 0, 1.3 / 65535, -0.1, (32632, 600_000, 5_949_990, 30)),
        output=".nc",
    ),
    "prisma-l1": Product(
        lambda path: fixtures.write_prisma(path, level="L1"),
        "PRS_L1.he5",
        "PRISMA",
        fact("PRISMA L1 radiance", "L1", "PRISMA", PRISMA_TIME, "161.25", "40.5"),
        *(prisma_by_h5py, PRISMA, None, 0.01, 0),
    ),
    "enmap": Product(
        fixtures.write_dlr,
        "enmap",
        "EnMAP",
        fact("EnMAP L2A reflectance", "L2A", "EnMAP", TIME, "149.11", "63.04"),
        *(image_by_rasterio, DLR, 0, 0.0001, 0, (32632, 600_000, 5_300_000, 30), [2], ".hdr"),
    ),
    "desis": Product(
        lambda path: fixtures.write_dlr(path, sensor="DESIS", level="L1C"),
        "desis",
        "DESIS",
        fact("DESIS L1C radiance", "L1C", "DESIS", TIME, "149.11", "63.04"),
        *(image_by_rasterio, DLR, 0, 0.0001, 0, (32632, 600_000, 5_300_000, 30), [2]),
    ),
    "neon": Product(
        fixtures.write_neon,
        "NEON_D17_SJER_DP1_20190607_160559_reflectance.h5",
        "NEON AOP",
        fact(
            *("NEON AOP L1 reflectance", "L1", "NEON Imaging Spectrometer"),
            *("2019-06-07T16:05:59Z", "163.5", "58.75"),
        ),
        by_h5py("SJER/Reflectance/Reflectance_Data", 2, 0, 1),
        *(np.linspace(383.9, 2511.9, 10), -9999, 0.0001, None, (32611, 257_000, 4_112_000, 1), [7]),
    ),
    "tanager-ortho": Product(
        fixtures.write_tanager,
        "ortho_sr.h5",
        "Tanager",
        fact("Tanager ortho surface_reflectance", "ortho", "Tanager", TANAGER, "120.25", "49.5"),
        by_h5py(HYP.format("GRIDS"), 0, 1, 2),
        np.linspace(376.4, 2499, 6),
        -9999,
        corner=(32613, 503_220, 4_410_990, 30),
        bad=[3, 5],
    ),
    "tanager-basic": Product(
        lambda path: fixtures.write_tanager(path, ortho=False),
        "basic_sr.h5",
        "Tanager",
        fact("Tanager basic surface_reflectance", "basic", "Tanager", TANAGER, "120.25", "49.5"),
        by_h5py(HYP.format("SWATHS"), 0, 1, 2),
        np.linspace(376.4, 2499, 6),
        -9999,
        bad=[3, 5],
    ),
    "aviris-3": Product(
        fixtures.write_aviris,
        "AV320240905t181848_000_L2A_OE_RFL_ORT.nc",
        "AVIRIS",
        fact("AVIRIS-3 L2A reflectance", "L2A", "AVIRIS-3", "2024-09-05T18:18:48Z"),
        by_xarray("reflectance", "reflectance", "wavelength", "northing", "easting"),
        np.linspace(390, 2490, 5),
        -9999,
        corner=(32611, 395_000, 3_778_005, 5),
        output=".nc",
    ),
    "pace": Product(
        fixtures.write_pace,
        "PACE_OCI.L2.SFREFL.nc",
        "PACE OCI",
        fact("PACE OCI L2 rhos", "L2", "OCI", "2024-07-01T17:51:12.345Z"),
        by_xarray(
            "geophysical_data", "rhos", "wavelength_3d", "number_of_lines", "pixels_per_line"
        ),
        *([346, 442, 555, 670, 865, 2258], -32767, 2e-5, 0.5),
        output=".nc",
    ),
}


@pytest.fixture(params=PRODUCTS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Product]:
    product = PRODUCTS[request.param]
    product.write(tmp_path / product.name)
    return tmp_path / product.name, product


def test_fields_and_pixels_are_those_of_the_file(case: tuple[Path, Product]) -> None:
    path, product = case
    told = json.loads(hsisr("info", path, "--json").stdout)
    cube = product.cube(path)
    assert told["format"] == product.format
    assert told["product"] == product.told
    assert [told["bands"], told["rows"], told["cols"]] == list(cube.shape)
    assert told["dtype"] == str(cube.dtype)
    assert told["nodata"] == product.nodata
    assert told["bad_bands"] == product.bad
    if product.corner is not None:
        assert told["pixel_m"] == pytest.approx([product.corner[3]] * 2)
    np.testing.assert_allclose(told["wavelengths_nm"], product.wavelengths, rtol=1e-6)
    for key, value in (("scales", product.scale), ("offsets", product.offset)):
        found = told[key] and told[key][0]
        assert found == (None if value is None else pytest.approx(value, rel=1e-5))
    np.testing.assert_array_equal(stored(path), cube)


def stored(path: Path) -> Any:
    with open_scene(path) as scene:
        whole = Window(0, 0, scene.metadata.rows, scene.metadata.cols)
        return scene.read_stored(whole, range(scene.metadata.bands))


def geotiff_by_gdal(path: Path) -> dict[str, Any]:
    with rasterio.open(path) as image:
        return {
            "wavelengths": [float(image.tags(band)["wavelength"]) for band in image.indexes],
            "time": image.tags(ns="ENVI")["acquisition_time"],
            "nodata": image.nodata,
            "scale": image.scales[0],
            "offset": image.offsets[0],
        }


def netcdf_by_xarray(path: Path) -> dict[str, Any]:
    with xarray.open_dataset(path, mask_and_scale=False) as file:
        said = file["data"].attrs
        assert "_CRS" not in said  # what Zarr files say to GDAL
        return {
            "wavelengths": file["wavelength"].to_numpy(),
            "time": file.attrs["time_coverage_start"],
            "nodata": said.get("_FillValue"),
            "scale": said.get("scale_factor", 1),
            "offset": said.get("add_offset", 0),
        }


def envi_by_spectral(path: Path) -> dict[str, Any]:
    said = spectral.io.envi.read_envi_header(str(path))
    return {
        "wavelengths": [float(number) for number in said["wavelength"]],
        "time": said["acquisition time"],
        "nodata": float(said["data ignore value"]),
        "scale": float(said["data gain values"][0]),
        "offset": float(said["data offset values"][0]),
    }


BY_OTHERS = {".tif": geotiff_by_gdal, ".nc": netcdf_by_xarray, ".hdr": envi_by_spectral}


@pytest.mark.parametrize("scale", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_outputs_are_where_it_is(case: tuple[Path, Product], scale: int, tmp_path: Path) -> None:
    path, product = case
    suffix, out = product.output, tmp_path / f"out{product.output}"
    done = succeed("upscale", path, "-o", out, "-s", scale, "-m", "bicubic")
    assert (": interpolated\n" in done.stderr) == bool(product.bad)  # by bicubic, as all are
    cube = product.cube(path)
    told = json.loads(hsisr("info", out, "--json").stdout)
    assert told["product"] == product.told
    seen = BY_OTHERS[suffix](out)
    np.testing.assert_allclose(seen["wavelengths"], product.wavelengths, rtol=1e-5)
    assert seen["time"] == product.told["acquired"]
    assert seen["nodata"] == product.nodata
    assert seen["scale"] == pytest.approx(product.scale or 1, rel=1e-5)
    assert seen["offset"] == pytest.approx(product.offset or 0, rel=1e-5)
    name = {".tif": out, ".hdr": out.with_suffix(".img"), ".nc": f"netcdf:{out}:data"}[suffix]
    with rasterio.open(name) as image:
        assert (image.count, *image.shape) == (len(cube), *(scale * n for n in cube.shape[1:]))
        if product.corner is not None:
            code, x, y, side = product.corner
            assert image.crs == rasterio.CRS.from_epsg(code)
            assert (image.transform.c, image.transform.f) == (x, y)
            assert (image.transform.a, image.transform.e) == (side / scale, -side / scale)
        elif suffix == ".nc":
            assert image.tags(ns="GEOLOCATION")["X_DATASET"].endswith("longitude")
        else:
            assert len(image.gcps[0]) > 10
            assert (tmp_path / "out.lonlat.tif").is_file()


pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
BY_GDAL = {
    "emit-l2a": "NETCDF:{}:/reflectance",
    "pace": "NETCDF:{}:/geophysical_data/rhos",
    "aviris-3": "NETCDF:{}:/reflectance/reflectance",
    "neon": 'HDF5:"{}"://SJER/Reflectance/Reflectance_Data',
    "tanager-ortho": 'HDF5:"{}"://HDFEOS/GRIDS/HYP/Data_Fields/surface_reflectance',
}
"""Names by which GDAL's own drivers take the cube; it may call another axis that of the bands."""


@pytest.mark.parametrize("kind", BY_GDAL)
def test_gdal_reads_the_same_numbers(kind: str, tmp_path: Path) -> None:
    product = PRODUCTS[kind]
    path = tmp_path / product.name
    product.write(path)
    ours = stored(path)
    as_it_lies = rasterio.Env(GDAL_NETCDF_BOTTOMUP="NO")
    with as_it_lies, rasterio.open(BY_GDAL[kind].format(path)) as image:
        theirs, place = image.read(), image.transform
    orders = (theirs.transpose(order) for order in itertools.permutations(range(3)))
    np.testing.assert_array_equal(ours, next(cube for cube in orders if cube.shape == ours.shape))
    if kind == "aviris-3":  # whose grid is CF's
        assert place == metadata_at(path).georeference.transform


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 4])
def test_the_default_takes_them_all(case: tuple[Path, Product], scale: int, tmp_path: Path) -> None:
    succeed("upscale", case[0], "-o", tmp_path / "out.tif", "-s", scale)


def test_pixels_in_sensor_geometry_have_a_ground_size(tmp_path: Path) -> None:
    fixtures.write_emit(tmp_path / "emit.nc", level="L1B", every=24)
    with h5py.File(tmp_path / "emit.nc") as file:
        places = np.stack([file[f"location/{name}"][10:12, 8:10] for name in ("lon", "lat")])
    metres = np.array([np.cos(np.deg2rad(places[1, 0, 0])), 1])[:, None] * 111_195
    across, along = places[:, 0, 1] - places[:, 0, 0], places[:, 1, 0] - places[:, 0, 0]
    sides = np.hypot(*(np.stack([across, along], 1) * metres))
    said = json.loads(hsisr("info", tmp_path / "emit.nc", "--json").stdout)["pixel_m"]
    np.testing.assert_allclose(said, sides, rtol=0.01)
    done = hsisr("upscale", tmp_path / "emit.nc", "-s", 2, "-m", "bicubic", "-o", tmp_path / "o.nc")
    assert f"pixels {sides[0]:.4g} m ->" in done.stderr
    said = json.loads(hsisr("info", tmp_path / "o.nc", "--json").stdout)["pixel_m"]
    np.testing.assert_allclose(said, sides / 2, rtol=0.01)


def test_a_turned_grid_of_aviris_stays_turned(tmp_path: Path) -> None:
    path = tmp_path / "AV320240905t181848_RFL_ORT.nc"
    fixtures.write_aviris(path, turned=True)
    succeed("upscale", path, "-o", tmp_path / "o.tif", "-s", 2, "-m", "bicubic")
    with rasterio.open(tmp_path / "o.tif") as image:
        expected = rasterio.Affine(2.45, 0.5, 395_000, 0.5, -2.45, 3_778_005)
        assert image.transform.almost_equals(expected)


def test_all_parts_of_an_enmap_product_open_the_same_scene(tmp_path: Path) -> None:
    xml = fixtures.write_dlr(tmp_path / "enmap")
    image = next(p for p in xml.parent.iterdir() if "SPECTRAL" in p.name)
    with zipfile.ZipFile(tmp_path / "enmap.zip", "w") as archive:
        for file in xml.parent.iterdir():
            archive.write(file, f"delivered/{file.name}")
    found = []
    for path in (xml, xml.parent, image, tmp_path / "enmap.zip"):
        with open_scene(path) as scene:
            found.append((scene.metadata, scene.read().values.tolist()))
    assert all(other == found[0] for other in found[1:])
    assert find_scenes(tmp_path / "enmap") == [tmp_path / "enmap"]
    with zipfile.ZipFile(tmp_path / "notes.zip", "w") as archive:
        archive.writestr("notes.txt", "no product")
    (tmp_path / "part.zip").write_bytes((tmp_path / "enmap.zip").read_bytes()[:99])
    found_here = [path.name for path in find_scenes(tmp_path)]
    assert found_here == ["enmap", "enmap.zip", "part.zip"]


def test_detectors_are_told_apart(tmp_path: Path) -> None:
    xml = fixtures.write_dlr(tmp_path / "enmap", level="L1B")
    told = hsisr("info", xml)
    assert (told.exit_code, told.stderr.count("\n")) == (3, 1)
    assert "choose one with --variable VNIR or SWIR" in told.stderr
    swir = metadata_at(xml, variable="SWIR")
    assert swir.spectral_axis.wavelengths_nm == (483.03, 503.03)
    assert swir.georeference.rpcs["LINE_OFF"] == "4"
    assert len(swir.georeference.rpcs["SAMP_DEN_COEFF"].split()) == 20
    fixtures.write_prisma(tmp_path / "p.he5")
    assert metadata_at(tmp_path / "p.he5", variable="vnir").bands == 9


@pytest.mark.shared
@pytest.mark.parametrize(
    ("level", "detector", "first", "bands"),
    [("L1B", "VNIR", 0, 88), ("L1B", "SWIR", 88, 130), ("L1C", "", 0, 218), ("L2A", "", 0, 218)],
)
def test_lists_of_real_enmap_metadata_are_carried(
    level: str, detector: str, first: int, bands: int, shared_data: Path, tmp_path: Path
) -> None:
    """The XML is DLR's; its image was delivered empty, so other pixels are put in."""
    given = shared_data / f"formats/products/enmap/enmap_{level}_gtif_qualification.zip"
    with zipfile.ZipFile(given) as archive:
        archive.extractall(tmp_path)
    folder = next(tmp_path.iterdir())
    image = next(folder.glob(f"*-SPECTRAL_IMAGE{detector and f'_{detector}'}.TIF"))
    size: dict[str, Any] = {"width": 4, "height": 3, "count": bands, "dtype": "int16"}
    named, nodata = image, 0
    if level == "L2A":
        assert "is empty; copy it again" in hsisr("info", folder).stderr
        named = folder
        nodata = size["nodata"] = -32768
    with rasterio.open(image, "w", driver="GTiff", **size) as made:
        made.write(np.ones((bands, 3, 4), np.int16))
    seen = info(named)
    told = seen.as_dict()
    xml = next(folder.glob("*METADATA.XML")).read_text(encoding="utf-8")
    part = xml[xml.index("<bandCharacterisation>") : xml.index("</bandCharacterisation>")]
    fields = {
        "wavelengths_nm": "wavelengthCenterOfBand",
        "fwhm_nm": "FWHMOfBand",
        "scales": "GainOfBand",
        "offsets": "OffsetOfBand",
    }
    for key, field in fields.items():
        numbers = [float(text) for text in re.findall(f"<{field}>(.*?)</{field}>", part)]
        assert (len(numbers), told[key]) == (218, tuple(numbers[first : first + bands]))
    assert told["product"]["level"] == level
    assert told["product"]["acquired"] == "2017-06-26T10:20:20.999936Z"
    assert told["product"]["sun_elevation"] == "63.0384"
    assert (told["nodata"], told["bad_bands"]) == (nodata, [])
    assert bool(seen.metadata.georeference.rpcs) == (level == "L1B")


@pytest.mark.shared
def test_a_real_neon_cube_is_read(shared_data: Path) -> None:
    path = shared_data / "formats/products/neonhs-ex.h5"
    meta = metadata_at(path)
    with h5py.File(path) as file:
        numbers = file["SJER/Reflectance/Reflectance_Data"][()]
        np.testing.assert_array_equal(stored(path), numbers.transpose(2, 0, 1))
        nm = file["SJER/Reflectance/Metadata/Spectral_Data/Wavelength"][()]
        np.testing.assert_array_equal(meta.spectral_axis.wavelengths_nm, nm)
    assert meta.georeference.transform == rasterio.Affine(1, 0, 257000, 0, -1, 4112000)


PAGES = Path(__file__).parents[2] / "docs/src/how-to/products"
NAMES = sorted(page.stem for page in PAGES.glob("*.md") if page.stem != "netcdf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("products")
    write_all(place)
    return place


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
@pytest.mark.parametrize("name", NAMES)
def test_commands_lead_to_qgis(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    block = (PAGES / f"{name}.md").read_text(encoding="utf-8").split("```")[1]
    info, upscale, qgis = (shlex.split(line) for line in block.splitlines()[1:])
    assert (info[0], upscale[0], qgis[0]) == ("hsisr", "hsisr", "qgis")
    succeed(*info[1:])
    succeed(*upscale[1:], "-m", "bicubic")
    assert Path(qgis[1]).is_file()
