"""MATLAB files of either kind as a table of variables.

Version 5 files are read by scipy, a whole variable at a time; version 7.3 files are HDF5 with the
axes of every array reversed, and are read by windows.
"""

import struct
import warnings
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import h5py
import numpy as np
import scipy.io

from hsisr.errors import InputDataError, ResourceError

Kind = Literal["numbers", "flags", "text", "other"]
_CLASSES: Final = frozenset({"double", "single"}) | {
    f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)
}
_H5_CHUNK_CACHE: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable by its outside."""

    shape: tuple[int, ...]
    """As MATLAB's `size` gives it."""
    kind: Kind


class MatFile(ABC):
    """An open MATLAB file."""

    format: str
    variables: Mapping[str, Variable]

    @abstractmethod
    def array(self, name: str) -> tuple[Any, bool]:
        """A variable of numbers to slice, and whether its axes are in reverse of MATLAB's."""

    @abstractmethod
    def texts(self, name: str) -> list[str]:
        """The strings of a text: one a row of a char array, one a cell of a cell array."""

    @abstractmethod
    def close(self) -> None:
        """Release the file."""


class Mat5(MatFile):
    """Version 5 (and 4), by scipy."""

    format = "MAT5"

    def __init__(self, path: Path) -> None:
        self._path = path
        with reading():
            found = scipy.io.whosmat(path)
        self.variables = {name: Variable(tuple(shape), _kind(kind)) for name, shape, kind in found}

    def array(self, name: str) -> tuple[Any, bool]:
        """See `MatFile.array`; loads the whole variable, for scipy knows no windows."""
        return self._load(name), False

    def texts(self, name: str) -> list[str]:
        """See `MatFile.texts`."""
        items = np.ravel(self._load(name))
        return ["".join(np.ravel(item)) if items.dtype == object else str(item) for item in items]

    def close(self) -> None:
        """Nothing stays open."""

    def _load(self, name: str) -> Any:
        with reading():
            return scipy.io.loadmat(self._path, variable_names=[name])[name]


class Mat73(MatFile):
    """Version 7.3, by h5py."""

    format = "MAT73"

    def __init__(self, path: Path) -> None:
        with reading():
            self._file = h5py.File(path, "r", rdcc_nbytes=_H5_CHUNK_CACHE)
            self.variables = {
                name: _h5_variable(item)
                for name, item in self._file.items()
                if not name.startswith("#")
            }

    def array(self, name: str) -> tuple[Any, bool]:
        """See `MatFile.array`."""
        return self._file[name], True

    def texts(self, name: str) -> list[str]:
        """See `MatFile.texts`."""
        with reading():
            return self._texts(self._file[name])

    def close(self) -> None:
        """See `MatFile.close`."""
        self._file.close()

    def _texts(self, item: h5py.Dataset) -> list[str]:
        if h5py.check_string_dtype(item.dtype):
            return [str(text) for text in np.ravel(item.asstr()[()])]
        if item.dtype == h5py.ref_dtype:
            return ["".join(self._texts(self._file[ref])) for ref in np.ravel(item[()])]
        rows = np.atleast_2d(np.asarray(item).T)
        return ["".join(map(chr, row)) for row in rows]


@contextmanager
def reading() -> Iterator[None]:
    """Turn what scipy and h5py raise on damaged files into one error.

    Raises:
        InputDataError: The file is damaged or no MATLAB file.
        ResourceError: A variable does not fit into memory.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", scipy.io.matlab.MatReadWarning)
            yield
    except MemoryError as error:
        raise ResourceError(
            "a variable does not fit into memory; save it with -v7.3, which is read by windows"
        ) from error
    except (
        *(OSError, ValueError, TypeError, LookupError, RuntimeError, NotImplementedError),
        *(OverflowError, struct.error, zlib.error, scipy.io.matlab.MatReadError),
    ) as error:
        reason = " ".join(str(error).split())
        raise InputDataError(
            f"not a whole MATLAB file; it is truncated, damaged or of another kind ({reason})"
        ) from error


def _kind(matlab_class: str) -> Kind:
    if matlab_class in _CLASSES:
        return "numbers"
    if matlab_class == "logical":
        return "flags"
    return "text" if matlab_class in ("char", "cell") else "other"


def _h5_variable(item: Any) -> Variable:
    if not isinstance(item, h5py.Dataset) or item.attrs.get("MATLAB_empty", 0):
        return Variable((), "other")
    shape = tuple(reversed(item.shape))
    named = item.attrs.get("MATLAB_class")
    if named is not None:
        kind = _kind(named.decode() if isinstance(named, bytes) else str(named))
        fits = item.dtype.kind in "iuf" or kind != "numbers"
        return Variable(shape, kind if fits else "other")
    if h5py.check_string_dtype(item.dtype):
        return Variable(shape, "text")
    return Variable(shape, "numbers" if item.dtype.kind in "iuf" else "other")
