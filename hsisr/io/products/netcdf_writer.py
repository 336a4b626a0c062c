"""Scenes written as CF netCDF-4: `data` (band, y, x), its coordinates, its place.

The names are those of this tool's Zarr stores (`hsisr.io.zarr.layout`), which xarray, GDAL and
SNAP understand in both formats: on a map grid, coordinates of pixel centres and a grid mapping; in
sensor geometry, `longitude` and `latitude` of each pixel. Source: CF conventions 1.10, chapters 4
to 6.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import HsisrError, ResourceError, UsageError
from hsisr.io.atomic import refuse_existing, require_room, resource_errors
from hsisr.io.base import FileWriter, TargetOptions
from hsisr.io.zarr.layout import CUBE, MASK, Coordinate, coordinates, cube_attributes
from hsisr.scene.metadata import SceneMetadata

DIMENSIONS: Final = ("band", "y", "x")
SOURCE: Final = "hsisr"
"""Attribute by which this tool knows its own files, whatever product they were made from."""
_POSITIONS: Final = "longitude latitude"
_ROWS_AT_ONCE: Final = 256
_HEAD_BYTES: Final = 2**20
"""Room for everything that is neither a number nor a position."""
_NAME: Final = re.compile(r"[A-Za-z]\w*")
_RESERVED: Final = frozenset({"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "tags"})
_OPTIONS: Final = ("COMPRESS", "ZLEVEL")


class NetcdfWriter(FileWriter):
    """A netCDF-4 file that grows block by block.

    Args:
        path: The target.
        metadata: What it will hold.
        options: How; creation options are `COMPRESS` (DEFLATE or NONE) and `ZLEVEL` (1 to 9,
            else 1). With `masked`, a variable `mask` says where pixels are data.
        blocks: Rows and columns of a chunk.

    Raises:
        UsageError: A creation option is none of these, or h5netcdf is not installed.
        OutputExistsError: The target exists.
        ResourceError: There is no room, or no permission.
    """

    def __init__(
        self,
        path: Path,
        metadata: SceneMetadata,
        options: TargetOptions,
        blocks: tuple[int, int],
    ) -> None:
        self._packing = _packing(options.creation_options)
        h5netcdf_package()
        super().__init__(path, metadata, options, blocks)

    def _open(self) -> None:
        require_room(self._place.folder, self.path, _HEAD_BYTES)
        self._file = h5netcdf_package().File(self._grown, "w", decode_vlen_strings=True)
        self._held.callback(self._close)
        self._file.dimensions = dict(zip(DIMENSIONS, self.metadata.shape, strict=True))
        self._file.attrs.update(_global_attributes(self.metadata))
        self._cube, self._mask = self._create(self._packing, masked=self._options.masked)
        for name, beside in coordinates(self.metadata).items():
            _add(self._file, name, beside)
        self._write_positions(self._packing)

    def _put(self, numbers: npt.NDArray[Any], band: int, row: int, col: int) -> None:
        bands, rows, cols = numbers.shape
        require_room(self._place.folder, self.path, numbers.nbytes)
        self._cube[band : band + bands, row : row + rows, col : col + cols] = numbers

    def _put_mask(self, mask: npt.NDArray[np.bool_], row: int, col: int) -> None:
        rows, cols = mask.shape
        self._mask[row : row + rows, col : col + cols] = mask.astype(np.uint8)

    def _finish(self) -> list[tuple[Path, Path]]:
        self._file.close()
        with h5netcdf_package().File(self._grown, "r") as found:
            complete = found[CUBE].shape == self.metadata.shape
        if not complete:
            raise ResourceError(f"cannot write {self.path}: the file was cut off")
        return [(self._grown, self.path)]

    def _close(self) -> None:
        with suppress(OSError, RuntimeError, ValueError):  # the space it lacks is not wanted
            self._file.close()

    def _create(self, packing: dict[str, Any], *, masked: bool) -> tuple[Any, Any]:
        stored = self.metadata.stored
        chunk = min(self.block_rows, self.metadata.rows), min(self.block_cols, self.metadata.cols)
        fill = None if stored.nodata is None else stored.dtype.type(stored.nodata)
        cube = self._file.create_variable(
            CUBE, DIMENSIONS, stored.dtype, fillvalue=fill, chunks=(1, *chunk), **packing
        )
        cube.attrs.update(_cube_attributes(self.metadata))
        if not masked:
            return cube, None
        mask = self._file.create_variable(MASK, DIMENSIONS[1:], "u1", chunks=chunk, **packing)
        mask.attrs.update({"long_name": "mask", "flag_meanings": "no_data data"})
        mask.attrs["flag_values"] = np.array([0, 1], np.uint8)
        return cube, mask

    def _write_positions(self, packing: dict[str, Any]) -> None:
        """Longitude and latitude of each pixel, if the scene is in sensor geometry."""
        places = self.metadata.geolocation
        if places is None:
            return
        made = []
        for name, toward in (("longitude", "degrees_east"), ("latitude", "degrees_north")):
            variable = self._file.create_variable(name, DIMENSIONS[1:], "f8", **packing)
            variable.attrs.update({"standard_name": name, "units": toward})
            made.append(variable)
        for row in range(0, self.metadata.rows, _ROWS_AT_ONCE):
            end = min(row + _ROWS_AT_ONCE, self.metadata.rows)
            for variable, degrees in zip(made, places.positions(row, end), strict=True):
                require_room(self._place.folder, self.path, degrees.nbytes)
                variable[row:end] = degrees

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with resource_errors(self.path):
            try:
                yield
            except HsisrError:
                raise
            except RuntimeError as error:  # how h5py reports what HDF5 could not flush
                words = " ".join(str(error).split())
                raise ResourceError(
                    f"cannot write {self.path}: HDF5 says {words!r}; check the space left, or "
                    "write elsewhere"
                ) from error


def refuse_existing_netcdf(path: Path, *, overwrite: bool) -> None:
    """Check that a netCDF file may be made; raises as `refuse_existing` does."""
    h5netcdf_package()
    refuse_existing((path,), overwrite=overwrite)


def h5netcdf_package() -> Any:
    """The package h5netcdf, which is installed on demand.

    Raises:
        UsageError: It is not there.
    """
    try:
        import h5netcdf
    except ImportError as error:
        raise UsageError(
            "netCDF outputs need the package h5netcdf, which is not installed; pip install "
            "'hsisr[netcdf]'"
        ) from error
    return h5netcdf


def _packing(options: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of h5py that pack a variable."""
    asked = {key.upper(): value.upper() for key, value in options.items()}
    unknown = sorted(asked.keys() - set(_OPTIONS))
    if unknown:
        raise UsageError(f"--co {unknown[0]}: expected one of {', '.join(_OPTIONS)} for netCDF")
    compress, level = asked.get("COMPRESS", "DEFLATE"), asked.get("ZLEVEL", "1")
    if compress not in ("DEFLATE", "NONE") or level not in "123456789" or len(level) != 1:
        raise UsageError(
            f"COMPRESS={compress}, ZLEVEL={level}: expected DEFLATE or NONE, and 1 to 9"
        )
    if compress == "NONE":
        return {}
    return {"compression": "gzip", "compression_opts": int(level), "shuffle": True}


