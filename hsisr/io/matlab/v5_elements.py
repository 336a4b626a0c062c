"""MATLAB's version 5 format, element by element: a claim is checked before it is used.

scipy's reader ends the process by a signal on some damaged files (fuzzing found them; they lie in
tests/fuzz/corpus/mat5). Here every size is held against the bytes there are, and numbers are read
only after they were found to be as many as the variable's dimensions say.

Source: "MAT-File Format", The MathWorks, chapter 1.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt

HEADER_BYTES: Final = 128
NUMBERS: Final = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
"""Types of numbers on disk, by their codes."""
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
OPAQUE: Final = 17
"""Class of what MATLAB does not document; it has no dimensions."""
_COMPLEX, _LOGICAL = 8, 2
_MOST_DEFLATED: Final = 1032
"""Deflate packs no better than 1032 to 1 (zlib's technical details)."""
_LONGEST_NAME: Final = 4096
_MOST_DIMENSIONS: Final = 64
_PIECE: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Head:
    """A variable's outside, and where it lies."""

    name: str
    shape: tuple[int, ...]
    matlab_class: int
    flags: int
    place: int
    """First byte of its element in the file, after the tag."""
    size: int
    """Bytes of the element."""
    packed: bool

    @property
    def is_complex(self) -> bool:
        """There is an imaginary part."""
        return bool(self.flags & _COMPLEX)

    @property
    def is_logical(self) -> bool:
        """The numbers are true or false."""
        return bool(self.flags & _LOGICAL)

    @property
    def count(self) -> int:
        """How many numbers, characters or cells."""
        return math.prod(self.shape)


class Source:
    """The bytes of one element, plain or unpacked as they are asked for.

    Args:
        file: Stands at the first of them.
        size: How many there are in the file.
        packed: They are deflated.
        order: "<" or ">", the file's byte order.
    """

    def __init__(self, file: BufferedReader | BytesIO, size: int, order: str, packed: bool) -> None:
        self.order = order
        self._file, self._left = file, size
        self._inflater = zlib.decompressobj() if packed else None
        self.most = size * _MOST_DEFLATED if packed else size
        """No more bytes than this can come."""

    def read(self, count: int) -> bytearray:
        """So many bytes.

        Raises:
            ValueError: There are fewer.
            zlib.error: They are no deflated data.
        """
        if count > self.most:
            raise ValueError(f"{count} bytes are promised where at most {self.most} can be")
        found = bytearray(count)
        at = 0
        while at < count:
            piece = self._piece(min(count - at, _PIECE))
            if not piece:
                raise ValueError("a variable ends before its end")
            found[at : at + len(piece)] = piece
            at += len(piece)
        return found

    def _piece(self, most: int) -> bytes:
        if self._inflater is None:
            piece = self._file.read(min(most, self._left))
            self._left -= len(piece)
            return piece
        while not self._inflater.eof:
            packed = self._inflater.unconsumed_tail
            if not packed:
                packed = self._file.read(min(_PIECE, self._left))
                self._left -= len(packed)
            piece = self._inflater.decompress(packed, most)
            if piece or not packed:
                return piece
        return b""

    def tag(self) -> tuple[int, int, bytes | None]:
        """Type and size of the next element, and its content where it is so small as to lie inside.

        Raises:
            ValueError: A small element claims more than fits.
        """
        start = self.read(8)
        first, size = struct.unpack(f"{self.order}II", start)
        if not first >> 16:
            return first, size, None
        if first >> 16 > 4:
            raise ValueError(f"a small element claims {first >> 16} bytes")
        return first & 0xFFFF, first >> 16, bytes(start[4 : 4 + (first >> 16)])

    def element(self, most: int) -> tuple[int, bytes]:
        """Type and content of the next element, which may have so many bytes.

        Raises:
            ValueError: It has more.
        """
        kind, size, inside = self.tag()
        if inside is not None:
            return kind, inside
        if size > most:
            raise ValueError(f"an element claims {size} bytes, expected at most {most}")
        content = bytes(self.read(size))
        self.read(-size % 8)
        return kind, content


def heads(file: BufferedReader, size: int) -> Iterator[Head]:
    """The variables of a file, by their outsides.

    Args:
        file: Open, anywhere.
        size: Its bytes.

    Raises:
        ValueError: It is no MATLAB file of version 5, or a variable claims what cannot be.
        zlib.error: A packed variable is damaged.
    """
    order = byte_order(file)
    place = HEADER_BYTES
    while place + 8 <= size:
        file.seek(place)
        kind, length = struct.unpack(f"{order}II", file.read(8))
        place += 8
        if kind not in (_MATRIX, _COMPRESSED) or length > size - place:
            raise ValueError(f"found an element of type {kind} with {length} bytes")
        source = Source(file, length, order, packed=kind == _COMPRESSED)
        if kind == _COMPRESSED and source.tag()[0] != _MATRIX:
            raise ValueError("found packed data that are no variable")
        name, shape, matlab_class, flags = outside(source)
        if name:  # MATLAB's own workspace of functions has none
            yield Head(name, shape, matlab_class, flags, place, length, kind == _COMPRESSED)
        place += length


def byte_order(file: BufferedReader) -> str:
    """Order of bytes, "<" or ">", as the header of the file says.

    Raises:
        ValueError: It says neither, so this is no MATLAB file of version 5.
    """
    file.seek(HEADER_BYTES - 4)
    mark = file.read(4)
    orders = {b"IM": "<", b"MI": ">"}
    if mark[2:] not in orders:
        raise ValueError("its header is none of MATLAB 5; older files hold matrices only")
    return orders[mark[2:]]


def outside(source: Source) -> tuple[str, tuple[int, ...], int, int]:
    """Name, dimensions, class and flags of a variable; leaves the source before its content.

    Raises:
        ValueError: They are not as the format has them.
    """
    kind, content = source.element(16)
    if kind != _UINT32 or len(content) != 8:
        raise ValueError("a variable does not begin with its flags")
    word = struct.unpack_from(f"{source.order}I", content)[0]
    matlab_class, flags = word & 0xFF, word >> 8 & 0xFF
    shape: tuple[int, ...] = ()
    if matlab_class != OPAQUE:
        kind, content = source.element(4 * _MOST_DIMENSIONS)
        shape = tuple(struct.unpack(f"{source.order}{len(content) // 4}i", content))
        if kind != _INT32 or len(shape) < 2 or min(shape) < 0:
            raise ValueError(f"a variable has the dimensions {shape}")
    kind, content = source.element(_LONGEST_NAME)
    if kind != _INT8:
        raise ValueError("a variable has a name that is no text")
    return content.decode("latin-1"), shape, matlab_class, flags


def number_tag(source: Source, count: int) -> tuple[np.dtype[Any], bytes | None]:
    """Type of the numbers that follow, and the numbers themselves where they are few.

    Raises:
        ValueError: They are not as many as the dimensions say.
    """
    kind, size, inside = source.tag()
    if kind not in NUMBERS:
        raise ValueError(f"found numbers of type {kind}")
    dtype = np.dtype(source.order + NUMBERS[kind])
    if size != count * dtype.itemsize or size > source.most:
        raise ValueError(f"found {size} bytes for {count} numbers of {dtype.itemsize}")
    return dtype, inside


def numbers_of(source: Source, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The numbers of a variable whose outside was read, as they are stored.

    Raises:
        ValueError: There are fewer or more than the dimensions say.
        MemoryError: They do not fit.
    """
    dtype, inside = number_tag(source, math.prod(shape))
    content = source.read(math.prod(shape) * dtype.itemsize) if inside is None else inside
    return np.frombuffer(content, dtype).reshape(shape, order="F")
