"""A cube as one numpy array in a `.npy` file, (rows, cols, bands) unless told otherwise."""

import io
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt
from numpy.lib import format as npy_format

from hsisr.errors import InputDataError
from hsisr.io.arrays.axis_names import warn_if_unlikely
from hsisr.io.arrays.axis_order import checked_axes, cut, sizes
from hsisr.io.arrays.raw_reader import PlainNumbers
from hsisr.io.base import Scene
from hsisr.scene.metadata import SceneMetadata
from hsisr.scene.quantisation import StoredNumbers
from hsisr.scene.spectral_axis import SpectralAxis
from hsisr.tiling.windows import Window

_HEADERS: Final = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}
"""Version 3 differs only in names of fields, which plain numbers do not have."""
_LONGEST_HEADER: Final = 1 << 16
"""What a file claims for its header beyond that is never allocated; numpy's own limit is 10 000."""
_DAMAGED: Final = (
    *(OSError, ValueError, EOFError, LookupError, TypeError),
    *(SyntaxError, tokenize.TokenError, RecursionError, MemoryError),
)
"""What numpy raises on headers that are none; the last line is Python's, parsing the literal."""


class NpyScene(Scene):
    """A numpy array on disk."""

    format = "NPY"

    def __init__(self, path: Path, axes: str | None) -> None:
        self.path, self._axes = path, checked_axes("rcb" if axes is None else axes)
        self._numbers, reverse = _located(path)
        shape = self._numbers.shape[::-1] if reverse else self._numbers.shape
        if len(shape) != 3:
            raise InputDataError(f"found an array of shape {shape}, expected 3 axes")
        bands, rows, cols = sizes(shape, self._axes)
        if reverse:
            self._axes = self._axes[::-1]
        self.metadata = SceneMetadata(
            rows=rows,
            cols=cols,
            stored=StoredNumbers(dtype=self._numbers.dtype.newbyteorder("=")),
            spectral_axis=SpectralAxis(count=bands),
        )
        size = path.stat().st_size
        if size < self._numbers.end:
            raise InputDataError(
                f"the header promises {self._numbers.end} bytes, but the file holds {size}; it is "
                "truncated or the header is wrong"
            )
        if axes is None:
            warn_if_unlikely(path, "rcb", shape)

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        return cut(self._numbers, self._axes, window, bands)

    def close(self) -> None:
        """Nothing stays open between windows."""


def _located(path: Path) -> tuple[PlainNumbers, bool]:
    """Where the numbers lie, and whether their axes are in reverse (Fortran's order).

    Only the header is read, and numpy evaluates nothing in it but literals.
    """
    try:
        with path.open("rb") as file:
            start = io.BytesIO(file.read(_LONGEST_HEADER))
        shape, reverse, dtype = _HEADERS[npy_format.read_magic(start)](start)
    except _DAMAGED as error:
        reason = " ".join(str(error).split())
        raise InputDataError(
            f"cannot be read as a numpy array of numbers; it is truncated or damaged ({reason})"
        ) from error
    return PlainNumbers(path, dtype, shape[::-1] if reverse else shape, start.tell()), reverse