def _global_attributes(metadata: SceneMetadata) -> dict[str, str]:
    """Attributes of the file. Source: Attribute Convention for Data Discovery 1.3."""
    header = metadata.header
    named = {
        "title": header.get("product"),
        "instrument": header.get("sensor type"),
        "processing_level": header.get("processing level"),
        "time_coverage_start": header.get("acquisition time"),
    }
    return {
        "Conventions": "CF-1.10",
        "source": SOURCE,
        **{key: text for key, text in named.items() if text},
    }


def _cube_attributes(metadata: SceneMetadata) -> dict[str, Any]:
    """The cube's attributes, those that netCDF has no type or no name for as JSON."""
    said = cube_attributes(metadata)
    odd = {
        key: said.pop(key)
        for key in list(said)
        if not _NAME.fullmatch(key) or key in _RESERVED - {"tags"}
    }
    if odd:
        said["tags"] = {**said.get("tags", {}), **odd}
    if metadata.geolocation is not None:
        said["coordinates"] = " ".join([_POSITIONS, *said.get("coordinates", "").split()])
    return {key: _attribute(value) for key, value in said.items()}


def _attribute(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _add(file: Any, name: str, beside: Coordinate) -> None:
    """One small variable beside the cube."""
    values = beside.values
    text = values.dtype.kind == "U"
    dtype = str if text else values.dtype
    variable = file.create_variable(name, beside.dimensions, dtype)
    variable[...] = values.astype(object) if text else values
    for key, value in beside.attributes.items():
        flags = key == "flag_values"
        variable.attrs[key] = np.asarray(value, values.dtype) if flags else _attribute(value)
