"""MATLAB files of version 5 as a table of variables, read a whole variable at a time.

SciPy's reader ends the process by a signal on some damaged files (fuzzing found them; they lie in
tests/fuzz/corpus/mat5). Here every size is compared with the bytes there are before it is used, and
numbers are read only if they are as many as the variable's dimensions say.

Source: "MAT-File Format", The MathWorks, chapter 1.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import psutil

from hsisr.errors import InputDataError, ResourceError
from hsisr.io.matlab.fields import Kind, MatFile, Variable, reading, refuse_complex

_HEADER_BYTES: Final = 128
_NUMBERS: Final = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"} | {
    12: "i8",
    13: "u8",
}
"""Types of numbers on disk, by their codes."""
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_CELL, _STRUCT, _CHAR, _OPAQUE = 1, 2, 4, 17
"""Classes of arrays; MATLAB does not document opaque ones, which have no dimensions."""
_CLASSES: Final = range(6, 16)
"""Classes of numbers, from double to uint64."""
_COMPLEX, _LOGICAL = 8, 2
_ENCODINGS: Final = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
"""Of characters, by the types of numbers they are stored as."""
_MOST_DEFLATED: Final = 1032
"""Deflate packs no better than 1032 to 1 (zlib's technical details)."""
_PIECE: Final = 1 << 18


class _Element(NamedTuple):
    """Bytes of a file that hold one variable, or one struct with its fields."""

    place: int
    """First of them, after the tag."""
    size: int
    packed: bool
    """They are deflated."""


@dataclass(frozen=True, slots=True)
class _Head:
    """What a variable says of itself before its content, and where it lies."""

    name: str
    shape: tuple[int, ...]
    matlab_class: int
    flags: int
    element: _Element
    start: int
    """Bytes of the (unpacked) element before this variable."""

    @property
    def kind(self) -> Kind:
        if self.matlab_class in _CLASSES:
            return "flags" if self.flags & _LOGICAL else "numbers"
        return "text" if self.matlab_class in (_CHAR, _CELL) else "other"


class _Source:
    """The bytes of one element, plain or unpacked as they are asked for; `order` is "<" or ">".

    Its methods raise ValueError where the bytes are not as the format has them, and zlib.error.
    """

    def __init__(self, file: BufferedReader | BytesIO, element: _Element, order: str) -> None:
        file.seek(element.place)
        self.order, self.position = order, 0
        self._element, self._file, self._left = element, file, element.size
        self._inflater = zlib.decompressobj() if element.packed else None
        self.most = element.size * (_MOST_DEFLATED if element.packed else 1)
        """No more bytes than this can come."""

    def read(self, count: int) -> bytearray:
        """So many bytes."""
        if count > self.most:
            raise ValueError(f"{count} bytes are promised where at most {self.most} can be")
        found, at = bytearray(count), 0
        for piece in self._pieces(count):
            found[at : at + len(piece)] = piece
            at += len(piece)
        return found

    def skip(self, count: int) -> None:
        """Pass over so many bytes."""
        for _ in self._pieces(count):
            pass

    def _pieces(self, count: int) -> Iterator[bytes]:
        end = self.position + count
        while self.position < end:
            piece = self._piece(min(end - self.position, _PIECE))
            if not piece:
                raise ValueError("a variable ends before its end")
            self.position += len(piece)
            yield piece

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
        """Type and size of the next element, and its content if that is small enough for a tag."""
        start = self.read(8)
        first, size = struct.unpack(f"{self.order}II", start)
        if not first >> 16:
            return first, size, None
        if first >> 16 > 4:
            raise ValueError(f"a small element claims {first >> 16} bytes")
        return first & 0xFFFF, first >> 16, bytes(start[4 : 4 + (first >> 16)])

    def element(self) -> tuple[int, bytes]:
        """Type and content of the next element."""
        kind, size, inside = self.tag()
        if inside is not None:
            return kind, inside
        content = bytes(self.read(size))
        self.skip(-size % 8)
        return kind, content

    def head(self, name: str = "") -> _Head:
        """The head of a variable, called `name` or as it says; leaves the source at its content."""
        start = self.position
        kind, content = self.element()
        if kind != _UINT32 or len(content) != 8:
            raise ValueError("a variable does not begin with its flags")
        word = struct.unpack_from(f"{self.order}I", content)[0]
        matlab_class, flags = word & 0xFF, word >> 8 & 0xFF
        shape: tuple[int, ...] = ()
        if matlab_class != _OPAQUE:
            kind, content = self.element()
            shape = tuple(struct.unpack(f"{self.order}{len(content) // 4}i", content))
            if kind != _INT32 or len(shape) < 2 or min(shape) < 0:
                raise ValueError(f"a variable has the dimensions {shape}")
        kind, content = self.element()
        if kind != _INT8:
            raise ValueError("a variable has a name that is no text")
        name = name or content.decode("latin-1")
        return _Head(name, shape, matlab_class, flags, self._element, start)

    def number_tag(self, count: int) -> tuple[np.dtype[Any], bytes | None]:
        """Type of the `count` numbers that follow, and the numbers themselves if they are few."""
        kind, size, inside = self.tag()
        if kind not in _NUMBERS:
            raise ValueError(f"found numbers of type {kind}")
        dtype = np.dtype(self.order + _NUMBERS[kind])
        if size != count * dtype.itemsize or size > self.most:
            raise ValueError(f"found {size} bytes for {count} numbers of {dtype.itemsize}")
        return dtype, inside


class Mat5(MatFile):
    """Version 5, packed or not; the fields of a struct are variables called "struct.field"."""

    format = "MAT5"

    def __init__(self, path: Path) -> None:
        self._path = path
        with reading(), path.open("rb") as file:
            self._heads = {head.name: head for head in _heads(file, path.stat().st_size)}
        self.variables = {name: Variable(h.shape, h.kind) for name, h in self._heads.items()}

    def array(self, name: str) -> tuple[npt.NDArray[Any], bool]:
        """See `MatFile.array`; loads the whole variable, for packed ones know no windows."""
        head = self._heads[name]
        if head.flags & _COMPLEX:
            refuse_complex(name)
        count = math.prod(head.shape)
        with reading(), self._content(name) as source:
            dtype, inside = source.number_tag(count)
            _require_memory(name, count * dtype.itemsize)
            content = source.read(count * dtype.itemsize) if inside is None else inside
            return np.frombuffer(content, dtype).reshape(head.shape, order="F"), False

    def texts(self, name: str) -> list[str]:
        """See `MatFile.texts`."""
        head = self._heads[name]
        with reading(), self._content(name) as source:
            if head.matlab_class == _CHAR:
                return _rows_of_text(source, head.shape)
            return [_text_in_cell(source) for _ in range(math.prod(head.shape))]

    def close(self) -> None:
        """Nothing stays open."""

    @contextmanager
    def _content(self, name: str) -> Iterator[_Source]:
        """The bytes of a variable, from its content on."""
        head = self._heads[name]
        with self._path.open("rb") as file:
            source = _Source(file, head.element, _byte_order(file))
            source.skip(head.start)
            source.head()
            yield source


def _heads(file: BufferedReader, size: int) -> Iterator[_Head]:
    """The variables of a file of `size` bytes, fields of structs included."""
    order = _byte_order(file)
    place = _HEADER_BYTES
    while place + 8 <= size:
        file.seek(place)
        kind, length = struct.unpack(f"{order}II", file.read(8))
        place += 8
        if kind not in (_MATRIX, _COMPRESSED) or length > size - place:
            raise ValueError(f"found an element of type {kind} with {length} bytes")
        source = _Source(file, _Element(place, length, kind == _COMPRESSED), order)
        if kind == _COMPRESSED and source.tag()[0] != _MATRIX:
            raise ValueError("found packed data that are no variable")
        yield from _with_fields(source)
        place += length


def _with_fields(source: _Source, name: str = "") -> Iterator[_Head]:
    """The variable at the source and, of a single struct, its fields."""
    head = source.head(name)
    if not head.name:  # MATLAB's own workspace of functions
        return
    yield head
    if head.matlab_class != _STRUCT or math.prod(head.shape) != 1:
        return
    (longest,) = struct.unpack(f"{source.order}i", source.element()[1])
    texts = source.element()[1]
    for at in range(0, len(texts), max(1, longest)):
        field = texts[at : at + longest].partition(b"\0")[0].decode("latin-1")
        kind, size, _ = source.tag()
        if kind != _MATRIX:
            raise ValueError(f"field {field[:80]} of {head.name} is of type {kind}")
        end = source.position + size
        if size:
            yield from _with_fields(source, f"{head.name}.{field}")
        source.skip(end - source.position)


def _byte_order(file: BufferedReader) -> str:
    """Order of bytes, "<" or ">", as the header of the file says."""
    file.seek(0)
    header = file.read(_HEADER_BYTES)
    if header.startswith((b"# Created by Octave", b"Octave-1-")):
        raise InputDataError(
            "found a file in Octave's own text or binary format, expected MATLAB's; save it again "
            "in Octave: save -v7 FILE VARIABLES"
        )
    orders = {b"IM": "<", b"MI": ">"}
    if header[-2:] not in orders:
        raise ValueError("its header is none of MATLAB 5; older files hold matrices only")
    return orders[header[-2:]]


def _rows_of_text(source: _Source, shape: tuple[int, ...]) -> list[str]:
    """A char array as its rows, which it keeps column by column."""
    kind, content = source.element()
    if kind not in _ENCODINGS:
        raise ValueError(f"found text of type {kind}")
    name = _ENCODINGS[kind]
    if name == "utf-16":
        name += "-le" if source.order == "<" else "-be"
    text = content.decode(name)
    if len(shape) != 2 or (shape[0] != 1 and len(text) != math.prod(shape)):
        raise ValueError(f"found {len(text)} characters for a text of {shape}")
    rows = shape[0]
    return [text] if rows == 1 else [text[row::rows] for row in range(rows)]


def _text_in_cell(source: _Source) -> str:
    """The next cell of a cell array, which must be a text or empty."""
    content = source.element()[1]
    if not content:
        return ""
    cell = _Source(BytesIO(content), _Element(0, len(content), packed=False), source.order)
    head = cell.head()
    if not math.prod(head.shape):
        return ""
    if head.matlab_class != _CHAR:
        raise ValueError("found cells that hold no texts")
    return "".join(_rows_of_text(cell, head.shape))


def _require_memory(name: str, nbytes: int) -> None:
    free = int(psutil.virtual_memory().available)
    if nbytes > free:
        raise ResourceError(
            f"variable {name} takes {nbytes} bytes, {free} are free; a version 5 file is read as a "
            "whole, so save it with -v7.3, which is read by windows"
        )
