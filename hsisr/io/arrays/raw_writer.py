"""A cube as bare numbers in a file: band, line or pixel interleaved, written by windows.

Space is reserved before the first number, and everything goes through plain reads and writes, so
that a full disk is an error and never a signal, and memory holds a window and not the file.
"""

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

Interleave = Literal["bsq", "bil", "bip"]

_AXES: Final[dict[str, tuple[int, int, int]]] = {
    "bsq": (0, 1, 2),
    "bil": (1, 0, 2),
    "bip": (1, 2, 0),
}
"""Order of (bands, rows, cols) in the file, slowest first."""


class RawFile:
    """A file of exactly the cube's numbers, in native byte order.

    Args:
        path: The file to make.
        shape: (bands, rows, cols).
        dtype: Type of a number.
        interleave: Order of the axes in the file.

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
        self.path = path
        self._axes = _AXES[interleave]
        self._dtype = dtype
        self._sizes = tuple(shape[axis] for axis in self._axes)
        self.nbytes = shape[0] * shape[1] * shape[2] * dtype.itemsize
        self._file = path.open("x+b", buffering=0)
        try:
            reserve_space(self._file.fileno(), self.nbytes)
        except BaseException:
            self.close()
            raise

    def write(self, numbers: npt.NDArray[Any], *, row: int, col: int, band: int) -> None:
        """Write numbers, shape (bands, rows, cols), at a 0-based place."""
        starts = [(band, row, col)[axis] for axis in self._axes]
        data = numbers.transpose(self._axes)
        if data.shape[2] < self._sizes[2] and self._axes[2] == 0:
            for number in range(len(data)):
                self._write_among_bands(data[number], [starts[0] + number, *starts[1:]])
            return
        run = self._run_axes(data.shape)
        for index in np.ndindex(data.shape[:run]):
            place = [start + step for start, step in zip(starts, index, strict=False)]
            self._write_at(data[index], self._offset([*place, *starts[run:]]))

    def read(self, *, row: int, col: int, band: int, rows: int, cols: int) -> npt.NDArray[Any]:
        """One band of a window, shape (rows, cols); only for band-interleaved files."""
        numbers = np.empty((rows, cols), self._dtype)
        if cols == self._sizes[2]:
            self._read_at(numbers, self._offset([band, row, 0]))
            return numbers
        for number, line in enumerate(numbers):
            self._read_at(line, self._offset([band, row + number, col]))
        return numbers

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run_axes(self, shape: tuple[int, ...]) -> int:
        """Number of leading axes to step through; what follows them lies in one piece."""
        run = 2
        while run and shape[run] == self._sizes[run]:
            run -= 1
        return run

    def _offset(self, place: list[int]) -> int:
        slow, middle, fast = place
        item = (slow * self._sizes[1] + middle) * self._sizes[2] + fast
        return item * self._dtype.itemsize

    def _write_among_bands(self, line: npt.NDArray[Any], place: list[int]) -> None:
        """Replace some bands, shape (cols, bands), of pixels that lie with all their bands."""
        cols, bands = line.shape
        whole = np.empty((cols, self._sizes[2]), self._dtype)
        offset = self._offset([*place[:2], 0])
        self._read_at(whole, offset)
        whole[:, place[2] : place[2] + bands] = line
        self._write_at(whole, offset)

    def _write_at(self, numbers: npt.NDArray[Any], offset: int) -> None:
        left = _bytes(np.ascontiguousarray(numbers))
        self._file.seek(offset)
        while left:
            left = left[self._file.write(left) :]

    def _read_at(self, numbers: npt.NDArray[Any], offset: int) -> None:
        left = _bytes(numbers)
        self._file.seek(offset)
        while left:
            done = self._file.readinto(left)
            if not done:
                raise OSError(errno.EIO, "the file became shorter while it was written")
            left = left[done:]


def reserve_space(handle: int, nbytes: int) -> None:
    """Take space on the device for a file of this size; where that cannot be, set the size only.

    Args:
        handle: Descriptor of a file open for writing.
        nbytes: Its size; what it holds already stays.

    Raises:
        OSError: There is no room.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(handle, 0, nbytes)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
    os.ftruncate(handle, nbytes)


def _bytes(numbers: npt.NDArray[Any]) -> memoryview:
    """The memory of a contiguous array."""
    return numbers.reshape(-1).view(np.uint8).data
