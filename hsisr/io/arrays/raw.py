"""A cube as bare numbers in a file: band, line or pixel interleaved, written and read by windows.

Space is reserved first, and everything goes through plain reads and writes: with a memory map, a
full disk, or a file that becomes shorter, would be a signal (SIGBUS) that ends the process. A
`.npy` file is such numbers behind a header: one array, (rows, cols, bands) unless told otherwise.
"""

import errno
import io
import math
import os
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from hsisr.errors import DAMAGED, InputDataError
from hsisr.io.arrays.axes import ArrayScene, checked_axes, sizes, warn_if_unlikely, whole
from hsisr.scene.metadata import SceneMetadata, SpectralAxis, StoredNumbers

_READ_THROUGH: Final = 4096
"""Bytes between two runs that are rather read than jumped over: they share a page on disk."""


@dataclass(frozen=True, slots=True)
class PlainNumbers:
    """A 3-D array in a file that slices like numpy's; the file is open only meanwhile."""

    path: Path
    dtype: np.dtype[Any]
    """In the file's byte order."""
    shape: tuple[int, ...]
    """Sizes of the three axes, slowest first."""
    offset: int = 0
    """Bytes before the first number."""

    @property
    def end(self) -> int:
        """Bytes up to the last number."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize

    def at(self, slow: int, middle: int, fast: int) -> int:
        """Place of a number in the file, in bytes."""
        _, height, width = self.shape
        return self.offset + ((slow * height + middle) * width + fast) * self.dtype.itemsize

    def __getitem__(self, place: tuple[slice, ...]) -> npt.NDArray[Any]:
        """A window, in memory of its own and in the file's byte order, of slices without steps.

        Raises:
            InputDataError: The file is gone, or shorter than it was.
        """
        spans = [range(*part.indices(size)) for part, size in zip(place, self.shape, strict=True)]
        try:
            with FileIO(self.path) as file:
                return self._read(file, spans)
        except OSError as error:
            raise InputDataError(f"{self.path}: cannot be read ({error.strerror})") from error

    def _read(self, file: FileIO, spans: Sequence[range]) -> npt.NDArray[Any]:
        """One read where all lies in one piece, else one per slow index, else one per run."""
        slow, middle, fast = spans
        found = np.empty([len(span) for span in spans], self.dtype)
        width = self.shape[2]
        if self.shape[1:] == (len(middle), len(fast)):
            self._fill(file, found, self.at(slow.start, 0, 0))
        elif (width - len(fast)) * self.dtype.itemsize <= _READ_THROUGH:
            through = np.empty(len(middle) * width, self.dtype)
            used = through[: (len(middle) - 1) * width + len(fast)]
            for plane, index in zip(found, slow, strict=True):
                self._fill(file, used, self.at(index, middle.start, fast.start))
                plane[...] = through.reshape(len(middle), width)[:, : len(fast)]
        else:
            for plane, index in zip(found, slow, strict=True):
                for run, line in zip(plane, middle, strict=True):
                    self._fill(file, run, self.at(index, line, fast.start))
        return found

    def _fill(self, file: FileIO, numbers: npt.NDArray[Any], place: int) -> None:
        """Read numbers that lie in one piece, into memory that does too."""
        left = numbers.reshape(-1).view(np.uint8).data
        file.seek(place)
        while left:
            done = file.readinto(left)
            if not done:
                raise InputDataError(
                    f"{self.path}: ended while it was read, expected {self.end} bytes; it was "
                    "truncated or replaced meanwhile, so start again with the whole file"
                )
            left = left[done:]


Interleave = Literal["bsq", "bil", "bip"]

_AXES: Final = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}
"""Order of (bands, rows, cols) in the file, slowest first."""


class RawFile:
    """A new file of exactly the numbers of a cube (bands, rows, cols), in native byte order.

    Raises:
        OSError: There is no room, or the file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        interleave: Interleave = "bsq",
    ) -> None:
        self._axes = _AXES[interleave]
        self.numbers = PlainNumbers(path, dtype, tuple(shape[axis] for axis in self._axes))
        """What is written so far, in the order of the axes in the file."""
        self._file = path.open("x+b", buffering=0)
        try:
            reserve_space(self._file.fileno(), self.numbers.end)
        except BaseException:
            self.close()
            raise

    def write(self, numbers: npt.NDArray[Any], *, row: int, col: int, band: int) -> None:
        """Write numbers, shape (bands, rows, cols), at a 0-based place."""
        slow, middle, fast = ((band, row, col)[axis] for axis in self._axes)
        data = np.ascontiguousarray(numbers.transpose(self._axes))
        height, width = data.shape[1:]
        for index, plane in enumerate(data, slow):
            if width == self.numbers.shape[2]:
                self._write_at(plane, self.numbers.at(index, middle, 0))
            elif self._axes[2] == 0:  # some bands of pixels that lie with all
                pixels = self.numbers[index : index + 1, middle : middle + height, :][0]
                pixels[:, fast : fast + width] = plane
                self._write_at(pixels, self.numbers.at(index, middle, 0))
            else:
                for number, line in enumerate(plane, middle):
                    self._write_at(line, self.numbers.at(index, number, fast))

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def _write_at(self, numbers: npt.NDArray[Any], place: int) -> None:
        left = numbers.reshape(-1).view(np.uint8).data
        self._file.seek(place)
        while left:
            left = left[self._file.write(left) :]


