"""Whether the file of a finished strip is what it should be, to the last byte.

A file that was broken off or damaged is none, and neither is one of another kind, or of another
place, that came to lie in its place: it is computed again then, and nothing of it is unpacked or
believed.
"""

import json
import tokenize
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy_format

FACTS: Final = "strip.json"
_LARGEST_FACTS: Final = 2**24
_DAMAGED: Final = (
    *(OSError, zipfile.BadZipFile, EOFError, ValueError, LookupError, TypeError),
    *(AttributeError, NotImplementedError, RuntimeError, OverflowError, MemoryError),
    *(SyntaxError, tokenize.TokenError),
)
"""What zipfile, json and numpy raise on what is none; the last line is Python's, on a literal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What a strip fills, once, with its pieces; all of them are as high and as wide as it is."""

    dtype: np.dtype[Any]
    """Of the stored numbers."""
    bands: int
    row: int
    """First HR row of the scene."""
    rows: int
    cols: int
    """HR columns of the panel."""
    masked: bool
    """True if the piece with the first band has the pixel mask."""


def is_whole_strip(path: Path, place: tuple[int, int], extent: Extent | None = None) -> bool:
    """True if a file holds a strip: every checksum right, and every array as long as it says.

    Args:
        path: The file.
        place: Number of the panel, number of the row of tiles; the strip has to say the same.
        extent: What the pieces have to fill; None: whatever they do.
    """
    try:
        if not path.is_file():
            return False
        with zipfile.ZipFile(path) as file:
            plain = all(
                member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
                for member in file.infolist()
            )
            return plain and file.testzip() is None and _is_complete(file, place, extent)
    except _DAMAGED:
        return False


def _is_complete(file: zipfile.ZipFile, place: tuple[int, int], extent: Extent | None) -> bool:
    """True if the facts are such, and the arrays that they speak of are there and fill it."""
    if file.getinfo(FACTS).file_size > _LARGEST_FACTS:
        return False
    facts = json.loads(file.read(FACTS))
    if facts["strip"] != list(place) or not _is_count(facts["moved"]):
        return False
    filled: list[int] = []
    for number, piece in enumerate(facts["places"]):
        shape, dtype = _header(file, f"numbers-{number}.npy")
        if not _is_piece(file, number, piece, shape, dtype):
            return False
        if extent is not None:
            if not _fits(piece, shape, dtype, extent):
                return False
            filled += range(piece["band"], piece["band"] + shape[0])
    return extent is None or sorted(filled) == list(range(extent.bands))


def _is_piece(
    file: zipfile.ZipFile, number: int, piece: Any, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> bool:
    """True if a piece is a cube of plain numbers, and its mask as high and as wide."""
    plain = _is_count(piece["band"]) and _is_count(piece["row"])
    if not plain or len(shape) != 3 or dtype.kind not in "iuf":
        return False
    if piece["masked"] is not True:
        return piece["masked"] is False
    return _header(file, f"mask-{number}.npy") == (shape[1:], np.dtype(np.bool_))


def _fits(
    piece: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any], extent: Extent
) -> bool:
    """True if a piece is of the type, as high and as wide as the strip, and has its mask."""
    return (
        dtype == extent.dtype
        and piece["row"] == extent.row
        and piece["band"] + shape[0] <= extent.bands
        and shape[1:] == (extent.rows, extent.cols)
        and piece["masked"] == (extent.masked and piece["band"] == 0)
    )


def _header(file: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array that has all its numbers.

    Raises:
        ValueError: It has more, or fewer.
    """
    with file.open(name) as member:
        if npy_format.read_magic(member) != (1, 0):
            raise ValueError("no array of numpy's version 1.0")
        shape, _, dtype = npy_format.read_array_header_1_0(member)
        size = dtype.itemsize
        for side in shape:
            size *= side
        if min(shape, default=0) < 1 or member.tell() + size != file.getinfo(name).file_size:
            raise ValueError("another number of numbers than it says")
    return shape, dtype


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
