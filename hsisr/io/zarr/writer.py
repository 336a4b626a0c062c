"""Scenes written as Zarr stores: the array `data` (band, y, x), its coordinates, its grid mapping.

The chunks are as high and as wide as the blocks that callers write, so that none is packed twice;
their depth keeps them at a few megabytes. All chunks are written, empty ones too, so that a lost
one can be told from an empty one.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.errors import ResourceError
from hsisr.io.atomic import require_room
from hsisr.io.base import FileWriter, TargetOptions
from hsisr.io.zarr.layout import (
    CUBE,
    DIMENSIONS,
    MASK,
    Coordinate,
    coordinates,
    cube_attributes,
)
from hsisr.io.zarr.options import ZarrOptions, zarr_options
from hsisr.io.zarr.store import WHOLE, is_zarr_store, zarr_package
from hsisr.scene.metadata import SceneMetadata


class ZarrWriter(FileWriter):
    """A Zarr store of version 2; the folder appears when it is complete.

    Args:
        path: The target, a folder to be.
        metadata: What it will hold.
        options: How; with `masked`, an array `mask` says where pixels are data.
        blocks: Rows and columns that callers should write at a time.

    Raises:
        UsageError: A creation option or the data type is none for Zarr, or zarr is not installed.
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
        zarr_package()
        self._chosen = zarr_options(path, metadata, options.creation_options, blocks)
        self._deep = self._chosen.chunks[0]
        self._waiting: dict[Any, tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]] = {}
        """Blocks of which not all bands of a chunk have come, by first band, rows and columns."""
        super().__init__(path, metadata, options, blocks, replaceable=is_zarr_store)

    def _open(self) -> None:
        zarr = zarr_package()
        self._store = zarr.storage.LocalStore(self._grown)
        group = zarr.create_group(
            self._store, zarr_format=2, attributes={"Conventions": "CF-1.10", WHOLE: True}
        )
        self._cube = self._create_cube(group, self._chosen)
        self._mask: Any = self._create_mask(group, self._chosen) if self._options.masked else None
        for name, beside in coordinates(self.metadata).items():
            _add(group, name, beside)

    def _put(self, numbers: npt.NDArray[Any], band: int, row: int, col: int) -> None:
        require_room(self._place.folder, self.path, numbers.nbytes)
        for start in range(band - band % self._deep, band + len(numbers), self._deep):
            self._put_chunk(start, band, numbers, row, col)

    def _put_mask(self, mask: npt.NDArray[np.bool_], row: int, col: int) -> None:
        rows, cols = mask.shape
        self._mask[row : row + rows, col : col + cols] = mask.astype(np.uint8)

    def _put_chunk(
        self, start: int, band: int, numbers: npt.NDArray[Any], row: int, col: int
    ) -> None:
        """Write what falls on the chunks from band `start`, once all of their bands have come."""
        bands, rows, cols = numbers.shape
        first, last = max(band, start), min(band + bands, start + self._deep)
        place = (start, row, col, rows, cols)
        size = min(self._deep, self.metadata.bands - start)
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

    def _create_cube(self, group: Any, chosen: ZarrOptions) -> Any:
        dtype, nodata = self.metadata.stored.dtype, self.metadata.stored.nodata
        return group.create_array(
            CUBE,
            shape=self.metadata.shape,
            dtype=dtype,
            chunks=chosen.chunks,
            compressors=chosen.compressor,
            fill_value=None if nodata is None else dtype.type(nodata),
            config={"write_empty_chunks": True},
            attributes={
                **cube_attributes(self.metadata),
                DIMENSIONS: ["band", "y", "x"],
            },
        )

    def _create_mask(self, group: Any, chosen: ZarrOptions) -> Any:
        meaning = {"flag_values": [0, 1], "flag_meanings": "no_data data", "long_name": "mask"}
        return group.create_array(
            MASK,
            shape=self.metadata.shape[1:],
            dtype=np.uint8,
            chunks=chosen.chunks[1:],
            compressors=chosen.compressor,
            fill_value=None,
            config={"write_empty_chunks": True},
            attributes={**meaning, DIMENSIONS: ["y", "x"]},
        )

    def _check(self) -> None:
        for array in (self._cube, self._mask):
            if array is not None and array.nchunks_initialized != array.nchunks:
                raise ResourceError(
                    f"cannot write {self.path}: {array.nchunks - array.nchunks_initialized} of "
                    "its chunks did not reach the disk; check the space left, or write elsewhere"
                )


def _add(group: Any, name: str, beside: Coordinate) -> None:
    """One small array beside the cube, in one chunk."""
    array = group.create_array(
        name,
        shape=beside.values.shape,
        dtype=beside.values.dtype,
        chunks=beside.values.shape,
        compressors=None,
        fill_value=None,
        config={"write_empty_chunks": True},
        attributes={**beside.attributes, DIMENSIONS: list(beside.dimensions)},
    )
    array[...] = beside.values
