"""Cubes kept as many single-band images that GDAL reads: files, or pages of one TIFF (a stack).

tifffile knows the axes of a stack; GDAL reads the pages by windows, and says where the first one
lies. A stack that is one run of plain numbers is read at its place instead.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow
from tifffile import TiffFile, TiffPageSeries

from hsisr.errors import InputDataError
from hsisr.io.arrays.axes import ArrayScene, checked_axes, sizes, warn_if_unlikely, whole
from hsisr.io.arrays.raw import PlainNumbers
from hsisr.io.base import Scene
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.io.geotiff.reader import open_dataset, reason
from hsisr.io.geotiff.tags import free_tags, georeference_of
from hsisr.scene.metadata import SceneMetadata, SpectralAxis, StoredNumbers

_OPEN_AT_ONCE: Final = 128
"""Images kept open between windows; systems allow a process a few hundred files."""


class BandImages:
    """Images of one size and type that slice like an array of (bands, rows, cols)."""

    def __init__(self, images: Sequence[str], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """`images` are names that GDAL opens; they are as many, as high and as wide as `shape`."""
        self.shape, self._dtype = shape, dtype
        self._images = tuple(images)
        self._open: OrderedDict[int, Any] = OrderedDict()

    def __getitem__(self, place: tuple[slice, slice, slice]) -> npt.NDArray[Any]:
        bands, rows, cols = place
        window = RasterWindow(
            cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start
        )
        chosen = range(bands.start, bands.stop)
        numbers = np.empty((len(chosen), window.height, window.width), self._dtype)
        for slot, band in enumerate(chosen):
            try:
                with gdal_env():
                    self._dataset(band).read(1, window=window, out=numbers[slot])
            except (RasterioError, InputDataError) as error:
                raise InputDataError(
                    f"band {band + 1} ({self._images[band]}) cannot be read; the image is "
                    f"truncated, damaged or gone ({reason(error)})"
                ) from error
        return numbers

    def close(self) -> None:
        """Close all images; a second call does nothing."""
        while self._open:
            self._open.popitem()[1].close()

    def _dataset(self, band: int) -> Any:
        if band not in self._open:
            if len(self._open) >= _OPEN_AT_ONCE:
                self._open.popitem(last=False)[1].close()
            self._open[band] = open_dataset(self._images[band])
        self._open.move_to_end(band)
        return self._open[band]


FORMAT: Final = "TIFF stack"
_UNKNOWN: Final = {"I", "Q", "Z", "T"}
"""Axes of pages that nobody calls channels: what tifffile gives to pages of which the file does
not say what they are, slices and times."""


def stack_scene(
    path: Path, tiff: TiffFile, stacks: Sequence[TiffPageSeries], order: str | None
) -> Scene:
    """The scene of an open TIFF of one stack, whose axes are in that order or as the file says."""
    if len(stacks) != 1:
        found = ", ".join(f"{series.axes} {series.shape}" for series in stacks)
        raise InputDataError(f"found {len(stacks)} stacks ({found}), expected one; split the file")
    (series,) = stacks
    axes = _axes(path, series) if order is None else checked_axes(order)
    metadata = _metadata(path, series, axes)
    if series.dataoffset is not None:
        dtype = series.dtype.newbyteorder(">" if tiff.byteorder == ">" else "<")
        if series.dataoffset + series.nbytes > path.stat().st_size:
            raise InputDataError(
                f"{series.nbytes} bytes of pixels are promised, more than the file holds; it is "
                "truncated"
            )
        numbers = PlainNumbers(path, dtype, series.shape, series.dataoffset)
        return ArrayScene(path, FORMAT, metadata, whole(numbers, axes))
    if series.keyframe.ndim != 2 or len(series.pages) != series.shape[0]:
        raise InputDataError(
            f"found axes {series.axes} on pages of shape {series.keyframe.shape}, expected one "
            "band per page; save it so"
        )
    pages = [page for page in series.pages if page is not None]
    if len(pages) != len(series.pages):
        raise InputDataError("a page of the stack is missing; the file is truncated")
    names = [f"GTIFF_DIR:off:{page.offset}:{path}" for page in pages]
    images = BandImages(names, series.shape, metadata.stored.dtype)
    return ArrayScene(path, FORMAT, metadata, whole(images, axes), file=images)


def _axes(path: Path, series: TiffPageSeries) -> str:
    """The order that the file tells; where it names no axis of bands, they are the pages."""
    if series.ndim != 3 or not {"Y", "X"} < set(series.axes):
        raise InputDataError(
            f"found axes {series.axes} of shape {series.shape}, expected rows (Y), columns (X) and "
            "one axis of bands; save one band per page, or give their order with --axes"
        )
    axes = "".join({"Y": "r", "X": "c"}.get(axis, "b") for axis in series.axes)
    by_default = series.kind == "imagej"  # any stack is one of channels there
    if axes == "brc" and (by_default or _UNKNOWN & set(series.axes)):
        warn_if_unlikely(path, axes, series.shape)
    return axes


def _metadata(path: Path, series: TiffPageSeries, axes: str) -> SceneMetadata:
    """Size and type from tifffile; place, nodata and tags from GDAL, which sees the first page."""
    bands, rows, cols = sizes(series.shape, axes)
    metadata = SceneMetadata(
        rows=rows,
        cols=cols,
        stored=StoredNumbers(dtype=np.dtype(series.dtype).newbyteorder("=")),
        spectral_axis=SpectralAxis(count=bands),
    )
    with open_dataset(str(path)) as dataset, gdal_env():
        if (dataset.height, dataset.width) != (rows, cols):
            return metadata
        return replace(
            metadata,
            stored=replace(metadata.stored, nodata=dataset.nodata),
            georeference=georeference_of(dataset),
            tags=free_tags(dataset, lists=True),
        )
