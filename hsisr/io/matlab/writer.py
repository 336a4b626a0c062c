"""Scenes written as MATLAB v5 files: the cube `data`, shape (rows, cols, bands), and its fields.

SciPy writes the small variables. The cube, which may be larger than memory, grows in a band
sequential file and is then turned into MATLAB's column order, some columns at a time.
"""

import io
import struct
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
import scipy.io

from hsisr.errors import ResourceError, UsageError
from hsisr.io.arrays.raw import RawFile
from hsisr.io.atomic import require_room
from hsisr.io.base import FileWriter, SceneWriter, TargetOptions, asked_options
from hsisr.io.matlab.fields import mat_variables
from hsisr.io.matlab.v73 import Mat73Writer
from hsisr.scene.metadata import SceneMetadata

LARGEST_V5: Final = 2**31 - 2**16
"""Bytes of a cube that MATLAB v5 files can hold: its length is a signed 32-bit number."""

_CLASSES: Final = {
    "float64": (6, 9),
    "float32": (7, 7),
    "int8": (8, 1),
    "uint8": (9, 2),
    "int16": (10, 3),
    "uint16": (11, 4),
    "int32": (12, 5),
    "uint32": (13, 6),
    "int64": (14, 12),
    "uint64": (15, 13),
}
"""Array class and element type of each data type. Source: MATLAB, "MAT-File Format", tables 1-1
and 1-3."""

_AT_ONCE = 32 * 2**20


def create_mat_writer(
    path: Path, metadata: SceneMetadata, options: TargetOptions, blocks: tuple[int, int]
) -> SceneWriter:
    """A writer of MATLAB v5, or of v7.3 for cubes of 2 GB and more or with `VERSION=7.3`.

    Raises as `FileWriter` does.
    """
    dtype = metadata.stored.dtype
    if dtype.name not in _CLASSES:
        raise UsageError(
            f"{path.name}: MATLAB cannot store {dtype}, expected one of {', '.join(_CLASSES)}; "
            "choose a --dtype, or another format"
        )
    bands, rows, cols = metadata.shape
    fits = bands * rows * cols * dtype.itemsize <= LARGEST_V5
    versions = ("5", "7.3") if fits else ("7.3", "5")
    asked = asked_options(path, options.creation_options, VERSION=versions)
    if asked["VERSION"] == "7.3":
        return Mat73Writer(path, metadata, options, blocks)
    if not fits:
        raise UsageError(
            f"{path.name}: a cube of {bands * rows * cols * dtype.itemsize} bytes is too large for "
            "MATLAB v5, which ends at 2 GB; leave VERSION=5 out"
        )
    return Mat5Writer(path, metadata, options, blocks)


class Mat5Writer(FileWriter):
    """A MATLAB v5 file; the target appears when the last column is turned.

    With `masked`, a logical variable `valid` says where pixels are data.
    """

    def _open(self) -> None:
        shape = self.metadata.shape
        cube = RawFile(self._place.file("cube"), shape, self.metadata.stored.dtype)
        self._cube = self._held.enter_context(closing(cube))
        flags = (1, *shape[1:]) if self._options.masked else (1, 1, 1)
        valid = RawFile(self._place.file("valid"), flags, np.dtype(np.uint8))
        self._valid = self._held.enter_context(closing(valid))
        require_room(self._place.folder, self.path, self._cube.numbers.end)  # the turned copy

    def _put(self, numbers: npt.NDArray[Any], band: int, row: int, col: int) -> None:
        self._cube.write(numbers, row=row, col=col, band=band)

    def _put_mask(self, mask: npt.NDArray[np.bool_], row: int, col: int) -> None:
        self._valid.write(mask[None].astype(np.uint8), row=row, col=col, band=0)

    def _finish(self) -> list[tuple[Path, Path]]:
        with self._grown.open("xb") as file:
            expected = self._write_all(file)
        if self._grown.stat().st_size != expected:
            raise ResourceError(f"cannot write {self.path}: the file was cut off")
        return [(self._grown, self.path)]

    def _write_all(self, file: BinaryIO) -> int:
        """Write header, fields, mask and cube; returns the bytes of all."""
        small = io.BytesIO()
        beside = mat_variables(self.metadata).items()
        cells = {n: np.array([v], object) if isinstance(v, list) else v for n, v in beside}
        scipy.io.savemat(small, cells, oned_as="row")
        file.write(small.getvalue())
        bands, rows, cols = self.metadata.shape
        if self._options.masked:
            _write_turned(
                file, "valid", self._valid, (rows, cols), np.dtype(np.uint8), logical=True
            )
        dtype = self.metadata.stored.dtype
        _write_turned(file, "data", self._cube, (rows, cols, bands), dtype)
        return file.tell()


def _write_turned(
    file: BinaryIO,
    name: str,
    raw: RawFile,
    dims: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    logical: bool = False,
) -> None:
    """Write an array in column order from a band sequential file."""
    file.write(_array_head(name, dims, dtype, logical=logical))
    rows, cols = dims[:2]
    step = max(1, _AT_ONCE // (rows * dtype.itemsize))
    for band in range(dims[2] if len(dims) > 2 else 1):
        for col in range(0, cols, step):
            part = raw.numbers[band : band + 1, :, col : col + step][0]
            file.write(part.T.tobytes())
    file.write(bytes(-raw.numbers.end % 8))


def _array_head(name: str, dims: tuple[int, ...], dtype: np.dtype[Any], *, logical: bool) -> bytes:
    """All of an array element that comes before its numbers.

    Source: MATLAB, "MAT-File Format", Level 5, "miMATRIX".
    """
    array_class, element = _CLASSES[dtype.name]
    flags = array_class | (0x0200 if logical else 0)
    text = name.encode("ascii")
    size = int(np.prod([*dims, dtype.itemsize], dtype=np.int64))
    body = struct.pack("=IIII", 6, 8, flags, 0)
    body += _padded(struct.pack(f"=II{len(dims)}i", 5, 4 * len(dims), *dims))
    body += _padded(struct.pack("=II", 1, len(text)) + text)
    body += struct.pack("=II", element, size)
    return struct.pack("=II", 14, len(body) + size + (-size % 8)) + body


def _padded(element: bytes) -> bytes:
    return element + bytes(-len(element) % 8)
