"""A cube kept as many single-band images, files or pages of one file, that GDAL reads."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from hsisr.errors import InputDataError
from hsisr.io.base import Scene
from hsisr.io.geotiff.gdal_env import gdal_env
from hsisr.io.geotiff.reader import open_dataset, reason
from hsisr.scene.metadata import SceneMetadata
from hsisr.tiling.windows import Window

_OPEN_AT_ONCE: Final = 128
"""Images kept open between windows; systems allow a process a few hundred files."""


class BandImages(Scene):
    """One band per image, in the order given."""

    def __init__(
        self, path: Path, layout: str, images: Sequence[str], metadata: SceneMetadata
    ) -> None:
        """`images` are names that GDAL opens, each with the size and type in `metadata`."""
        self.path, self.format, self.metadata = path, layout, metadata
        self._images = tuple(images)
        self._open: OrderedDict[int, Any] = OrderedDict()

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        numbers = np.empty((len(bands), window.rows, window.cols), self.metadata.stored.dtype)
        place = RasterWindow(window.col, window.row, window.cols, window.rows)
        for slot, band in enumerate(bands):
            try:
                with gdal_env():
                    self._dataset(band).read(1, window=place, out=numbers[slot])
            except (RasterioError, InputDataError) as error:
                raise InputDataError(
                    f"{self.path}: band {band + 1} ({self._images[band]}) cannot be read; the "
                    f"image is truncated, damaged or gone ({reason(error)})"
                ) from error
        return numbers

    def close(self) -> None:
        """See `Scene.close`."""
        while self._open:
            self._open.popitem()[1].close()

    def _dataset(self, band: int) -> Any:
        if band in self._open:
            self._open.move_to_end(band)
        else:
            if len(self._open) >= _OPEN_AT_ONCE:
                self._open.popitem(last=False)[1].close()
            self._open[band] = open_dataset(self._images[band])
        return self._open[band]
