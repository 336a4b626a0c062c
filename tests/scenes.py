"""Tiny scenes in every format: each function writes (bands, rows, cols), returns what to open."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt
import rasterio
import scipy.io
import tifffile
from affine import Affine

import hsisr
from hsisr.io.geotiff.gdal import gdal_env

Values = npt.NDArray[Any]

UTM: Final = rasterio.CRS.from_epsg(32633)
TRANSFORM: Final = Affine(30.0, 0.0, 365055.0, 0.0, -30.0, 5807085.0)
ENVI_TYPES: Final = {
    "uint8": 1,
    "int16": 2,
    "int32": 3,
    "float32": 4,
    "float64": 5,
    "uint16": 12,
    "uint32": 13,
    "int64": 14,
    "uint64": 15,
}
ENVI_AXES: Final = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}


def numbered(bands: int = 5, rows: int = 13, cols: int = 11, dtype: str = "uint16") -> Values:
    """A cube in which no two pixels near each other are equal; fits 8 bits."""
    flat = np.arange(bands * rows * cols) * 7 % 251 + 1
    return flat.reshape(bands, rows, cols).astype(dtype)


def write_small_sample(package: Path) -> Path:
    """The sample scene, but fewer bands and pixels, in a folder to be taken for hsisr's."""
    place = Path("sample_scene", "indian-pines.npz")
    with np.load(Path(hsisr.__file__).parent / place) as whole:
        arrays = {name: whole[name][::5] for name in whole.files}
    (package / place.parent).mkdir()
    np.savez(package / place, **{**arrays, "cube": arrays["cube"][:, :48, :48]})
    return package


def write_geotiff(
    path: Path,
    values: Values,
    *,
    band_tags: Sequence[Mapping[str, str]] = (),
    imagery: Sequence[Mapping[str, str]] = (),
    envi: Mapping[str, str] | None = None,
    names: Sequence[str] = (),
    **profile: Any,
) -> Path:
    """GeoTIFF, or what GDAL writes by `driver`; georeferenced only by `crs` and `transform`."""
    bands, rows, cols = values.shape
    profile = {"driver": "GTiff", "dtype": values.dtype, **profile}
    profile |= {"count": bands, "height": rows, "width": cols}
    with gdal_env(), rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values)
        for band, tags in enumerate(band_tags, 1):
            dataset.update_tags(band, **tags)
        for band, tags in enumerate(imagery, 1):
            dataset.update_tags(band, ns="IMAGERY", **tags)
        if envi:
            dataset.update_tags(ns="ENVI", **envi)
        for band, name in enumerate(names, 1):
            dataset.set_band_description(band, name)
    return path


@contextmanager
def edited(path: Path) -> Iterator[Any]:
    with gdal_env(), rasterio.open(path, "r+") as dataset:
        yield dataset


def write_envi(
    header: Path,
    values: Values,
    fields: Mapping[str, str] | None = None,
    *,
    data: Path | None = None,
    interleave: str = "bsq",
    big_endian: bool = False,
    offset: int = 0,
) -> Path:
    """ENVI pair; `fields` add to the header's own, or replace them."""
    bands, rows, cols = values.shape
    own = {
        "samples": str(cols),
        "lines": str(rows),
        "bands": str(bands),
        "header offset": str(offset),
        "file type": "ENVI Standard",
        "data type": str(ENVI_TYPES[values.dtype.name]),
        "interleave": interleave,
        "byte order": str(int(big_endian)),
        **(fields or {}),
    }
    stored = values.transpose(ENVI_AXES[interleave])
    numbers = stored.astype(values.dtype.newbyteorder(">" if big_endian else "<")).tobytes()
    (data or header.with_suffix(".img")).write_bytes(bytes(offset) + numbers)
    header.write_text("ENVI\n" + "".join(f"{key} = {text}\n" for key, text in own.items()), "utf-8")
    return header


def write_mat5(path: Path, values: Values, name: str = "cube", **beside: Any) -> Path:
    """MATLAB 5, cube as (rows, cols, bands)."""
    scipy.io.savemat(path, {name: values.transpose(1, 2, 0), **beside}, do_compression=True)
    return path


