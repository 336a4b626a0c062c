"""HDF5 and netCDF-4 files (netCDF-4 is HDF5): opened with care, read by windows, written.

Only what lies in the file itself is read: links and storage that point outside it are not
followed.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from hsisr.errors import DAMAGED, HsisrError, InputDataError, ResourceError
from hsisr.io.atomic import resource_errors
from hsisr.io.base import FileWriter
from hsisr.scene.georeference import Geolocation, LookupTable

_CHUNK_CACHE: Final = 32 * 2**20
_LARGEST_CHUNK: Final = 2**28
"""Bytes; a packed chunk is unpacked as a whole."""
_LARGEST_WHOLE: Final = 2**28
"""Bytes of an array beside the cube, which is read as a whole."""
_MOST_TEXT: Final = 1 << 22
_MOST_TEXTS: Final = 1 << 16
_MOST_PARTS: Final = 10_000


@contextmanager
def reading_errors(what: str = "HDF5 or netCDF-4 file") -> Iterator[None]:
    """Turn what happens on damaged files into one error, which calls the file `what`.

    Raises:
        InputDataError: The file is damaged or of another kind.
        ResourceError: A part does not fit into memory.
    """
    try:
        yield
    except HsisrError:
        raise
    except MemoryError as error:
        raise ResourceError(f"a part of the {what} does not fit into memory") from error
    except DAMAGED as error:
        raise InputDataError(f"not a whole {what}; it is truncated or damaged ({error})") from error


class HdfFile:
    """An open file as a product's reader sees it: its parts by their path.

    Read it within `errors`, which says what is wrong with a damaged file, called `what` there. All
    methods raise InputDataError where a part is missing or is not what it is asked for as.

    Raises:
        InputDataError: It is no HDF5 file, or a broken one.
    """

    def __init__(self, path: Path, what: str = "HDF5 or netCDF-4 file") -> None:
        self.errors = partial(reading_errors, what)
        with self.errors():
            self._file = h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE)

    def __contains__(self, name: str) -> bool:
        """True if the file itself has a group or dataset of this path."""
        return self._item(name) is not None

    def names(self, group: str = "/") -> list[str]:
        """What a group holds; nothing if there is no such group."""
        item = self._item(group)
        return list(item) if isinstance(item, h5py.Group) else []

    def dataset(self, name: str, shape: tuple[int, ...] | None = None) -> Any:
        """An array of the file by its path, to be sliced; without `shape` it may have any.

        InputDataError: it is missing, has another shape, or lies outside the file.
        """
        item = self._item(name)
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            group = name.rpartition("/")[0] or "/"
            there = ", ".join(self.names(group)) or "no such group"
            raise InputDataError(f"found no array {name}, expected one; in {group}: {there}")
        if not lies_inside(item):
            raise InputDataError(
                f"array {name} lies in other files, or in chunks of more than {_LARGEST_CHUNK} "
                "bytes; expected chunks that can be unpacked, in the file itself"
            )
        if shape is not None and item.shape != shape:
            raise InputDataError(f"array {name} has the shape {item.shape}, expected {shape}")
        return item

    def cube(self, name: str) -> Any:
        """A 3-D array of numbers; see `dataset`."""
        item = self.dataset(name)
        if len(item.shape) != 3 or item.dtype.kind not in "iuf":
            raise InputDataError(
                f"array {name} has the shape {item.shape} and the type {item.dtype}, expected "
                "numbers on 3 axes"
            )
        return item

    def numbers(self, name: str, shape: tuple[int, ...] | None = None) -> npt.NDArray[Any]:
        """A whole array of numbers in native byte order, for what is small beside the cube."""
        item = self.dataset(name, shape)
        if item.dtype.kind not in "iuf" or item.size * item.dtype.itemsize > _LARGEST_WHOLE:
            raise InputDataError(
                f"array {name} has {item.size} entries of type {item.dtype}, expected numbers, at "
                f"most {_LARGEST_WHOLE} bytes of them"
            )
        values = np.asarray(item[()])
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def positions(
        self,
        longitude: str,
        latitude: str,
        shape: tuple[int, int],
        table: LookupTable | None = None,
    ) -> Geolocation:
        """Where pixels lie, by the paths of both arrays; NaN where they hold no angle.

        Longitudes may count to 360 degrees.
        """
        x, y = (self._values(name, shape) for name in (longitude, latitude))
        x[(x > 180) & (x <= 360)] -= 360
        for degrees, most in ((x, 180), (y, 90)):
            degrees[~(np.abs(degrees) <= most)] = np.nan
        return Geolocation(longitude=x, latitude=y, table=table)

    def _values(self, name: str, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
        """What the numbers of an array mean, NaN where they are fill."""
        numbers = self.numbers(name, shape)
        gain, offset, fill = (
            self.number(key, name) for key in ("scale_factor", "add_offset", "_FillValue")
        )
        values = numbers * np.float64(1 if gain is None else gain) + (offset or 0)
        return np.where(numbers == fill, np.nan, values)

    def per_band(self, name: str, bands: int, of: str | None = None) -> tuple[float, ...] | None:
        """A number for each band: an array, or an attribute of the part `of`; None if not there."""
        if of is None:
            values = self.numbers(name, (bands,)) if name in self else np.empty(0)
        else:
            values = np.ravel(self.attributes(of).get(name, ()))
        if len(values) not in (0, bands):
            raise InputDataError(
                f"attribute {name} has {len(values)} entries, expected {bands}, one a band"
            )
        return tuple(float(str(value)) for value in values) or None  # 32 bits: own few digits

    def number(self, attribute: str, at: str = "/") -> float | None:
        """An attribute as a number; None if there is none."""
        value = self._attribute(attribute, at)
        return None if value is None else float(value)

    def texts(self, name: str) -> list[str]:
        """An array of texts, one a band."""
        item = self.dataset(name)
        if h5py.check_string_dtype(item.dtype) is None:
            raise InputDataError(f"array {name} holds {item.size} entries, expected texts")
        return texts_in(item)

    def walk(self) -> Iterator[tuple[str, Any]]:
        """Every array that lies in the file itself, by its path without the first slash."""
        waiting, seen = [("", self._file)], set()
        while waiting:
            path, group = waiting.pop(0)
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    continue
                item = group[name]
                place = h5py.h5o.get_info(item.id).addr
                if place in seen:  # groups may hold each other
                    continue
                seen.add(place)
                if len(seen) > _MOST_PARTS:
                    raise InputDataError(f"found more than {_MOST_PARTS} arrays and groups")
                if isinstance(item, h5py.Group):
                    waiting.append((f"{path}{name}/", item))
                elif isinstance(item, h5py.Dataset):
                    yield f"{path}{name}", item

    def attributes(self, name: str = "/") -> Mapping[str, Any]:
        """The attributes of a group or array: texts as `str`, single numbers as scalars."""
        item = self._item(name)
        return {} if item is None else {key: _plain(item.attrs[key]) for key in item.attrs}

    def text(self, attribute: str, at: str = "/") -> str | None:
        """An attribute as one line of text; None if there is none."""
        value = self._attribute(attribute, at)
        return None if value is None else " ".join(str(value).split())[:_MOST_TEXT]

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        self._file.close()

    def _attribute(self, name: str, at: str) -> Any:
        item = self._item(at)
        return None if item is None or name not in item.attrs else _plain(item.attrs[name])

    def _item(self, name: str) -> Any:
        """A part of the file, reached by hard links alone; None if there is none."""
        item: Any = self._file
        for step in name.strip("/").split("/") if name.strip("/") else ():
            inside = isinstance(item, h5py.Group) and step in item
            if not inside or not isinstance(item.get(step, getlink=True), h5py.HardLink):
                return None
            item = item[step]
        return item


def lies_inside(item: Any) -> bool:
    """True if the numbers of an array lie in its file, in chunks that can be unpacked."""
    chunk = math.prod(item.chunks or ()) * item.dtype.itemsize
    return not item.external and not item.is_virtual and chunk <= _LARGEST_CHUNK


def texts_in(item: Any) -> list[str]:
    """The strings of an array, read one by one, for all may point at one long string."""
    if item.size > _MOST_TEXTS:
        raise ValueError(f"{item.name} has {item.size} texts, expected one a band")
    found, length = [], 0
    for place in np.ndindex(item.shape):
        found.append(str(item.asstr()[place]))
        if (length := length + len(found[-1])) > _MOST_TEXT:
            raise ValueError("found texts of unlikely length")
    return found


def _plain(value: Any) -> Any:
    """An attribute's value without numpy's or HDF5's wrapping."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").rstrip("\0")
    return value.item() if isinstance(value, np.generic) else value


class HdfWriter(FileWriter):
    """A file that HDF5 writes; what it cannot flush, it reports in errors of its own.

    `_open` makes the file `_file`, whose end takes `_close`, and the cube in it.
    """

    _file: Any
    _cube: Any

    def _finish(self) -> list[tuple[Path, Path]]:
        name, shape = self._cube.name, self._cube.shape
        self._file.close()
        with h5py.File(self._grown, "r") as found:  # HDF5 can fail late
            if found[name].shape != shape:
                raise ResourceError(f"cannot write {self.path}: the file was cut off")
        return [(self._grown, self.path)]

    def _close(self) -> None:
        with suppress(OSError, RuntimeError, ValueError):  # the space it lacks is not wanted
            self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with resource_errors(self.path):
            try:
                yield
            except HsisrError:
                raise
            except RuntimeError as error:
                words = " ".join(str(error).split())
                raise ResourceError(
                    f"cannot write {self.path}: HDF5 says {words!r}; check the space left, or "
                    "write elsewhere"
                ) from error
