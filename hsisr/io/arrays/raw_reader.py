"""Numbers that lie in a file one after the other, read by windows at their places.

Plain reads, not a memory map: a file that becomes shorter while it is read is an error then, and
with a map a signal (SIGBUS) that ends the process without a word.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError

_READ_THROUGH: Final = 4096
"""Bytes between two runs that are rather read than jumped over: they share a page on disk."""


@dataclass(frozen=True, slots=True)
class PlainNumbers:
    """A 3-D array in a file that slices like numpy's; the file is open only meanwhile.

    A window is read in runs, as long as its numbers lie in one piece. Gaps shorter than a page
    between runs are read too, so at most a page is read in vain for each run.
    """

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

    def __getitem__(self, place: tuple[slice, ...]) -> npt.NDArray[Any]:
        """A window, in memory of its own and in the file's byte order.

        Args:
            place: One slice per axis, without steps.

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
        _, height, width = self.shape
        if len(fast) == width and len(middle) == height:
            self._fill(file, found, self._at(slow.start, 0, 0))
        elif (width - len(fast)) * self.dtype.itemsize <= _READ_THROUGH:
            through = np.empty(len(middle) * width, self.dtype)
            used = through[: (len(middle) - 1) * width + len(fast)]
            for plane, index in zip(found, slow, strict=True):
                self._fill(file, used, self._at(index, middle.start, fast.start))
                plane[...] = through.reshape(len(middle), width)[:, : len(fast)]
        else:
            for plane, index in zip(found, slow, strict=True):
                for run, line in zip(plane, middle, strict=True):
                    self._fill(file, run, self._at(index, line, fast.start))
        return found

    def _at(self, slow: int, middle: int, fast: int) -> int:
        """Place of a number in the file, in bytes."""
        _, height, width = self.shape
        return self.offset + ((slow * height + middle) * width + fast) * self.dtype.itemsize

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
