"""MATLAB files of version 7.3 as a table of variables, read by windows.

They are HDF5 with the axes of every array reversed, unless another program wrote them: where
neither the file's first bytes nor the array's attributes are MATLAB's, axes are as HDF5 has them.
Only what lies in the file itself is read:
links and storage that point outside it are not followed.
"""

import math
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

from hsisr.io.matlab.file import Kind, MatFile, Variable, reading

_CLASSES: Final = frozenset({"double", "single"}) | {
    f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)
}
_CHUNK_CACHE: Final = 16 * 2**20
_LARGEST_CHUNK: Final = 2**28
"""A packed chunk is unpacked as a whole; MATLAB's own have some hundred kilobytes."""
_MOST_TEXTS: Final = 1 << 16
_MOST_TEXT: Final = 1 << 22


class Mat73(MatFile):
    """Version 7.3, by h5py."""

    format = "MAT73"

    def __init__(self, path: Path) -> None:
        with reading():
            self._file = h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE)
            self._of_matlab = _begins_as_matlab(path)
            inside = [n for n in self._file if not n.startswith("#") and _is_inside(self._file, n)]
            self._items = {name: self._file[name] for name in inside}
            for name in inside:
                self._items |= _fields_of_struct(name, self._file[name])
            self.variables = {
                name: _variable(item, self._is_reversed(item)) for name, item in self._items.items()
            }

    def array(self, name: str) -> tuple[Any, bool]:
        """See `MatFile.array`."""
        return self._items[name], self._is_reversed(self._items[name])

    def _is_reversed(self, item: Any) -> bool:
        return self._of_matlab or "MATLAB_class" in item.attrs

    def texts(self, name: str) -> list[str]:
        """See `MatFile.texts`."""
        with reading():
            item = self._items[name]
            if item.size > _MOST_TEXTS:
                raise ValueError(f"{name} has {item.size} texts, expected one a band")
            if h5py.check_ref_dtype(item.dtype) is not h5py.Reference:
                return _texts(item)
            found = []
            for reference in np.ravel(item[()]):
                found.append(_text_of(self._file[reference]))
                _require_short(found)
            return found

    def close(self) -> None:
        """See `MatFile.close`."""
        self._file.close()


def _texts(item: h5py.Dataset) -> list[str]:
    """Strings, or the rows of a char array."""
    if h5py.check_string_dtype(item.dtype):
        found: list[str] = []
        for place in np.ndindex(item.shape):  # one by one: all may point at one long string
            found.append(str(item.asstr()[place]))
            _require_short(found)
        return found
    if item.size * item.dtype.itemsize > _MOST_TEXT:
        raise ValueError(f"{item.name} is too long for a text")
    rows = np.atleast_2d(np.asarray(item).T)
    return ["".join(map(chr, row)) for row in rows]


def _text_of(cell: Any) -> str:
    """The text in a cell, which is no cell again."""
    if not isinstance(cell, h5py.Dataset) or not _is_own(cell) or h5py.check_ref_dtype(cell.dtype):
        raise ValueError("found cells that hold no texts")
    return "".join(_texts(cell))


def _require_short(texts: list[str]) -> None:
    if sum(map(len, texts)) > _MOST_TEXT:
        raise ValueError("found texts of unlikely length")


def _is_inside(file: h5py.File, name: str) -> bool:
    """True for what the file holds itself; external links name another file."""
    return isinstance(file.get(name, getlink=True), h5py.HardLink)


def _is_own(item: h5py.Dataset) -> bool:
    """True if the numbers lie in this file, in chunks that can be unpacked."""
    chunk = math.prod(item.chunks or ()) * item.dtype.itemsize
    return not item.external and not item.is_virtual and chunk <= _LARGEST_CHUNK


def _fields_of_struct(name: str, item: Any) -> dict[str, Any]:
    """The arrays that a struct holds itself, as "struct.field"."""
    if not isinstance(item, h5py.Group):
        return {}
    return {f"{name}.{key}": item[key] for key in item if _is_inside(item, key)}


def _begins_as_matlab(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"MATLAB"


def _variable(item: Any, reverse: bool) -> Variable:
    if not isinstance(item, h5py.Dataset) or item.shape is None or not _is_own(item):
        return Variable((), "other")
    if item.attrs.get("MATLAB_empty", 0):
        return Variable((), "other")
    shape = item.shape[::-1] if reverse else item.shape
    named = item.attrs.get("MATLAB_class")
    if named is not None:
        kind = _kind(named.decode() if isinstance(named, bytes) else str(named))
        fits = item.dtype.kind in "iuf" or kind != "numbers"
        return Variable(shape, kind if fits else "other")
    if h5py.check_string_dtype(item.dtype):
        return Variable(shape, "text")
    return Variable(shape, "numbers" if item.dtype.kind in "iuf" else "other")


def _kind(matlab_class: str) -> Kind:
    if matlab_class in _CLASSES:
        return "numbers"
    if matlab_class == "logical":
        return "flags"
    return "text" if matlab_class in ("char", "cell") else "other"