def reserve_space(handle: int, nbytes: int) -> None:
    """Take space on the device for an open file of this size, or where that cannot be, set it.

    Raises:
        OSError: There is no room.
    """
    try:
        os.posix_fallocate(handle, 0, nbytes)
    except AttributeError:  # not on every system
        pass
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    os.ftruncate(handle, nbytes)


_READ: Final = {1: npy_format.read_array_header_1_0, 2: npy_format.read_array_header_2_0}
"""Version 3 differs only in names of fields, which plain numbers do not have."""
_LONGEST_HEADER: Final = 1 << 16
"""What a file claims for its header beyond that is never allocated; numpy's own limit is 10 000."""


def open_npy(path: Path, *, axes: str | None) -> ArrayScene:
    """Open a numpy array on disk, whose axes are (rows, cols, bands) or as `axes` says.

    Raises:
        InputDataError: It is no array of three axes, or truncated.
        UsageError: `axes` is no order of r, c and b.
    """
    order = checked_axes("rcb" if axes is None else axes)
    numbers, reverse = _located(path)
    shape = numbers.shape[::-1] if reverse else numbers.shape
    if len(shape) != 3:
        raise InputDataError(f"found an array of shape {shape}, expected 3 axes")
    bands, rows, cols = sizes(shape, order)
    metadata = SceneMetadata(
        rows=rows,
        cols=cols,
        stored=StoredNumbers(dtype=numbers.dtype.newbyteorder("=")),
        spectral_axis=SpectralAxis(count=bands),
    )
    size = path.stat().st_size
    if size < numbers.end:
        raise InputDataError(
            f"the header promises {numbers.end} bytes, but the file holds {size}; it is "
            "truncated or the header is wrong"
        )
    if axes is None:
        warn_if_unlikely(path, "rcb", shape)
    return ArrayScene(path, "NPY", metadata, whole(numbers, order[::-1] if reverse else order))


def _located(path: Path) -> tuple[PlainNumbers, bool]:
    """Where the numbers lie, and whether their axes are in reverse (Fortran's order).

    Only the header is read, and numpy evaluates nothing in it but literals.
    """
    try:
        with path.open("rb") as file:
            start = io.BytesIO(file.read(_LONGEST_HEADER))
        shape, reverse, dtype = _READ[npy_format.read_magic(start)[0]](start)
    except (*DAMAGED, tokenize.TokenError, MemoryError) as error:
        raise InputDataError(
            f"cannot be read as a numpy array of numbers; it is truncated or damaged ({error})"
        ) from error
    return PlainNumbers(path, dtype, shape[::-1] if reverse else shape, start.tell()), reverse