def write_mat73(path: Path, values: Values, name: str = "cube", **beside: Any) -> Path:
    """MATLAB 7.3, cube as (rows, cols, bands), which HDF5 keeps the other way round."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, array in {name: values.transpose(1, 2, 0), **beside}.items():
            stored = file.create_dataset(key, data=np.asarray(array).T)
            kind = {"f8": "double", "f4": "single", "b1": "logical"}
            matlab = kind.get(stored.dtype.str[1:], stored.dtype.name)
            stored.attrs["MATLAB_class"] = np.bytes_(matlab)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def write_npy(path: Path, values: Values) -> Path:
    """NumPy array, (rows, cols, bands)."""
    np.save(path, values.transpose(1, 2, 0))
    return path


def write_pages(path: Path, values: Values, **options: Any) -> Path:
    """TIFF with one page per band, by tifffile."""
    options = {"photometric": "minisblack", "metadata": None, **options}
    tifffile.imwrite(path, values, **options)
    return path


def write_image_folder(folder: Path, values: Values, suffix: str = ".png") -> Path:
    """A folder of single-band images, numbered from 1 without leading zeros."""
    folder.mkdir()
    driver = "PNG" if suffix == ".png" else "GTiff"
    for number, band in enumerate(values, 1):
        write_geotiff(folder / f"band_{number}{suffix}", band[None], driver=driver)
    return folder


EVERY_FORMAT: Final[Mapping[str, Callable[[Path, Values], Path]]] = {
    "GeoTIFF": lambda folder, v: write_geotiff(folder / "strips.tif", v, interleave="pixel"),
    "tiled": lambda folder, v: write_geotiff(
        folder / "tiled.tif", v, tiled=True, blockxsize=16, blockysize=16, compress="zstd"
    ),
    "BigTIFF": lambda folder, v: write_geotiff(folder / "big.tif", v, BIGTIFF="YES"),
    "COG": lambda folder, v: write_geotiff(folder / "cog.tif", v, driver="COG"),
    "BSQ": lambda folder, v: write_envi(folder / "bsq.hdr", v),
    "BIL": lambda folder, v: write_envi(folder / "bil.hdr", v, interleave="bil", offset=37),
    "BIP": lambda folder, v: write_envi(folder / "bip.hdr", v, interleave="bip", big_endian=True),
    "MAT5": lambda folder, v: write_mat5(folder / "five.mat", v),
    "MAT73": lambda folder, v: write_mat73(folder / "seven.mat", v),
    "NPY": lambda folder, v: write_npy(folder / "array.npy", v),
    "pages": lambda folder, v: write_pages(folder / "pages.tif", v),
    "packed pages": lambda folder, v: write_pages(folder / "packed.tif", v, compression="zlib"),
    "ImageJ": lambda folder, v: write_pages(
        folder / "imagej.tif", v, imagej=True, metadata={"axes": "CYX"}
    ),
    "OME": lambda folder, v: write_pages(
        folder / "planes.ome.tif", v, compression="zlib", metadata={"axes": "CYX"}
    ),
    "PNG folder": lambda folder, v: write_image_folder(folder / "png", v),
    "TIFF folder": lambda folder, v: write_image_folder(folder / "tiff", v, ".tif"),
}
"""Writers of uint16 cubes into a folder, by a short name."""


NORTH_UP = Affine(30, 0, 364095, 0, -30, 5809965)


def write_tif(
    path: Path,
    cube: npt.NDArray[Any],
    *,
    nodata: float | None = None,
    transform: Affine = NORTH_UP,
    crs: str = "EPSG:32633",
    bad: tuple[int, ...] = (),
    scale: float | None = None,
) -> Path:
    """A GeoTIFF whose bands lie at 400, 410, ... nm; bands in `bad` (0-based) are marked bad."""
    tags = [
        {
            "wavelength": str(400 + 10 * band),
            "wavelength_units": "Nanometers",
            "fwhm": "8.5",
            "bbl": "0" if band in bad else "1",
        }
        for band in range(len(cube))
    ]
    write_geotiff(path, cube, band_tags=tags, nodata=nodata, transform=transform, crs=crs)
    if scale is not None:
        with edited(path) as dataset:
            dataset.scales = (scale,) * len(cube)
    return path


def counts(bands: int, rows: int, cols: int, seed: int = 0) -> npt.NDArray[np.uint16]:
    """Smooth positive whole numbers around 2000."""
    b, r, c = np.meshgrid(*map(np.arange, (bands, rows, cols)), indexing="ij")
    wave = 2000 + 300 * np.sin(r / 6 + b) * np.cos(c / 9) + 20 * b
    noise = np.random.default_rng(seed).normal(0, 10, wave.shape)
    return np.asarray(np.rint(wave + noise), np.uint16)


GEOTIFF = "image/tiff; application=geotiff"
PROPERTIES = {
    "datetime": "2022-07-01T10:00:00Z",
    "gsd": 30,
    "eo:cloud_cover": 7,
    "created": "2022-08-01T00:00:00Z",
    "proj:epsg": 32633,
    "proj:shape": [6, 5],
    "proj:bbox": [364095, 5809785, 364245, 5809965],
    "processing:software": {"sensor-chain": "1.2"},
}
BANDS = [
    {"name": f"b{n}", "center_wavelength": 0.4 + n / 100, "full_width_half_max": 0.0085}
    for n in range(3)
]
RASTER = [
    {"data_type": "uint16", "spatial_resolution": 30, "nodata": 0, "statistics": {"mean": 2000.0}}
    for _ in range(3)
]


def data_asset(href: str = "./cube.tif", **fields: Any) -> dict[str, Any]:
    return {"href": href, "type": GEOTIFF, "roles": ["data"], **fields}


THUMBNAIL = {"href": "./look.png", "type": "image/png", "roles": ["thumbnail"]}


def write_item(folder: Path, assets: dict[str, Any] | None = None, **fields: Any) -> Path:
    """An item in STAC 1.0.0, and its scene, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tif(folder / "cube.tif", counts(3, 6, 5), nodata=0)
    cube = data_asset(title="Reflectance")
    cube |= {"eo:bands": BANDS, "raster:bands": RASTER, "file:size": 12}
    ring = [[12.99, 52.4], [13.0, 52.4], [13.0, 52.41], [12.99, 52.41], [12.99, 52.4]]
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
        ],
        "id": "flight 7/line 3",
        "collection": "flights",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [12.99, 52.4, 13.0, 52.41],
        "properties": PROPERTIES,
        "links": [{"rel": "collection", "href": "../collection.json"}],
        "assets": {"cube": cube, "thumbnail": THUMBNAIL} if assets is None else assets,
        **fields,
    }
    path = folder / "item.json"
    path.write_text(json.dumps(item))
    return path
