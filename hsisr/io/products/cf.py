"""Any netCDF-4 or HDF5 file with a cube: CF conventions, names of dimensions, or `--axes`.

The file is shown to the reader of CF fields (`hsisr.io.zarr.reader`) as the table of arrays that a
Zarr store is, so both formats are understood in one way.

Products among them: AVIRIS-3 and AVIRIS-5, group `reflectance` or `radiance`, axes (wavelength,
northing, easting), CF grid mapping; source: AVIRIS-3 L2A user guide (ORNL DAAC, doi
10.3334/ORNLDAAC/2357). PACE OCI L2, groups `geophysical_data` and `navigation_data`, axes
(number_of_lines, pixels_per_line, wavelength_3d); source: PACE OCI file structure (NASA OB.DAAC).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import h5py
import numpy as np

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.io.arrays.axes import ArrayScene, whole
from hsisr.io.products.fields import (
    ACDD,
    iso_time,
    product_header,
    refuse_level,
    rising_axis,
    swath_georeference,
    time_in,
)
from hsisr.io.products.hdf import HdfFile
from hsisr.io.zarr.place import decoded
from hsisr.io.zarr.reader import ZarrFields
from hsisr.io.zarr.store import axis_order, cube_name, dimension_names
from hsisr.scene.georeference import Geolocation
from hsisr.scene.metadata import SceneMetadata

_NO_VARIABLE: Final = "This is a netCDF dimension but not a netCDF variable"
"""Beginning of the name of a dimension that has no numbers. Source: netCDF-4 file format."""
_STRUCTURAL: Final = frozenset({"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"})
_JSON: Final = ("band_tags", "band_units", "envi_header", "tags")
"""Attributes of this tool that netCDF has no type for."""
_LONGITUDES: Final = ("longitude", "lon", "longitudes")
_LATITUDES: Final = ("latitude", "lat", "latitudes")
_AVIRIS: Final = ("reflectance/reflectance", "radiance/radiance")
_PACE: Final = ("geophysical_data/rhos", "geophysical_data/Rrs")


class HdfStore:
    """The arrays of a file by their paths, as `hsisr.io.zarr.store.OpenStore` has them."""

    def __init__(self, file: HdfFile) -> None:
        """`file` stays the caller's to close."""
        self.file = file
        found = ((name, _array(file, name, item)) for name, item in file.walk())
        self.arrays = {name: array for name, array in found if array is not None}
        self.attributes = _plain_attributes(file.attributes())
        self.groups = {"": self.attributes}

    def read(self, name: str, place: Any = ...) -> Any:
        """Numbers or texts of an array, all or a part."""
        if self.arrays[name].dtype.kind == "U":
            return self.file.texts(name)
        whole: Any = self.file.dataset(name) if place is not ... else self.file.numbers(name)
        return whole[place]


def open_cf(
    path: Path,
    file: HdfFile,
    variable: str | None,
    axes: str | None,
    *,
    file_format: str = "netCDF",
    header: Mapping[str, str] | None = None,
) -> ArrayScene:
    """Open the only cube of a file, or the only one with wavelengths (see `open_hdf`).

    `header` are fields of a product, beside those that the file itself carries.
    """
    store = HdfStore(file)
    name = cube_name(store.arrays, variable)
    order = axis_order(store.arrays, name, axes)
    fields = ZarrFields(store, name, order)
    found = fields.metadata()
    places = _geolocation(store, fields.dimensions, found)
    place = swath_georeference(places) if places is not None else found.georeference
    metadata = replace(
        found,
        header={**(header or _told(store)), **found.header},
        georeference=place,
        geolocation=places,
    )
    mask = fields.mask_name()
    flags = None if mask is None else file.dataset(mask)
    return ArrayScene(
        path,
        file_format,
        metadata,
        whole(file.dataset(name), order),
        mask=None if flags is None else lambda place: flags[place] != 0,
        file=file,
        errors=file.errors,
    )


def is_aviris(file: HdfFile) -> bool:
    """True for an orthorectified file of AVIRIS-3 or AVIRIS-5."""
    return any(name in file for name in _AVIRIS) and "easting" in file


def open_aviris(path: Path, file: HdfFile, variable: str | None) -> ArrayScene:
    """Open radiance or reflectance on its map grid (see `open_hdf`)."""
    name = variable or next(name for name in _AVIRIS if name in file)
    kind = name.rpartition("/")[2]
    number = re.match(r"(?i)AV([35])", path.name)
    sensor = f"AVIRIS-{number[1]}" if number else (file.text("instrument") or "AVIRIS")
    level = "L2A" if kind == "reflectance" else "L1B"
    acquired = file.text("time_coverage_start") or time_in(path.name)
    header = product_header(sensor, level, kind, acquired=acquired)
    return _open_product(path, file, name, "AVIRIS", header)


