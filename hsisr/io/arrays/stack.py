"""Cubes kept as many single-band images that GDAL reads: files, or pages of one TIFF (a stack).

tifffile knows the axes of a stack; GDAL reads the pages by windows, and says where the first one
lies. A stack that is one run of plain numbers is read at its place instead.

Of a folder, the images of one kind, PNG or TIFF, are the bands, in natural order of their names (2
before 10), as in the CAVE set. Everything else in it, such as a preview in BMP or JPEG, is left
alone, and so are images that are called masks, labels or pictures, with a warning.
"""

import re
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

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.io.arrays.axes import ArrayScene, checked_axes, sizes, warn_if_unlikely, whole
from hsisr.io.arrays.raw import PlainNumbers
from hsisr.io.base import Scene
from hsisr.io.geotiff.gdal import (
    band_tag_source,
    crs_name,
    free_tags,
    gdal_env,
    georeference_of,
    metadata_of,
)
from hsisr.io.geotiff.reader import is_tiff_stack, open_dataset, reason, refuse_unusable
from hsisr.io.spectral import merged_axis, source_from_names
from hsisr.io.views import DescribedScene
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


_NO_BAND: Final = re.compile(
    r"(?<![a-z])((f|cloud|pixel|cloud_)?masks?|b?qa\d*|quality|cloud|clouds|clm|cld|scl|udm2?|flags?"
    r"|labels?|groundtruth|gt|aot|wvp|s[az]a|v[az]a|tci|rgb|preview|quicklook|thumb(nail)?)(?![a-z])",
    re.IGNORECASE,
)
"""Words of names of masks, labels and pictures that products and data sets keep beside bands."""
_KINDS: Final = {"PNG": (".png",), "TIFF": (".tif", ".tiff")}


def open_folder(folder: Path) -> Scene:
    """Open a folder of single-band images, each of which may name its own nodata.

    Raises:
        InputDataError: It holds no images, or images of both kinds, or they differ in size, type
            or place, or one has several bands.
    """
    found, others = _bands_in(folder)
    if len(found) > 1:
        counts = " and ".join(f"{len(files)} {kind}" for kind, files in found.items())
        raise InputDataError(f"found {counts} files; expected the bands as images of one kind")
    if not found:
        raise InputDataError(
            "found a folder without PNG or TIFF images, expected one single-band image per band; "
            "for another kind of scene, name its file"
        )
    (files,) = found.values()
    images, tags, nodata = _checked(files)
    names, first = [file.stem for file in files], images[0]
    metadata = SceneMetadata(
        rows=first.rows,
        cols=first.cols,
        stored=_of_all([image.stored for image in images]),
        spectral_axis=merged_axis(
            len(files), [band_tag_source(tags), source_from_names(names)], names
        ),
        georeference=first.georeference,
        tags=first.tags,
    )
    array = BandImages(list(map(str, files)), metadata.shape, metadata.stored.dtype)
    scene = ArrayScene(folder, "image folder", metadata, whole(array, "brc"), file=array)
    if others:
        few = ", ".join(others[:4]) + (", ..." if len(others) > 4 else "")
        warn_of_scene(f"{few} left out: no band by its name; rename it if it is one")
    return DescribedScene(scene, metadata, nodata)


def is_band_folder(folder: Path, _start: bytes = b"") -> bool:
    """True if a folder looks like one scene: several images, the first two with one band each."""
    found, _ = _bands_in(folder)
    files = next(iter(found.values()), [])
    try:
        return len(found) == 1 < len(files) and all(map(_is_one_band, files[:2]))
    except InputDataError:
        return False


