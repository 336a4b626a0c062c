"""Cutting (bands, rows, cols) out of an array whose axes lie in some other order.

An order is a string of the letters r, c and b: "rcb" is MATLAB's (rows, cols, bands), which ENVI
calls BIP; "rbc" is BIL, "brc" is BSQ.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.errors import UsageError
from hsisr.tiling.windows import Window


def checked_axes(axes: str) -> str:
    """The order in lower case.

    Raises:
        UsageError: It does not name rows, columns and bands once each.

    >>> checked_axes("BRC")
    'brc'
    """
    if sorted(axes.lower()) != ["b", "c", "r"]:
        raise UsageError(
            f"--axes {axes!r}: expected the letters r, c and b once each in the order of the "
            "array's axes, for example rcb for (rows, cols, bands)"
        )
    return axes.lower()


def sizes(shape: Sequence[int], axes: str) -> tuple[int, int, int]:
    """(bands, rows, cols) of an array of that shape.

    >>> sizes((512, 300, 31), "rcb")
    (31, 512, 300)
    """
    bands, rows, cols = (int(shape[axes.index(axis)]) for axis in "brc")
    return bands, rows, cols


def cut(array: Any, axes: str, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
    """The window of the bands, copied out in native byte order, shape (bands, rows, cols).

    Args:
        array: Anything that slices like numpy, for example numbers in a file. What slices to
            memory of its own, as all but numpy's arrays do, is copied only to change its order.
        axes: Order of its axes; 1 stands for one of length 1 that is left out.
        window: Pixels to cut out.
        bands: 0-based, any order. The span between the first and the last is what gets touched.
    """
    first, last = min(bands), max(bands)
    span = {
        "b": slice(first, last + 1),
        "r": slice(window.row, window.row_end),
        "c": slice(window.col, window.col_end),
        "1": slice(0, 1),
    }
    part = np.asarray(array[tuple(span[axis] for axis in axes)])
    kept = axes.replace("1", "")
    part = part.squeeze(tuple(n for n, axis in enumerate(axes) if axis == "1"))
    part = part.transpose([kept.index(axis) for axis in "brc"])
    if list(bands) != list(range(first, last + 1)):
        part = part[[band - first for band in bands]]
    native = part.dtype.newbyteorder("=")
    return part.astype(native, order="C", copy=isinstance(array, np.ndarray))
