"""Scenes in arrays whose axes lie in any order, and cutting (bands, rows, cols) out of these.

An order is a string of the letters r, c and b: "rcb" is MATLAB's (rows, cols, bands), which ENVI
calls BIP; "rbc" is BIL, "brc" is BSQ.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError, ResourceError, UsageError
from hsisr.io.base import Scene
from hsisr.scene.metadata import SceneMetadata
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


@dataclass(frozen=True, slots=True)
class BandSource:
    """Bands of a scene that lie in one array."""

    array: Any
    """3-D, slices like numpy; its `chunks`, if it has any, are those of HDF5 and Zarr."""
    axes: str
    """Order of its axes."""
    bands: Sequence[int]
    """Index in the array of each of these bands."""


def whole(array: Any, axes: str) -> list[BandSource]:
    """The source of a scene whose bands are those of one array."""
    return [BandSource(array, axes, range(array.shape[axes.index("b")]))]


class ArrayScene(Scene):
    """A cube whose bands lie in one or several arrays.

    Args:
        path: What the user named.
        file_format: Name of the format or product.
        metadata: What is known of the cube.
        sources: Where the bands of the scene lie, one after another.
        mask: Called with slices of rows and columns; True where there is data. None: no mask.
        file: Has a `close`, called when the scene is closed; None: nothing stays open.
        errors: A context that turns what slicing raises into this package's errors.
    """

    def __init__(
        self,
        path: Path,
        file_format: str,
        metadata: SceneMetadata,
        sources: Sequence[BandSource],
        *,
        mask: Callable[[tuple[slice, slice]], Any] | None = None,
        file: Any = None,
        errors: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.path, self.format, self.metadata = path, file_format, metadata
        self._sources, self._mask, self._file, self._errors = tuple(sources), mask, file, errors
        self._places = [(n, band) for n, source in enumerate(sources) for band in source.bands]
        chunks = getattr(sources[0].array, "chunks", None)
        self.block_rows = max(1, int(chunks[sources[0].axes.index("r")])) if chunks else 1

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`; the chunks that the window touches are unpacked."""
        with self._reading():
            if len(self._sources) == 1:
                (source,) = self._sources
                return cut(source.array, source.axes, window, [source.bands[b] for b in bands])
            shape = len(bands), window.rows, window.cols
            numbers = np.empty(shape, self.metadata.stored.dtype)
            for number, source in enumerate(self._sources):
                own = [at for at, band in enumerate(bands) if self._places[band][0] == number]
                if own:
                    inside = [self._places[bands[at]][1] for at in own]
                    numbers[own] = cut(source.array, source.axes, window, inside)
        return numbers

    def read_mask(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """See `Scene.read_mask`."""
        if self._mask is None:
            return None
        with self._reading():
            return np.asarray(
                self._mask((slice(window.row, window.row_end), slice(window.col, window.col_end)))
            )

    def close(self) -> None:
        """See `Scene.close`."""
        if self._file is not None:
            self._file.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Errors name the scene."""
        try:
            with self._errors():
                yield
        except (InputDataError, ResourceError) as error:
            if str(self.path) in str(error):
                raise
            raise type(error)(f"{self.path}: {error}") from error
