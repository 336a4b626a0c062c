"""Scenes written as Zarr stores: the array `data` (band, y, x), its coordinates, its grid mapping.

The chunks are as high and as wide as the blocks that callers write, so that none is packed twice;
their depth keeps them at a few megabytes. All chunks are written, empty ones too, so that a lost
one can be told from an empty one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import ResourceError, UsageError
from hsisr.io.atomic import require_room
from hsisr.io.base import FileWriter, asked_options
from hsisr.io.formats import is_zarr_store, zarr_package
from hsisr.io.zarr.layout import (
    CUBE,
    DIMENSIONS,
    MASK,
    MASK_MEANINGS,
    Coordinate,
    coordinates,
    cube_attributes,
)
from hsisr.io.zarr.store import LARGEST_CHUNK, WHOLE
from hsisr.scene.metadata import StoredNumbers, holds

_CHUNK_BYTES: Final = 8 * 2**20
_LEVELS: Final = {"ZSTD": (range(1, 23), 3), "GZIP": (range(1, 10), 6)}
"""Levels of each compression, and the usual one; GDAL reads all."""
_LACKING: Final = frozenset({"float16", "longdouble", "float128"})


class ZarrWriter(FileWriter):
    """A Zarr store of version 2; the folder appears when it is complete.

    Creation options are `CHUNKS=BANDS,ROWS,COLS`, `COMPRESSION=ZSTD`, `GZIP` or `NONE`, and
    `LEVEL`. With `masked`, an array `mask` says where pixels are data.
    """

    replaceable = staticmethod(is_zarr_store)

    def _prepare(self) -> None:
        zarr_package()
        _require_storable(self.path, self.metadata.stored)
        self._compressor = _compressor(self.path, self._co)
        self._chunks = self._fitting_chunks()
        self._waiting: dict[Any, tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]] = {}
        """Blocks of which not all bands of a chunk have come, by first band, rows and columns."""

    def _fitting_chunks(self) -> tuple[int, int, int]:
        """As high and wide as the blocks that callers write, a few megabytes deep."""
        asked = asked_chunks(self._co)
        bands, rows, cols = self.metadata.shape
        high, wide = min(self.block_rows, rows), min(self.block_cols, cols)
        band_bytes = high * wide * self.metadata.stored.dtype.itemsize
        deep = min(bands, asked[0] if asked else max(1, _CHUNK_BYTES // band_bytes))
        if deep * band_bytes > LARGEST_CHUNK:
            raise UsageError(
                f"{self.path.name}: CHUNKS={self._co['CHUNKS']} are chunks of {deep * band_bytes} "
                f"bytes, expected at most {LARGEST_CHUNK}"
            )
        return deep, high, wide

    def _open(self) -> None:
        zarr = zarr_package()
        self._store = zarr.storage.LocalStore(self._grown)
        group = zarr.create_group(
            self._store, zarr_format=2, attributes={"Conventions": "CF-1.10", WHOLE: True}
        )
        self._cube = self._create_cube(group)
        self._mask: Any = self._create_mask(group) if self._options.masked else None
        for name, beside in coordinates(self.metadata).items():
            _add(group, name, beside)

    def _put(self, numbers: npt.NDArray[Any], band: int, row: int, col: int) -> None:
        require_room(self._place.folder, self.path, numbers.nbytes)
        deep = self._chunks[0]
        for start in range(band - band % deep, band + len(numbers), deep):
            self._put_chunk(start, band, numbers, row, col)

    def _put_mask(self, mask: npt.NDArray[np.bool_], row: int, col: int) -> None:
        rows, cols = mask.shape
        self._mask[row : row + rows, col : col + cols] = mask.astype(np.uint8)

    def _put_chunk(
        self, start: int, band: int, numbers: npt.NDArray[Any], row: int, col: int
    ) -> None:
        """Write what falls on the chunks from band `start`, once all of their bands have come."""
        bands, rows, cols = numbers.shape
        first, last = max(band, start), min(band + bands, start + self._chunks[0])
        place = (start, row, col, rows, cols)
        size = min(self._chunks[0], self.metadata.bands - start)
        waiting = self._waiting.pop(place, None)
        if waiting is None:
            waiting = (np.empty((size, rows, cols), numbers.dtype), np.zeros(size, np.bool_))
        values, there = waiting
        values[first - start : last - start] = numbers[first - band : last - band]
        there[first - start : last - start] = True
        if there.all():
            self._cube[start : start + size, row : row + rows, col : col + cols] = values
        else:
            self._waiting[place] = waiting

    def _finish(self) -> list[tuple[Path, Path]]:
        for (start, row, col, rows, cols), (values, there) in self._waiting.items():
            own = slice(row, row + rows), slice(col, col + cols)
            for number in np.flatnonzero(there):
                self._cube[start + int(number), *own] = values[number]
        self._check()
        zarr_package().consolidate_metadata(self._store, zarr_format=2)
        return [(self._grown, self.path)]

    def _create_cube(self, group: Any) -> Any:
        attributes = {**cube_attributes(self.metadata), DIMENSIONS: ["band", "y", "x"]}
        dtype, nodata = self.metadata.stored.dtype, self.metadata.stored.nodata
        fill = None if nodata is None else dtype.type(nodata)
        packing = {"chunks": self._chunks, "compressors": self._compressor, "fill_value": fill}
        return _create(group, CUBE, self.metadata.shape, dtype, attributes, **packing)

    def _create_mask(self, group: Any) -> Any:
        meaning = {"flag_values": [0, 1], "flag_meanings": MASK_MEANINGS, "long_name": "mask"}
        attributes, shape = {**meaning, DIMENSIONS: ["y", "x"]}, self.metadata.shape[1:]
        packing = {"chunks": self._chunks[1:], "compressors": self._compressor}
        return _create(group, MASK, shape, np.uint8, attributes, **packing)

    def _check(self) -> None:
        for array in (self._cube, self._mask):
            if array is not None and array.nchunks_initialized != array.nchunks:
                raise ResourceError(
                    f"cannot write {self.path}: {array.nchunks - array.nchunks_initialized} of "
                    "its chunks did not reach the disk; check the space left, or write elsewhere"
                )


def _add(group: Any, name: str, beside: Coordinate) -> None:
    """One small array beside the cube, in one chunk."""
    attributes = {**beside.attributes, DIMENSIONS: list(beside.dimensions)}
    shape, dtype = beside.values.shape, beside.values.dtype
    array = _create(group, name, shape, dtype, attributes, chunks=shape, compressors=None)
    array[...] = beside.values


def _create(
    group: Any, name: str, shape: tuple[int, ...], dtype: Any, attributes: Any, **packing: Any
) -> Any:
    """An array whose chunks are all written, empty ones too."""
    own = {"fill_value": None, **packing, "config": {"write_empty_chunks": True}}
    return group.create_array(name, shape=shape, dtype=dtype, attributes=attributes, **own)


def asked_chunks(options: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Bands, rows and columns of a Zarr chunk, if `CHUNKS` asks for some.

    UsageError: they are not three positive numbers.

    >>> asked_chunks({"CHUNKS": "16,128,128"})
    (16, 128, 128)
    """
    text = options.get("CHUNKS")
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(
            f"CHUNKS={text}: expected bands, rows and columns, for example CHUNKS=16,128,128"
        )
    bands, rows, cols = map(int, parts)
    return bands, rows, cols


