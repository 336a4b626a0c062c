"""Whether the file of a finished strip is what it should be, to the last byte.

A file that was broken off or damaged is none, and neither is one of another kind that came to lie
in its place: it is computed again then, and nothing of it is unpacked or believed.
"""

import json
import tokenize
import zipfile
from pathlib import Path
from typing import Any, Final

from numpy.lib import format as npy_format

FACTS: Final = "strip.json"
_LARGEST_FACTS: Final = 2**24
_DAMAGED: Final = (
    *(OSError, zipfile.BadZipFile, EOFError, ValueError, LookupError, TypeError),
    *(AttributeError, NotImplementedError, RuntimeError, OverflowError, MemoryError),
    *(SyntaxError, tokenize.TokenError),
)
"""What zipfile, json and numpy raise on what is none; the last line is Python's, on a literal."""


def is_whole_strip(path: Path) -> bool:
    """True if a file holds a strip: every checksum right, and every array as long as it says."""
    try:
        if not path.is_file():
            return False
        with zipfile.ZipFile(path) as file:
            plain = all(
                member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
                for member in file.infolist()
            )
            return plain and file.testzip() is None and _is_complete(file)
    except _DAMAGED:
        return False


def _is_complete(file: zipfile.ZipFile) -> bool:
    """True if the facts are such, and the arrays that they speak of are there."""
    if file.getinfo(FACTS).file_size > _LARGEST_FACTS:
        return False
    facts = json.loads(file.read(FACTS))
    return _is_count(facts["moved"]) and all(
        _is_count(place["band"])
        and _is_count(place["row"])
        and isinstance(place["masked"], bool)
        and _fits(file, number, masked=place["masked"])
        for number, place in enumerate(facts["places"])
    )


def _fits(file: zipfile.ZipFile, number: int, *, masked: bool) -> bool:
    """True if a piece is a cube of plain numbers, and its mask as high and as wide."""
    shape, kind = _header(file, f"numbers-{number}.npy")
    if len(shape) != 3 or kind not in "iuf":
        return False
    return not masked or _header(file, f"mask-{number}.npy") == (shape[1:], "b")


def _header(file: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], str]:
    """Shape and kind of an array that has all its numbers.

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
    return shape, dtype.kind


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
