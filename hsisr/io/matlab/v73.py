"""MATLAB files of version 7.3 as a table of variables, read by windows.

They are HDF5 with the axes of every array reversed, unless another program wrote them: where
neither the file's first bytes nor the array's attributes are MATLAB's, axes are as HDF5 has them.
What Octave saves with `-hdf5`, a group "value" and "type" for each variable, is read as well.
"""

from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

from hsisr.io.matlab.file import Kind, MatFile, Variable, reading
from hsisr.io.products.hdf import HdfFile, lies_inside

_CLASSES: Final = frozenset({"double", "single"}) | {
    f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)
}
_MOST_TEXTS: Final = 1 << 16
_MOST_TEXT: Final = 1 << 22


class Mat73(MatFile):
    """Version 7.3, by h5py; the fields of a struct are variables called "struct.field"."""

    format = "MAT73"

    def __init__(self, path: Path) -> None:
        self._file = HdfFile(path, "MATLAB file")
        try:
            with reading(), path.open("rb") as start:
                self._octave = any(
                    "OCTAVE_NEW_FORMAT" in self._file.attributes(name)
                    for name in self._file.names()
                )
                self._reversed = self._octave or start.read(6) == b"MATLAB"
                self._items = dict(self._walk())
                self.variables = {n: self._variable(item) for n, item in self._items.items()}
                for name in self._file.names():
                    if name in self._file and not name.startswith("#"):
                        self.variables.setdefault(name, Variable((), "other"))
        except BaseException:
            self.close()
            raise

    def _walk(self) -> Any:
        """Names and arrays; what MATLAB keeps for its own use is left out."""
        for path, item in self._file.walk():
            parts = path.split("/")
            if parts[0].startswith("#") or (self._octave and set(parts[1::2]) != {"value"}):
                continue
            yield ".".join(parts[::2] if self._octave else parts), item

    def array(self, name: str) -> tuple[Any, bool]:
        """See `MatFile.array`."""
        return self._items[name], self._is_reversed(self._items[name])

    def _is_reversed(self, item: Any) -> bool:
        return self._reversed or "MATLAB_class" in item.attrs

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
                found.append(_text_of(item.file[reference]))
                _require_short(found)
            return found

    def close(self) -> None:
        """See `MatFile.close`."""
        self._file.close()

    def _variable(self, item: Any) -> Variable:
        if item.shape is None or not lies_inside(item) or item.attrs.get("MATLAB_empty", 0):
            return Variable((), "other")
        shape = item.shape[::-1] if self._is_reversed(item) else item.shape
        named = item.attrs.get("MATLAB_class")
        if named is not None:
            kind = _kind(named.decode() if isinstance(named, bytes) else str(named))
            fits = item.dtype.kind in "iuf" or kind != "numbers"
            return Variable(shape, kind if fits else "other")
        if h5py.check_string_dtype(item.dtype):
            return Variable(shape, "text")
        return Variable(shape, "numbers" if item.dtype.kind in "iuf" else "other")


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
    if (
        not isinstance(cell, h5py.Dataset)
        or not lies_inside(cell)
        or h5py.check_ref_dtype(cell.dtype)
    ):
        raise ValueError("found cells that hold no texts")
    return "".join(_texts(cell))


def _require_short(texts: list[str]) -> None:
    if sum(map(len, texts)) > _MOST_TEXT:
        raise ValueError("found texts of unlikely length")


def _kind(matlab_class: str) -> Kind:
    if matlab_class in _CLASSES:
        return "numbers"
    if matlab_class == "logical":
        return "flags"
    return "text" if matlab_class in ("char", "cell") else "other"
