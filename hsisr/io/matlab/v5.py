"""MATLAB files of version 5 as a table of variables, read a whole variable at a time."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt
import psutil

from hsisr.errors import InputDataError, ResourceError
from hsisr.io.matlab.file import Kind, MatFile, Variable, reading
from hsisr.io.matlab.v5_elements import (
    Head,
    Source,
    byte_order,
    heads,
    number_tag,
    numbers_of,
    outside,
)

_CELL, _CHAR = 1, 4
_CLASSES: Final = range(6, 16)
"""Classes of numbers, from double to uint64."""
_ENCODINGS: Final = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
"""Of characters, by the types of numbers they are stored as."""
_MOST_TEXT: Final = 1 << 22
_MOST_CELLS: Final = 1 << 16


class Mat5(MatFile):
    """Version 5, packed or not."""

    format = "MAT5"

    def __init__(self, path: Path) -> None:
        self._path = path
        with reading(), path.open("rb") as file:
            self._heads = {head.name: head for head in heads(file, path.stat().st_size)}
        self.variables = {
            name: Variable(head.shape, _kind(head)) for name, head in self._heads.items()
        }

    def array(self, name: str) -> tuple[npt.NDArray[Any], bool]:
        """See `MatFile.array`; loads the whole variable, for packed ones know no windows."""
        head = self._heads[name]
        if head.is_complex:
            raise InputDataError(
                f"found complex numbers in {name}, expected integers or floats; complex data "
                "cannot be upscaled"
            )
        with reading():
            with self._inside(head) as source:
                dtype, _ = number_tag(source, head.count)
            _require_memory(name, head.count * dtype.itemsize)
            with self._inside(head) as source:
                return numbers_of(source, head.shape), False

    def texts(self, name: str) -> list[str]:
        """See `MatFile.texts`."""
        head = self._heads[name]
        with reading(), self._inside(head) as source:
            if head.matlab_class == _CHAR:
                return _rows_of_text(source, head.shape)
            if head.count > _MOST_CELLS:
                raise ValueError(f"{name} has {head.count} cells, expected one a band")
            return [_text_in_cell(source) for _ in range(head.count)]

    def close(self) -> None:
        """Nothing stays open."""

    @contextmanager
    def _inside(self, head: Head) -> Iterator[Source]:
        """The bytes of a variable, from its content on."""
        with self._path.open("rb") as file:
            order = byte_order(file)
            file.seek(head.place)
            source = Source(file, head.size, order, packed=head.packed)
            if head.packed:
                source.tag()
            outside(source)
            yield source


def _kind(head: Head) -> Kind:
    if head.matlab_class in _CLASSES:
        return "flags" if head.is_logical else "numbers"
    return "text" if head.matlab_class in (_CHAR, _CELL) else "other"


def _rows_of_text(source: Source, shape: tuple[int, ...]) -> list[str]:
    """A char array as its rows, which it keeps column by column.

    Raises:
        ValueError: It is not as the format has it.
    """
    kind, content = source.element(_MOST_TEXT)
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


def _text_in_cell(source: Source) -> str:
    """The next cell of a cell array, which must be a text or empty.

    Raises:
        ValueError: It is something else.
    """
    _, content = source.element(_MOST_TEXT)
    if not content:
        return ""
    cell = Source(BytesIO(content), len(content), source.order, packed=False)
    _, shape, matlab_class, _ = outside(cell)
    if not math.prod(shape):
        return ""
    if matlab_class != _CHAR:
        raise ValueError("found cells that hold no texts")
    return "".join(_rows_of_text(cell, shape))


def _require_memory(name: str, nbytes: int) -> None:
    """Refuse what does not fit before anything is allocated."""
    free = int(psutil.virtual_memory().available)
    if nbytes > free:
        raise ResourceError(
            f"variable {name} takes {nbytes} bytes, {free} are free; a version 5 file is read as a "
            "whole, so save it with -v7.3, which is read by windows"
        )