def is_pace(file: HdfFile) -> bool:
    """True for a file of PACE's Ocean Color Instrument, whatever its level."""
    return file.text("instrument") == "OCI"


def open_pace(path: Path, file: HdfFile, variable: str | None) -> ArrayScene:
    """Open surface or remote sensing reflectance of an L2 file (see `open_hdf`)."""
    level = file.text("processing_level") or "L?"
    refuse_level(level, product="PACE OCI", expected="L2 surface reflectance")
    name = variable or next((name for name in _PACE if name in file), None)
    if name is None:
        raise InputDataError(
            f"PACE OCI {level} holds {', '.join(file.names('geophysical_data')) or 'no L2 data'}, "
            "expected rhos or Rrs of an L2 file; name another cube with --variable"
        )
    kind, acquired = name.rpartition("/")[2], file.text("time_coverage_start")
    header = product_header("PACE OCI", level, kind, sensor="OCI", acquired=acquired)
    return _open_product(path, file, name, "PACE OCI", header)


def _open_product(
    path: Path, file: HdfFile, name: str, file_format: str, header: dict[str, str]
) -> ArrayScene:
    scene = open_cf(path, file, name, None, file_format=file_format, header=header)
    rising_axis(scene.metadata.spectral_axis.wavelengths_nm, where=f"wavelengths of {name}")
    return scene


def _told(store: HdfStore) -> dict[str, str]:
    """What the file's own attributes say of a product."""
    said = {"instrument": store.attributes.get("sensor", ""), **store.attributes}
    found = {field: str(said[key]) for key, field in ACDD.items() if said.get(key)}
    return {field: iso_time(text) if "time" in field else text for field, text in found.items()}


def _geolocation(
    store: HdfStore, dimensions: tuple[str, str], found: SceneMetadata
) -> Geolocation | None:
    """Longitudes and latitudes of each pixel, where there is no map grid and one pair of them.

    `dimensions` are the names of the cube's rows and columns; theirs may be the other way round.
    """
    shape = found.rows, found.cols
    if found.georeference.transform is not None:
        return None
    ways = {
        name: names[::-1] == dimensions and names != dimensions
        for name, array in store.arrays.items()
        if (names := dimension_names(array)) and sorted(array.shape) == sorted(shape)
    }
    alike = [
        n for n, turned in ways.items() if store.arrays[n].shape == shape[:: -1 if turned else 1]
    ]
    longitudes, latitudes = (
        [name for name in alike if name.rpartition("/")[2].lower() in names]
        for names in (_LONGITUDES, _LATITUDES)
    )
    if len(longitudes) != 1 or len(latitudes) != 1:
        return None
    if min(shape) < 2:
        warn_of_scene("a single row or column of longitudes and latitudes makes no place")
        return None
    (longitude,), (latitude,) = longitudes, latitudes
    if not ways[longitude]:
        return store.file.positions(longitude, latitude, shape)
    places = store.file.positions(longitude, latitude, shape[::-1])
    return replace(places, longitude=places.longitude.T, latitude=places.latitude.T)


def _array(file: HdfFile, name: str, item: Any) -> SimpleNamespace | None:
    """An array with the attributes that one of zarr's has; None: it has no numbers of its own."""
    if item.shape is None or item.external or item.is_virtual:
        return None
    said = file.attributes(name)
    if str(said.get("NAME")).startswith(_NO_VARIABLE):
        return None
    if len(item.shape) == 1 and said.get("CLASS") == "DIMENSION_SCALE":
        names = [name]  # a scale along itself
    else:
        names = [dim[0].name if len(dim) else dim.label for dim in item.dims]
    names = [str(each).rpartition("/")[2] for each in names]
    text = h5py.check_string_dtype(item.dtype) is not None
    return SimpleNamespace(
        shape=tuple(item.shape),
        dtype=np.dtype("U") if text else item.dtype,
        attrs=_plain_attributes(said),
        metadata=SimpleNamespace(zarr_format=3, dimension_names=tuple(names)),
    )


def _plain_attributes(said: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in said.items():
        if key in _STRUCTURAL or key.startswith("_Netcdf4") or key == "_NCProperties":
            continue
        plain = value.tolist() if isinstance(value, np.ndarray) else value
        found[key] = decoded(plain, f"attribute {key}") if key in _JSON else plain
    return found