def _compressor(path: Path, options: Mapping[str, str]) -> Any:
    import numcodecs

    asked = asked_options(path, options, COMPRESSION=[*_LEVELS, "NONE"], CHUNKS=(), LEVEL=())
    if asked["COMPRESSION"] == "NONE":
        if "LEVEL" in asked:
            raise UsageError(f"{path.name}: COMPRESSION=NONE has no LEVEL; leave one of them out")
        return None
    levels, usual = _LEVELS[asked["COMPRESSION"]]
    known = asked_options(
        path, {"LEVEL": asked.get("LEVEL", str(usual))}, LEVEL=[*map(str, levels)]
    )
    packs = {"ZSTD": numcodecs.Zstd, "GZIP": numcodecs.GZip}[asked["COMPRESSION"]]
    return packs(level=int(known["LEVEL"]))


def _require_storable(path: Path, stored: StoredNumbers) -> None:
    if stored.dtype.name in _LACKING:
        raise UsageError(
            f"{path.name}: found {stored.dtype}, which GDAL does not read from Zarr stores; "
            "choose a --dtype, or another format"
        )
    if stored.nodata is not None and not holds(stored.dtype, stored.nodata):
        raise UsageError(
            f"{path.name}: nodata {stored.nodata:g} does not fit {stored.dtype}, in which a Zarr "
            "store keeps it; choose a --dtype that holds it"
        )
