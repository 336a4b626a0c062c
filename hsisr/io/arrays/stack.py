"""TIFF files that keep a cube as pages, one per band, or as planes of ImageJ or OME.

tifffile knows the axes; GDAL reads the pages by windows, and says where the first one lies. A
stack that is one run of plain numbers is read at its place instead.
"""

import logging
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tifffile import TiffFile, TiffFileError, TiffPageSeries

from hsisr.errors import InputDataError, UsageError
from hsisr.io.arrays.axis_names import warn_if_unlikely
from hsisr.io.arrays.axis_order import ArrayScene, checked_axes, sizes, whole
from hsisr.io.arrays.band_images import BandImages
from hsisr.io.arrays.raw_reader import PlainNumbers
from hsisr.io.base import Scene
from hsisr.io.geotiff.gdal_env import gdal_env
from hsisr.io.geotiff.gdal_metadata import dataset_tags, georeference_of
from hsisr.io.geotiff.reader import open_dataset, open_raster
from hsisr.scene.metadata import SceneMetadata, SpectralAxis
from hsisr.scene.quantisation import StoredNumbers
from hsisr.tiling.windows import Window

FORMAT: Final = "TIFF stack"
DAMAGED: Final = (
    *(TiffFileError, OSError, ValueError, LookupError, TypeError, RuntimeError),
    *(ArithmeticError, SyntaxError, struct.error),
)
"""What tifffile raises on files that are no TIFF inside."""
_UNKNOWN: Final = {"I", "Q"}
"""Axes that tifffile gives to pages of which the file does not say what they are."""
_BROKEN_CHAIN: Final = ("invalid page", "corrupted", "missing", "truncated")
"""What it only logs, and then goes on with the pages up to there."""

_MOST_PAGES: Final = 100_000
_CLASSIC: Final = ("H", "I", 12)
_BIG: Final = ("Q", "Q", 20)
"""Type of a count of tags, type of a place, bytes per tag."""


def is_tiff_stack(path: Path) -> bool:
    """True if a TIFF keeps its bands where GDAL shows only one, on further pages or planes.

    Overviews and masks are pages too, but no bands.

    Raises:
        InputDataError: The list of pages is cut off or damaged.
    """
    try:
        _refuse_circles(path)
        with _listening(), TiffFile(path) as tiff:
            return bool(_stacks(tiff))
    except InputDataError:
        raise
    except DAMAGED:
        return False


class _Pages:
    """Pages of a stack that slice like an array, axes (pages, rows, cols) of the file."""

    def __init__(self, images: BandImages) -> None:
        self._images, self.shape, self.close = images, images.metadata.shape, images.close

    def __getitem__(self, place: tuple[slice, slice, slice]) -> npt.NDArray[Any]:
        pages, rows, cols = place
        part = Window(rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start)
        return self._images.read_stored(part, range(pages.start, pages.stop))


def open_tiff(path: Path, *, axes: str | None = None) -> Scene:
    """Open a TIFF: a stack of pages or planes, or one image with bands.

    Raises:
        InputDataError: It cannot be read.
        UsageError: `axes` is given for what is no stack.
    """
    if is_tiff_stack(path):
        return open_stack(path, axes)
    if axes is not None:
        raise UsageError(f"--axes {axes} has no meaning for a TIFF that is no stack; leave it out")
    return open_raster(path)


def open_stack(path: Path, axes: str | None = None) -> Scene:
    """Open a TIFF stack.

    Args:
        path: The file.
        axes: Order of its axes, pages first, such as "brc"; None: as the file says, else bands on
            pages, with a warning where their shape makes that unlikely.

    Raises:
        UsageError: `axes` is no order of r, c and b.
        InputDataError: It holds several stacks, or not one band per page or plane, or tifffile
            or GDAL cannot read it.
    """
    try:
        _refuse_circles(path)
        with _listening(), TiffFile(path) as tiff:
            return _scene(path, tiff, _only(_stacks(tiff)), axes)
    except InputDataError:
        raise
    except DAMAGED as error:
        raise InputDataError(f"not a TIFF stack that can be read ({error})") from error


