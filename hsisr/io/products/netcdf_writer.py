"""Scenes written as CF netCDF-4: `data` (band, y, x), its coordinates, its place.

The names are those of this tool's Zarr stores (`hsisr.io.zarr.layout`), which xarray and GDAL
understand in both formats: on a map grid, coordinates of pixel centres and a grid mapping. SNAP
reads no grid mapping, but variables of the names `longitude` and `latitude`: of each row and column
of a grid in degrees, of each pixel of any other and in sensor geometry. Sources: CF conventions
1.10, chapters 4 to 6; SNAP's reader `CfGeocodingPart` (snap-engine, commit 08af332).
"""

import json
import math
import re
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform as warp_points

from hsisr.errors import HsisrError
from hsisr.io.atomic import refuse_existing, require_room
from hsisr.io.base import TargetOptions, asked_options
from hsisr.io.formats import package
from hsisr.io.geotiff.gdal import GdalError, gdal_env, parsed_crs
from hsisr.io.products.fields import ACDD
from hsisr.io.products.hdf import HdfWriter
from hsisr.io.products.ortho import located, nearest_pixels
from hsisr.io.zarr.layout import (
    CUBE,
    MASK,
    MASK_MEANINGS,
    Coordinate,
    coordinates,
    cube_attributes,
)
from hsisr.scene.georeference import Geolocation, LookupTable
from hsisr.scene.metadata import SceneMetadata
from hsisr.tiling import Window

