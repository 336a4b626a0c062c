"""A cube as one numpy array in a `.npy` file, (rows, cols, bands) unless told otherwise."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError
from hsisr.io.boxes import checked_axes, cut, sizes
from hsisr.io.protocol import Scene
from hsisr.scene.metadata import SceneMetadata
from hsisr.scene.quantisation import StoredNumbers
from hsisr.scene.spectral_axis import SpectralAxis
from hsisr.tiling.windows import Window


class NpyScene(Scene):
    """A numpy array on disk."""

    format = "NPY"

    def __init__(self, path: Path, axes: str | None) -> None:
        self.path, self._axes = path, checked_axes("rcb" if axes is None else axes)
        array = self._mapped()
        if array.ndim != 3:
            raise InputDataError(f"found an array of shape {array.shape}, expected 3 axes")
        bands, rows, cols = sizes(array.shape, self._axes)
        self.metadata = SceneMetadata(
            rows=rows,
            cols=cols,
            stored=StoredNumbers(dtype=array.dtype.newbyteorder("=")),
            spectral_axis=SpectralAxis(count=bands),
        )

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`; the memory map lives only as long as the window."""
        try:
            return cut(self._mapped(), self._axes, window, bands)
        except InputDataError as error:
            raise InputDataError(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Nothing stays open between windows."""

    def _mapped(self) -> npt.NDArray[Any]:
        try:
            array: npt.NDArray[Any] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputDataError(
                "cannot be read as a numpy array of numbers; it is truncated, damaged or holds "
                f"objects ({error})"
            ) from error
        return array
