"""MATLAB files of version 7.3: a table of variables read by windows, and scenes written as such.

They are HDF5 with MATLAB's own words around it, and with the axes of every array reversed, unless
another program wrote them: where neither the file's first bytes nor the array's attributes are
MATLAB's, axes are as HDF5 has them. What Octave saves with `-hdf5`, a group "value" and "type" for
each variable, is read as well.
"""

import math
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from hsisr.io.atomic import require_room
from hsisr.io.matlab.fields import (
    Kind,
    MatFile,
    MatValue,
    Variable,
    mat_variables,
    reading,
    refuse_complex,
)
from hsisr.io.products.hdf import HdfFile, HdfWriter, lies_inside, texts_in

_CLASSES: Final = frozenset({"double", "single"}) | {
    f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)
}


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
        if _is_complex(self._items[name].dtype):
            refuse_complex(name)
        return self._items[name], self._is_reversed(self._items[name])

    def _is_reversed(self, item: Any) -> bool:
        return self._reversed or "MATLAB_class" in item.attrs

    def texts(self, name: str) -> list[str]:
        """See `MatFile.texts`."""
        with reading():
            item = self._items[name]
            if h5py.check_ref_dtype(item.dtype) is not h5py.Reference:
                return _texts(item)
            return [_text_of(item.file[reference]) for reference in np.ravel(item[()])]

    def close(self) -> None:
        """See `MatFile.close`."""
        self._file.close()

    def _variable(self, item: Any) -> Variable:
        if item.shape is None or not lies_inside(item) or item.attrs.get("MATLAB_empty", 0):
            return Variable((), "other")
        shape = item.shape[::-1] if self._is_reversed(item) else item.shape
        is_number = item.dtype.kind in "iuf" or _is_complex(item.dtype)
        named = item.attrs.get("MATLAB_class")
        if named is not None:
            kind = _kind(named.decode() if isinstance(named, bytes) else str(named))
            return Variable(shape, kind if is_number or kind != "numbers" else "other")
        if h5py.check_string_dtype(item.dtype):
            return Variable(shape, "text")
        return Variable(shape, "numbers" if is_number else "other")


def _is_complex(dtype: np.dtype[Any]) -> bool:
    """True for complex numbers, as MATLAB, Octave or h5py keep them."""
    return dtype.kind == "c" or dtype.names in (("real", "imag"), ("re", "im"))


def _texts(item: h5py.Dataset) -> list[str]:
    """Strings, or the rows of a char array."""
    if h5py.check_string_dtype(item.dtype):
        return texts_in(item)
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


def _kind(matlab_class: str) -> Kind:
    if matlab_class in _CLASSES:
        return "numbers"
    if matlab_class == "logical":
        return "flags"
    return "text" if matlab_class in ("char", "cell") else "other"


_USER_BLOCK: Final = 512
_MATLAB_CLASS: Final = {"float32": "single", "float64": "double"}
"""MATLAB's names of classes where numpy has others."""


class Mat73Writer(HdfWriter):
    """A MATLAB v7.3 file that grows block by block.

    MATLAB counts the first axis fastest and HDF5 the last, so `data`, (rows, cols, bands) for
    MATLAB, is stored as (bands, cols, rows); with `masked`, a logical variable
    `valid` says where pixels are data.
    """

    def _open(self) -> None:
        stored = math.prod(self.metadata.shape) * self.metadata.stored.dtype.itemsize
        require_room(self._place.folder, self.path, stored)
        self._file = h5py.File(self._grown, "x", userblock_size=_USER_BLOCK)
        self._held.callback(self._close)
        self._cube, self._valid = self._create(masked=self._options.masked)

    def _put(self, numbers: npt.NDArray[Any], band: int, row: int, col: int) -> None:
        require_room(self._place.folder, self.path, numbers.nbytes, self._grown.stat().st_size)
        bands, rows, cols = numbers.shape
        for number in range(bands):
            turned = np.ascontiguousarray(numbers[number].T)
            self._cube[band + number, col : col + cols, row : row + rows] = turned

    def _put_mask(self, mask: npt.NDArray[np.bool_], row: int, col: int) -> None:
        rows, cols = mask.shape
        self._valid[col : col + cols, row : row + rows] = np.ascontiguousarray(mask.T)

    def _finish(self) -> list[tuple[Path, Path]]:
        files = super()._finish()
        with self._grown.open("r+b") as file:
            file.write(_header())
        return files

    def _create(self, *, masked: bool) -> tuple[Any, Any]:
        bands, rows, cols = self.metadata.shape
        for name, value in mat_variables(self.metadata).items():
            _write_variable(self._file, name, value)
        chunk = min(self.block_cols, cols), min(self.block_rows, rows)
        dtype = self.metadata.stored.dtype
        data = self._file.create_dataset("data", (bands, cols, rows), dtype, chunks=(1, *chunk))
        _name_class(data, _MATLAB_CLASS.get(dtype.name, dtype.name))
        if not masked:
            return data, None
        valid = self._file.create_dataset("valid", (cols, rows), np.uint8, chunks=chunk)
        _name_class(valid, "logical")
        return data, valid


def _write_variable(file: Any, name: str, value: MatValue) -> None:
    if isinstance(value, list):
        _write_cells(file, name, value)
    elif isinstance(value, str):
        _write_chars(file, name, value)
    else:
        _name_class(file.create_dataset(name, data=value.T), "double")


def _write_chars(group: Any, name: str, text: str) -> Any:
    """A char row: UTF-16 units, one column each; MATLAB marks empty arrays by their shape."""
    units = np.frombuffer(text.encode("utf-16-le"), np.uint16)
    data = units[:, None] if len(units) else np.zeros(2, np.uint64)
    dataset = group.create_dataset(name, data=data)
    _name_class(dataset, "char")
    if len(units):
        dataset.attrs["MATLAB_int_decode"] = np.int32(2)
    else:
        dataset.attrs["MATLAB_empty"] = np.uint8(1)
    return dataset


def _write_cells(file: Any, name: str, texts: list[str]) -> None:
    """A cell row: references to chars that lie in the group `#refs#`."""
    refs = file.require_group("#refs#")
    cells = [_write_chars(refs, f"{name}_{n}", text).ref for n, text in enumerate(texts)]
    data = np.array(cells, h5py.ref_dtype)[:, None]
    _name_class(file.create_dataset(name, data=data, dtype=h5py.ref_dtype), "cell")


def _name_class(dataset: Any, name: str) -> None:
    dataset.attrs["MATLAB_class"] = np.bytes_(name)
    if name == "logical":
        dataset.attrs["MATLAB_int_decode"] = np.int32(1)


def _header() -> bytes:
    """The 128 bytes by which MATLAB knows a v7.3 file."""
    words = b"MATLAB 7.3 MAT-file, Platform: hsisr, Created on: unknown HDF5 schema 1.00 ."
    return words.ljust(116) + bytes(8) + b"\x00\x02IM"