SOURCE: Final = "hsisr"
"""Attribute by which this tool knows its own files, whatever product they were made from."""
_PACKAGE: Final = ("h5netcdf", "netCDF outputs", "netcdf")
_SIDE: Final = 256
"""Of the blocks of positions and lookup tables that are made and written at once, in pixels."""
_EXACT_POINTS: Final = 2**18
"""Of a map grid, at most as many positions are computed; those of the pixels lie between them."""
_HEAD_BYTES: Final = 2**20
"""Room for everything that is neither a number nor a position."""
_NAME: Final = re.compile(r"[A-Za-z]\w*")
_RESERVED: Final = frozenset({"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "tags"})
_OPTIONS: Final = {
    "LAYOUT": ("CF", "EMIT"),
    "COMPRESS": ("DEFLATE", "NONE"),
    "ZLEVEL": tuple("123456789"),
}
"""Creation options and what they may be, the default first."""


class NetcdfWriter(HdfWriter):
    """A CF netCDF-4 file that grows block by block.

    Creation options are `LAYOUT` (CF or EMIT), `COMPRESS` (DEFLATE or NONE) and `ZLEVEL` (1 to 9,
    else 1). With `masked`, `mask` says where pixels are data.
    """

    _dimensions: tuple[str, str, str] = ("band", "y", "x")
    _order: tuple[int, int, int] = (0, 1, 2)
    """Of the cube's axes: bands, rows and columns by their numbers."""

    def _prepare(self) -> None:
        asked = asked_options(self.path, self._co, **_OPTIONS)
        packing = {"compression": "gzip", "shuffle": True}
        packed = asked["COMPRESS"] == "DEFLATE"
        self._packing = {**packing, "compression_opts": int(asked["ZLEVEL"])} if packed else {}
        self._package = package(*_PACKAGE)

    def _open(self) -> None:
        require_room(self._place.folder, self.path, _HEAD_BYTES)
        self._file = self._package.File(self._grown, "w", decode_vlen_strings=True)
        self._held.callback(self._close)
        self._file.dimensions = dict(zip(self._dimensions, self.metadata.shape, strict=True))
        self._describe()

    def _describe(self) -> None:
        """Everything but the numbers."""
        self._file.attrs.update({**_global_attributes(self.metadata), "source": SOURCE})
        self._cube, self._mask = self._create(CUBE)
        for name, beside in coordinates(self.metadata).items():
            _add(self._file, name, beside)
        if (places := _degrees(self.metadata)) is not None:
            said = self._cube.attrs.get("coordinates", "")
            self._cube.attrs["coordinates"] = f"longitude latitude {said}".rstrip()
        if isinstance(places, Geolocation):
            self._write_positions(self._file, "longitude", "latitude", places)
        elif places is not None:
            for name, beside in zip(("longitude", "latitude"), places, strict=True):
                _add(self._file, name, beside)

    def _put(self, numbers: npt.NDArray[Any], band: int, row: int, col: int) -> None:
        require_room(self._place.folder, self.path, numbers.nbytes)
        starts = zip((band, row, col), numbers.shape, strict=True)
        place = [slice(start, start + size) for start, size in starts]
        self._cube[tuple(place[n] for n in self._order)] = numbers.transpose(self._order)

    def _put_mask(self, mask: npt.NDArray[np.bool_], row: int, col: int) -> None:
        rows, cols = mask.shape
        self._mask[row : row + rows, col : col + cols] = mask.astype(np.uint8)

    def _create(self, name: str) -> tuple[Any, Any]:
        """The cube, and the mask if there is one; a chunk holds a block of one band."""
        stored, (_, rows, cols) = self.metadata.stored, self.metadata.shape
        block = 1, min(self.block_rows, rows), min(self.block_cols, cols)
        cube = self._file.create_variable(
            name,
            tuple(self._dimensions[n] for n in self._order),
            stored.dtype,
            fillvalue=None if stored.nodata is None else stored.dtype.type(stored.nodata),
            chunks=tuple(block[n] for n in self._order),
            **self._packing,
        )
        cube.attrs.update(_cube_attributes(self.metadata))
        if not self._options.masked:
            return cube, None
        mask = self._file.create_variable(MASK, self._dimensions[1:], "u1", **self._packing)
        mask.attrs.update({"long_name": "mask", "flag_meanings": MASK_MEANINGS})
        mask.attrs["flag_values"] = np.array([0, 1], np.uint8)
        return cube, mask

    def _write_positions(self, group: Any, x: str, y: str, places: Geolocation) -> None:
        """Longitude and latitude of each pixel, under these names."""
        _, rows, cols = self.metadata.shape
        chunks, made = (min(_SIDE, rows), min(_SIDE, cols)), []
        for name, standard, toward in ((x, "longitude", "east"), (y, "latitude", "north")):
            variable = group.create_variable(
                name, self._dimensions[1:], "f8", chunks=chunks, **self._packing
            )
            variable.attrs.update({"standard_name": standard, "units": f"degrees_{toward}"})
            made.append(variable)
        for row, col in product(range(0, rows, _SIDE), range(0, cols, _SIDE)):
            row_end, col_end = min(row + _SIDE, rows), min(col + _SIDE, cols)
            found = places.positions(row, row_end, col, col_end)
            for variable, degrees in zip(made, found, strict=True):
                require_room(self._place.folder, self.path, degrees.nbytes)
                variable[row:row_end, col:col_end] = degrees


class EmitWriter(NetcdfWriter):
    """A netCDF-4 file in the layout of EMIT, with the lookup table (GLT) refined to its pixels.

    Source: EMIT L1B and L2A user guides, NASA LP DAAC. Elevations are not carried. UsageError also
    where the scene has no lookup table.
    """

    _dimensions = ("bands", "downtrack", "crosstrack")
    _order = (1, 2, 0)

    def _prepare(self) -> None:
        super()._prepare()
        self._located = located(self.metadata, "LAYOUT=EMIT")

    def _describe(self) -> None:
        metadata, (places, table) = self.metadata, self._located
        grid = table.transform @ Affine.scale(1 / places.scale)
        title = {"title": metadata.tags["title"]} if "title" in metadata.tags else {}
        self._file.attrs.update({**_global_attributes(metadata), **title})
        self._file.attrs["spatial_ref"] = table.crs_wkt
        self._file.attrs["geotransform"] = np.array(grid.to_gdal())
        kind = metadata.header.get("product", "").rpartition(" ")[2]
        name = kind if _NAME.fullmatch(kind) else CUBE
        self._cube, self._mask = self._create(name)
        for word in ("coordinates", "grid_mapping"):  # which name variables of the CF layout
            self._cube.attrs.pop(word, None)
        self._write_bands(self._file.create_group("sensor_band_parameters"))
        group = self._file.create_group("location")
        self._write_positions(group, "lon", "lat", places)
        self._write_table(group, places, table)

    def _write_bands(self, group: Any) -> None:
        axis = self.metadata.spectral_axis
        found = {
            "wavelengths": (axis.wavelengths_nm, "f4"),
            "fwhm": (axis.fwhm_nm, "f4"),
            "good_wavelengths": (axis.good, "u1"),
        }
        for name, (values, dtype) in found.items():
            if values is not None:
                group.create_variable(name, ("bands",), dtype, data=np.asarray(values, dtype))

    def _write_table(self, group: Any, places: Geolocation, table: LookupTable) -> None:
        """The 1-based sensor pixel that each pixel of the finer map grid shows, 0 for none."""
        rows, cols = (side * places.scale for side in table.rows.shape)
        group.dimensions = {"ortho_y": rows, "ortho_x": cols}
        made = [
            group.create_variable(name, ("ortho_y", "ortho_x"), "i4", fillvalue=0, **self._packing)
            for name in ("glt_y", "glt_x")
        ]
        for row in range(0, rows, _SIDE):
            strip = np.zeros((2, min(_SIDE, rows - row), cols), np.int32)
            for col in range(0, cols, _SIDE):
                window = Window(row, col, strip.shape[1], min(_SIDE, cols - col))
                found = nearest_pixels(places, table, window)
                if found is not None:
                    seen, *sensor = found
                    strip[:, :, col : col + window.cols][:, seen] = np.array(sensor) + 1
            for variable, numbers in zip(made, strip, strict=True):
                variable[row : row + len(numbers)] = numbers


def create_netcdf(
    path: Path, metadata: SceneMetadata, options: TargetOptions, blocks: tuple[int, int]
) -> NetcdfWriter:
    """A writer of CF netCDF, or of EMIT's layout with `LAYOUT=EMIT`; see both classes."""
    asked = asked_options(path, options.creation_options, **_OPTIONS)
    own = EmitWriter if asked["LAYOUT"] == "EMIT" else NetcdfWriter
    return own(path, metadata, options, blocks)


def refuse_existing_netcdf(path: Path, *, overwrite: bool) -> None:
    """Check that a netCDF file may be made; raises as `refuse_existing` does."""
    package(*_PACKAGE)
    refuse_existing((path,), overwrite=overwrite)


def _global_attributes(metadata: SceneMetadata) -> dict[str, str]:
    """Attributes of the file."""
    header = metadata.header
    named = {key: header[field] for key, field in ACDD.items() if header.get(field)}
    return {"Conventions": "CF-1.10", **named}


def _cube_attributes(metadata: SceneMetadata) -> dict[str, Any]:
    """The cube's attributes, those that netCDF has no type or no name for as JSON."""
    said = cube_attributes(metadata)
    said.pop("_CRS", None)  # Zarr's; the grid mapping says it here
    odd = {
        key: said.pop(key)
        for key in list(said)
        if not _NAME.fullmatch(key) or key in _RESERVED - {"tags"}
    }
    if odd:
        said["tags"] = {**said.get("tags", {}), **odd}
    return {key: _attribute(value) for key, value in said.items()}


def _degrees(metadata: SceneMetadata) -> Geolocation | tuple[Coordinate, Coordinate] | None:
    """Longitude and latitude of the columns and rows, or of the pixels; None: they are unknown."""
    place = metadata.georeference
    if metadata.geolocation is not None or place.transform is None or not place.crs_wkt:
        return metadata.geolocation
    with suppress(GdalError, RasterioError, HsisrError):  # off the Earth, or where it has no place
        system, centres = parsed_crs(place.crs_wkt), coordinates(metadata)
        if system.is_geographic and "x" in centres:
            return centres["x"], centres["y"]
        return _lattice(place.transform, system, metadata.rows, metadata.cols)
    return None


def _lattice(transform: Affine, system: CRS, rows: int, cols: int) -> Geolocation:
    """Positions of a map grid's pixels, exact at the centres of square blocks of some of them.

    A block is a pixel in scenes of up to `_EXACT_POINTS` pixels. InputDataError: none is on Earth.
    """
    side = max(1, math.ceil(math.sqrt(rows * cols / _EXACT_POINTS)))
    down, across = (max(2, math.ceil(length / side)) for length in (rows, cols))
    grid: Any = transform @ Affine.scale(side)  # takes arrays too
    x, y = grid @ np.meshgrid(np.arange(across) + 0.5, np.arange(down) + 0.5)
    with gdal_env():
        found = np.array(warp_points(system, CRS.from_epsg(4326), x.ravel(), y.ravel()))
    longitude, latitude = np.where(np.isfinite(found), found, np.nan).reshape(2, down, across)
    return Geolocation(longitude=longitude, latitude=latitude, scale=side)


def _attribute(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _add(file: Any, name: str, beside: Coordinate) -> None:
    """One small variable beside the cube."""
    values = beside.values
    text = values.dtype.kind == "U"
    dtype = h5py.string_dtype() if text else values.dtype
    variable = file.create_variable(name, beside.dimensions, dtype)
    variable[...] = values.astype(object) if text else values
    for key, value in beside.attributes.items():
        flags = key == "flag_values"
        variable.attrs[key] = np.asarray(value, values.dtype) if flags else _attribute(value)