def _stacks(tiff: TiffFile) -> list[TiffPageSeries]:
    """Images of several pages or planes."""
    with _listening() as heard:
        try:
            stacks = [series for series in tiff.series if _has_planes(series)]
        except TiffFileError as error:
            raise InputDataError(f"the list of pages is damaged ({error})") from error
    for line in heard:
        if any(word in line for word in _BROKEN_CHAIN):
            raise InputDataError(f"the list of pages is cut off; the file is truncated ({line})")
    return stacks


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Hear what tifffile logs, instead of the user."""
    heard: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield heard
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


def _has_planes(series: TiffPageSeries) -> bool:
    page = series.keyframe
    return len(series.pages) > 1 or page.imagedepth > 1 or (series.ndim > 2 and page.ndim == 2)


def _only(stacks: Sequence[TiffPageSeries]) -> TiffPageSeries:
    if len(stacks) != 1:
        found = ", ".join(f"{series.axes} {series.shape}" for series in stacks)
        raise InputDataError(f"found {len(stacks)} stacks ({found}), expected one; split the file")
    return stacks[0]


def _scene(path: Path, tiff: TiffFile, series: TiffPageSeries, order: str | None) -> Scene:
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
    images = [_gdal_name(path, page) for page in series.pages]
    if axes == "brc":
        return BandImages(path, FORMAT, images, metadata)
    pages = _Pages(BandImages(path, FORMAT, images, _metadata(path, series, "brc")))
    return ArrayScene(path, FORMAT, metadata, whole(pages, axes), file=pages)


def _axes(path: Path, series: TiffPageSeries) -> str:
    """The order that the file tells; where it names no axis of bands, they are the pages."""
    if series.ndim != 3 or not {"Y", "X"} < set(series.axes):
        raise InputDataError(
            f"found axes {series.axes} of shape {series.shape}, expected rows (Y), columns (X) and "
            "one axis of bands; save one band per page, or give their order with --axes"
        )
    axes = "".join({"Y": "r", "X": "c"}.get(axis, "b") for axis in series.axes)
    if axes == "brc" and _UNKNOWN & set(series.axes):
        warn_if_unlikely(path, axes, series.shape)
    return axes


def _gdal_name(path: Path, page: Any) -> str:
    if page is None:
        raise InputDataError("a page of the stack is missing; the file is truncated")
    return f"GTIFF_DIR:off:{page.offset}:{path}"


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
            tags=dataset_tags(dataset),
        )


def _refuse_circles(path: Path) -> None:
    """Return if the list of pages ends; tifffile would follow circles for millions of pages.

    Raises:
        InputDataError: It comes back to a page it has been to, or there are unlikely many.
        OSError: The file cannot be read.
    """
    seen: set[int] = set()
    with path.open("rb") as file:
        for place in _places(file):
            if place in seen or len(seen) >= _MOST_PAGES:
                raise InputDataError(
                    f"the list of pages goes in circles, or on for more than {_MOST_PAGES}; the "
                    "file is damaged"
                )
            seen.add(place)


def _places(file: BufferedReader) -> Iterator[int]:
    """Where each page begins, as far as the list can be followed."""
    start = file.read(16)
    order = ">" if start[:2] == b"MM" else "<"
    big = start[2:4] in (b"+\0", b"\0+")
    counts, places, tag = _BIG if big else _CLASSIC
    try:
        place = struct.unpack_from(order + places, start, 8 if big else 4)[0]
        while place:
            yield place
            file.seek(place)
            (tags,) = struct.unpack(order + counts, file.read(struct.calcsize(counts)))
            file.seek(place + struct.calcsize(counts) + tags * tag)
            (place,) = struct.unpack(order + places, file.read(struct.calcsize(places)))
    except (struct.error, OverflowError, OSError):
        return  # cut off; whoever reads the pages says so
