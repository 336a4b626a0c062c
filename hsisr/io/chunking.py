"""The blocks of an output file: how large they are, and whether numbers fit into it."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from hsisr.errors import UsageError
from hsisr.scene.metadata import SceneMetadata

_SIDE = 256
_SMALLEST = 64
_GRAIN = 16
"""TIFF tiles have sides that are multiples of this."""
_STRIP_BYTES = 128 * 2**20
"""A row of blocks through all bands should stay below this."""


def block_size(
    metadata: SceneMetadata, file_format: str, creation_options: Mapping[str, str] | None = None
) -> tuple[int, int]:
    """Rows and columns of a block, the unit in which a file is best written.

    Blocks are 256 pixels square, less where a row of them through all bands would not fit into
    128 MiB or where the scene is smaller. An ENVI file has no blocks: any row will do.

    Args:
        metadata: What will be written.
        file_format: GTiff, COG, ENVI, MAT or Zarr.
        creation_options: `BLOCKXSIZE`, `BLOCKYSIZE` and `TILED` are obeyed for GTiff, `CHUNKS`
            for Zarr.

    Raises:
        UsageError: A block size asked for is not a positive multiple of 16, or chunks are not
            three numbers.
    """
    if file_format == "ENVI":
        return 1, 1
    side, bands = _SIDE, metadata.bands
    row_bytes = metadata.cols * bands * metadata.stored.dtype.itemsize
    while side > _SMALLEST and side * row_bytes > _STRIP_BYTES:
        side //= 2
    options = {key.upper(): value for key, value in (creation_options or {}).items()}
    rows, cols = _fitting(side, metadata.rows), _fitting(side, metadata.cols)
    if file_format == "Zarr" and (asked := asked_chunks(options)):
        return asked[1:]
    if file_format == "GTiff":
        rows = _asked(options, "BLOCKYSIZE", rows)
        cols = _asked(options, "BLOCKXSIZE", cols)
        if options.get("TILED", "YES").upper() in ("NO", "FALSE", "OFF"):
            cols = metadata.cols
    return rows, cols


def asked_chunks(options: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Bands, rows and columns of a Zarr chunk, if `CHUNKS` asks for some.

    Raises:
        UsageError: They are not three positive numbers.

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


def require_fit(
    metadata: SceneMetadata, numbers: npt.NDArray[Any], *, row: int, col: int, band: int
) -> None:
    """Refuse numbers that would be cast, or fall outside the scene.

    Raises:
        UsageError: The type is another, or the place lies outside.
    """
    if numbers.dtype != metadata.stored.dtype:
        raise UsageError(f"found numbers of type {numbers.dtype}, expected {metadata.stored.dtype}")
    starts, sizes = (band, row, col), metadata.shape
    ends = [start + size for start, size in zip(starts, numbers.shape, strict=True)]
    if min(starts) < 0 or any(end > size for end, size in zip(ends, sizes, strict=True)):
        raise UsageError(
            f"found numbers for (band, row, col) {starts} to {tuple(ends)}, expected a place "
            f"inside {sizes}"
        )


def _fitting(side: int, length: int) -> int:
    """A block no larger than the scene needs."""
    return min(side, -(-length // _GRAIN) * _GRAIN)


def _asked(options: Mapping[str, str], key: str, default: int) -> int:
    text = options.get(key)
    if text is None:
        return default
    if not text.isdecimal() or int(text) % _GRAIN or int(text) == 0:
        raise UsageError(f"{key}={text}: expected a multiple of {_GRAIN}, for example {key}=256")
    return int(text)
