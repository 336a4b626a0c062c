"""A cube as one numpy array in a `.npy` file, (rows, cols, bands) unless told otherwise."""

import io
import tokenize
from pathlib import Path
from typing import Final

from numpy.lib import format as npy_format

from hsisr.errors import DAMAGED, InputDataError
from hsisr.io.arrays.axes import ArrayScene, checked_axes, sizes, warn_if_unlikely, whole
from hsisr.io.arrays.raw import PlainNumbers
from hsisr.scene.metadata import SceneMetadata, SpectralAxis, StoredNumbers

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