def _bands_in(folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Images that are bands by their names, by kind in natural order, and the names of all others.

    Hidden files are not seen.
    """
    try:
        files = [f for f in folder.iterdir() if f.is_file() and not f.name.startswith(".")]
    except OSError as error:
        raise InputDataError(f"the folder cannot be listed ({error.strerror})") from error
    files.sort(key=lambda file: natural_key(file.name))
    found = {kind: [f for f in files if f.suffix.lower() in ends] for kind, ends in _KINDS.items()}
    bands = {kind: [f for f in fs if not _NO_BAND.search(f.stem)] for kind, fs in found.items()}
    chosen = bands if any(bands.values()) else found
    kept = {file for files in chosen.values() for file in files}
    others = [file.name for files in found.values() for file in files if file not in kept]
    return {kind: files for kind, files in chosen.items() if files}, others


_NUMBER: Final = re.compile(r"([0-9]+(?:\.[0-9]+(?=[\s_]*(?:nm|[uµ]m|nano|micro)))?)")
"""A whole number; a decimal one only before a unit, for 1.10 may be behind 1.9."""


def natural_key(name: str) -> list[tuple[float, str]]:
    """Sort key under which numbers inside names count as numbers.

    >>> sorted(["b10.png", "b9.png", "b9.75nm.png", "b9.5nm.png", "b9.625nm.png"], key=natural_key)
    ['b9.png', 'b9.5nm.png', 'b9.625nm.png', 'b9.75nm.png', 'b10.png']
    """
    parts = enumerate(_NUMBER.split(name.lower()))
    return [(float(p) if "." in p else int(p), "") if n % 2 else (-1, p) for n, p in parts]


def _checked(
    files: Sequence[Path],
) -> tuple[list[SceneMetadata], list[dict[str, str]], list[float | None]]:
    """Every image's metadata, tags and nodata."""
    found, tags, nodata = list[SceneMetadata](), [], []
    for file in files:
        with _opened(file) as dataset, gdal_env():
            found.append(metadata_of(dataset, [1]))
            tags.append(dict(dataset.tags(1)))
            nodata.append(dataset.nodatavals[0])
        if _layout(found[-1]) != _layout(found[0]):
            raise InputDataError(
                f"{file.name} is {_said(found[-1])}, but {files[0].name} is {_said(found[0])}; "
                "expected images of one size, type and place, take the others out of the folder"
            )
    return found, tags, nodata


def _of_all(stored: Sequence[StoredNumbers]) -> StoredNumbers:
    """How the images store their numbers together; fields that only some have are filled up."""

    def each(name: str, default: Any) -> tuple[Any, ...] | None:
        found = [getattr(one, name) for one in stored]
        return tuple(own[0] if own else default for own in found) if any(found) else None

    return replace(
        stored[0], scales=each("scales", 1.0), offsets=each("offsets", 0.0), units=each("units", "")
    )


def _opened(file: Path) -> Any:
    try:
        dataset = open_dataset(str(file))
        refuse_unusable(dataset)
    except InputDataError as error:
        raise InputDataError(f"{file.name}: {error}") from error
    if dataset.count != 1 or dataset.subdatasets:
        what = f"{dataset.count} bands" if dataset.count != 1 else "several pages"
        raise InputDataError(
            f"{file.name} has {what}, expected one; name {file.name} if it is the scene and the "
            "others its masks, else take it out of the folder"
        )
    return dataset


def _is_one_band(file: Path) -> bool:
    with open_dataset(str(file)) as dataset:
        return int(dataset.count) == 1 and not (
            file.suffix.lower() in _KINDS["TIFF"] and is_tiff_stack(file)
        )


def _layout(of: SceneMetadata) -> tuple[Any, ...]:
    place = of.georeference
    return of.rows, of.cols, of.stored.dtype, place.transform, place.crs_wkt


def _said(of: SceneMetadata) -> str:
    corner = of.georeference.transform
    place = f" from {corner.c:.10g}, {corner.f:.10g}" if corner else ""
    crs = f" in {crs_name(of.georeference.crs_wkt)}" if of.georeference.crs_wkt else ""
    return f"{of.rows} x {of.cols} pixels of {of.stored.dtype}{place}{crs}"
