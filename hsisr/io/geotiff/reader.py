"""Rasters that GDAL reads: GeoTIFF, COG, BigTIFF and their like.

The bands lie in one GDAL dataset. Whether the pages of a TIFF are a stack of bands, which GDAL does
not see, tifffile tells, which knows the axes.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow
from tifffile import TiffFile, TiffFileError, TiffPageSeries

from hsisr.errors import DAMAGED, HsisrWarning, InputDataError, UsageError, warn_of_scene
from hsisr.io.base import Scene
from hsisr.io.formats import OTHER_RASTERS, format_of, gdal_drivers, loaded
from hsisr.io.geotiff.gdal import Listener, gdal_env, listening, metadata_of
from hsisr.io.paths import RemotePath, header_beside, is_envi_header, scene_path, without_secrets
from hsisr.io.spectral import SpectralSource, source_from_fields
from hsisr.io.views import DescribedScene
from hsisr.tiling import Window

_SIDECARS_OF_PIXELS: Final = (".msk", ".ovr", ".msk.ovr")
"""Files beside a raster that GDAL opens with whatever driver their text calls for."""
_MIXED: Final = ("CMYK", "LAB", "CIELAB", "ICCLAB", "ITULAB")
"""Colours that GDAL turns into red, green and blue."""
_NODATA_TAG: Final = 42113
"""GDAL's tag of a TIFF for the number that means no data, as text."""
_PAGE: Final = "GTIFF_DIR:"
"""How names of single pages of a TIFF begin."""


class RasterScene(Scene):
    """A GDAL dataset, opened; an alpha band is its mask and no spectral band."""

    def __init__(self, path: Path, dataset: Any, options: Mapping[str, str] | None = None) -> None:
        """`options` are GDAL's, for every reading."""
        self.path, self._dataset, self._options = path, dataset, dict(options or {})
        self.format = dataset.driver
        self._alpha = _alpha_index(path, dataset)
        self._indexes = [i for i in dataset.indexes if i != self._alpha]
        self.metadata = metadata_of(dataset, self._indexes, _header_source(path, dataset))
        self.block_rows = int(dataset.block_shapes[0][0])
        nodata, flags = dataset.nodatavals, dataset.mask_flag_enums  # each asks every band
        self._nodata: list[float | None] = [nodata[i - 1] for i in self._indexes]
        self._masked = [i for i in self._indexes if self._is_mask(flags[i - 1])]
        if all(MaskFlags.per_dataset in flags[i - 1] for i in self._masked):
            self._masked = self._masked[:1]
        # GDAL takes the alpha band for the mask of one or three bands alone
        own = self._alpha is not None and not self._masked and all(n is None for n in self._nodata)
        self._mask_band = self._alpha if own else None

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`; all bands in one call, so no block is unpacked twice."""
        indexes = [self._indexes[band] for band in bands]
        return self._read(self._dataset.read, indexes, window)

    def read_mask(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """See `Scene.read_mask`; where each band has a mask of its own, all must say data."""
        if self._mask_band is not None:
            return np.asarray(self._read(self._dataset.read, self._mask_band, window) > 0)
        if not self._masked:
            return None
        masks = [self._read(self._dataset.read_masks, i, window) > 0 for i in self._masked]
        return np.asarray(np.all(masks, axis=0))

    def nodata_of(self, band: int) -> float | None:
        """See `Scene.nodata_of`."""
        return self._nodata[band]

    def warn_of_further_images(self) -> None:
        """Say that the file holds other images than this one, if it does."""
        if (images := len(self._dataset.subdatasets)) > 1:
            warn_of_scene(
                f"found {images} images in the file; the first one is read, of "
                f"{self._dataset.count} bands and {self.metadata.rows} x {self.metadata.cols} "
                "pixels; save another as a file to read it"
            )

    def close(self) -> None:
        """See `Scene.close`."""
        self._dataset.close()

    def _read(self, read: Any, indexes: Any, window: Window) -> npt.NDArray[Any]:
        place = RasterWindow(window.col, window.row, window.cols, window.rows)
        try:
            with gdal_env(**self._options):
                numbers: npt.NDArray[Any] = read(indexes, window=place)
        except RasterioError as error:
            raise InputDataError(
                f"{self.path}: rows {window.row} to {window.row_end} cannot be read; the file is "
                f"truncated or damaged ({reason(error)})"
            ) from error
        return numbers

    def _is_mask(self, flags: Sequence[MaskFlags]) -> bool:
        """True if a mask or alpha band counts: GDAL names one, and nodata does not go first."""
        if MaskFlags.all_valid in flags or MaskFlags.nodata in flags:
            return False
        return MaskFlags.alpha not in flags or self._alpha is not None


def open_raster(path: Path, name: str | None = None) -> RasterScene:
    """See `opened_raster`; warns where the file holds more images than the one that is read."""
    scene = opened_raster(path, name)
    scene.warn_of_further_images()
    return scene


def opened_raster(
    path: Path, name: str | None = None, options: Mapping[str, str] | None = None
) -> RasterScene:
    """Open a GDAL dataset with bands, with the drivers that the table of formats allows for it.

    `name` is what GDAL is to open, if not `path`, and `options` its configuration for that.

    Raises:
        InputDataError: GDAL cannot read it, or finds no bands, several subdatasets, or colours
            from a table instead of measurements.
    """
    options = dict(options or {})
    name = str(path) if name is None else name
    dataset = open_dataset(name, options)
    try:
        if dataset.count == 0 and len(dataset.subdatasets) == 1:
            only, driver = dataset.subdatasets[0], dataset.driver
            dataset.close()
            dataset = open_dataset(only, options, [driver])
        refuse_unusable(dataset)
        with gdal_env(**options):
            return RasterScene(path, dataset, options)
    except BaseException:
        dataset.close()
        raise


def open_dataset(
    name: str, options: Mapping[str, str] | None = None, drivers: Sequence[str] | None = None
) -> Any:
    """Open a GDAL dataset for reading, not shared with any other user of the same file.

    With no `drivers`, those may open it that the table of formats names for it.

    Raises:
        InputDataError: GDAL cannot read it with these drivers, or a mask or overview file beside
            it is no TIFF.
    """
    file = name.split(":", 3)[-1] if name.startswith(_PAGE) else name
    place = Path(file)
    if drivers is None:
        drivers = ["GTiff"] if name.startswith(_PAGE) else gdal_drivers(scene_path(place))
    if not drivers:  # rasterio takes an empty list for every driver
        row = format_of(place)
        raise InputDataError(row.refusal or f"found {row.name}, expected an image that GDAL reads")
    _require_tiff_sidecars(file, options or {})
    heard = Listener()
    try:
        with gdal_env(**(options or {})), listening(heard):
            return DatasetReader(name, driver=list(drivers), sharing=False)
    except RasterioError as error:
        said = reason(error)
        if name.startswith("/vsi"):
            _refuse_unreachable([*heard.errors, *heard.warnings, said])
        if "not recognized as" in said:
            raise InputDataError(
                "not a scene that can be read, expected GeoTIFF, ENVI, MATLAB, netCDF, HDF5, Zarr, "
                "NumPy, a TIFF stack or a folder of single-band images"
            ) from error
        raise InputDataError(
            f"the image is truncated or damaged; copy it again ({said})"
        ) from error


def is_other_raster(path: Path, _start: bytes = b"") -> bool:
    """True if one of GDAL's less common drivers, which read no other files, can open a file."""
    try:
        with gdal_env(), listening(), DatasetReader(str(path), driver=list(OTHER_RASTERS)):
            return True
    except (RasterioError, ValueError):
        return False


def _require_tiff_sidecars(name: str, options: Mapping[str, str]) -> None:
    """Refuse masks and overviews beside a file that are no TIFF, before GDAL opens them.

    GDAL takes any format for these, even texts that name other files or servers.
    """
    if options.get("GDAL_DISABLE_READDIR_ON_OPEN") == "EMPTY_DIR":
        return  # then GDAL takes none
    ends = [end for suffix in _SIDECARS_OF_PIXELS for end in (suffix, suffix.upper())]
    with gdal_env(**options), listening():
        for beside in (name + end for end in ends):
            try:
                DatasetReader(beside, driver=["GTiff"], sharing=False).close()
            except RasterioError as error:
                if "not recognized as being" in reason(error):
                    raise InputDataError(
                        f"{Path(without_secrets(beside)).name} beside it is no TIFF, as masks and "
                        "overviews of GDAL are; remove it, or write it anew"
                    ) from error


def _refuse_unreachable(said: Sequence[str]) -> None:
    """Say plainly that a remote file is not there or cannot be reached, if GDAL says so."""
    for words in said:
        if "response code: 404" in words or "does not exist" in words or "No such file" in words:
            raise InputDataError("there is no such file; check the name")
        if any(sign in words for sign in ("response code", "CURL error", "Could not resolve")):
            raise InputDataError(
                f"cannot be reached: {without_secrets(words)}; check the name and the network"
            )


def _header_source(path: Path, dataset: Any) -> SpectralSource | None:
    """The spectral fields of an ENVI header beside a TIFF that has the sizes of the TIFF."""
    if dataset.driver != "GTiff" or isinstance(path, RemotePath) or not path.is_file():
        return None
    header = header_beside(path)
    if header is None or not is_envi_header(header):
        return None
    from hsisr.io.envi.files import read_header  # which few TIFFs need

    try:
        fields = read_header(header)
    except InputDataError:
        return None
    sizes = [fields.get(key) for key in ("bands", "lines", "samples")]
    found = [str(dataset.count), str(dataset.height), str(dataset.width)]
    return source_from_fields(fields) if sizes == found else None


def refuse_unusable(dataset: Any) -> None:
    """Raise InputDataError for a dataset without bands or with a colour table."""
    if dataset.count == 0:
        inside = f" but {len(dataset.subdatasets)} subdatasets" if dataset.subdatasets else ""
        raise InputDataError(f"found no bands{inside}; convert the wanted one to GeoTIFF first")
    colours = dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE")
    if ColorInterp.palette in dataset.colorinterp or colours in _MIXED:
        what = f"colours of {colours}" if colours in _MIXED else "a colour table"
        raise InputDataError(f"found {what}, expected measurements; not a spectral scene")


def reason(error: BaseException) -> str:
    """What a library said, on one line; GDAL's own words where rasterio wraps them."""
    text = str(error.__cause__ or error)
    return without_secrets(" ".join(text.split()))


def _alpha_index(path: Path, dataset: Any) -> int | None:
    """1-based index of the alpha band, if there is one beside other bands.

    GDAL calls the last of four bands alpha unless it was told otherwise. That is believed of an
    8-bit picture; of another type, or of more bands, where the band holds nothing but 0 and one
    other number. What is taken of four bands, or for none, is a warning.
    """
    if dataset.count < 2 or ColorInterp.alpha not in dataset.colorinterp:
        return None
    index = int(dataset.colorinterp.index(ColorInterp.alpha)) + 1
    if "wavelength" in {key.lower() for key in dataset.tags(index)}:
        return None
    kind, count = dataset.dtypes[index - 1], dataset.count
    mask = (count in (2, 4) and kind == "uint8") or _holds_two_numbers(dataset, index)
    if mask and count != 4:
        return index
    what = (
        "taken for the mask; if it is a spectral band, clear the tag (gdal_edit.py -colorinterp_4 "
        "undefined)"
        if mask
        else f"read as a spectral band, for it holds many numbers of {kind}"
    )
    warnings.warn(f"{path}: band {index} is tagged as alpha and {what}", HsisrWarning, stacklevel=2)
    return index if mask else None


def _holds_two_numbers(dataset: Any, index: int) -> bool:
    """True if a band has 0 and at most one other number, by at most 16 of its rows.

    They are read as they are: of a smaller picture GDAL would ask overviews, of which a tag of the
    file may say that they lie in another file, or on a server.
    """
    rows = np.unique(np.linspace(0, dataset.height - 1, 16).astype(int)).tolist()
    with gdal_env():
        found = [dataset.read(index, window=RasterWindow(0, r, dataset.width, 1)) for r in rows]
        return len(np.setdiff1d(found, [0])) < 2


_BROKEN_CHAIN: Final = ("invalid page", "corrupted", "missing", "truncated", "circular")
"""What it only logs, and then goes on with the pages up to there."""


def open_tiff(path: Path, *, axes: str | None = None) -> Scene:
    """Open a TIFF: a stack of pages or planes, or one image with bands.

    The axes of a stack are as given (pages first) or as the file says; else the pages are bands,
    with a warning where their shape makes that unlikely.

    Raises:
        UsageError: `axes` is no order of r, c and b, or given for what is no stack.
        InputDataError: It holds several stacks, or not one band per page or plane, or tifffile
            or GDAL cannot read it.
    """
    stacks: list[TiffPageSeries] = []
    said = ""
    try:
        with _pages(path) as tiff:
            said = str(tiff.pages.first.tags.valueof(_NODATA_TAG) or "")
            if stacks := _stacks_in(tiff):
                scene: Scene = loaded("hsisr.io.arrays.stack:stack_scene")(path, tiff, stacks, axes)
                return scene
    except (InputDataError, UsageError):
        raise
    except DAMAGED as error:  # without stacks GDAL may know more of it
        if stacks:
            raise InputDataError(f"not a TIFF stack that can be read ({error})") from error
    if axes is not None:
        raise UsageError(f"--axes {axes} has no meaning for a TIFF that is no stack; leave it out")
    scene = open_raster(path)
    stored = scene.metadata.stored
    # rasterio writes such nodata of 64-bit integers with an exponent, at which GDAL stops reading
    misread = _until_exponent(said)
    if misread is not None and stored.nodata == misread and stored.dtype.itemsize == 8:
        stored = replace(stored, nodata=float(said))
        return DescribedScene(scene, replace(scene.metadata, stored=stored))
    return scene


def _until_exponent(text: str) -> int | None:
    """What GDAL makes of a nodata like -9.22e+18 in integers of 64 bits; None: the number itself.

    >>> _until_exponent("-9.2233720368547758e+18"), _until_exponent("-9")
    (-9, None)
    """
    found = re.fullmatch(r"\s*([+-]?\d+)(\.\d*)?e\+?\d+\s*", text)
    return int(found[1]) if found else None


def is_tiff_stack(path: Path) -> bool:
    """True if a TIFF keeps its bands where GDAL shows only one, on further pages or planes.

    Overviews and masks are pages too, but no bands.

    Raises:
        InputDataError: The list of pages is cut off or damaged.
    """
    try:
        with _pages(path) as tiff:
            return bool(_stacks_in(tiff))
    except InputDataError:
        raise
    except DAMAGED:
        return False


@contextmanager
def _pages(path: Path) -> Iterator[TiffFile]:
    """A TIFF, whose pages are one stack also where tifffile wrote them one by one."""
    with listening(to="tifffile"), ExitStack() as held:
        tiff = held.enter_context(TiffFile(path))
        if tiff.is_shaped and len(tiff.pages) > 1:
            shapes = {(series.shape, series.dtype) for series in tiff.series}
            if len(tiff.series) > 1 == len(shapes) and tiff.series[0].ndim == 2:
                tiff = held.enter_context(TiffFile(path, is_shaped=False))
        yield tiff


def _stacks_in(tiff: TiffFile) -> list[TiffPageSeries]:
    """Images of several pages or planes."""
    with listening(to="tifffile") as heard:
        try:
            stacks = [series for series in tiff.series if _has_planes(series)]
        except TiffFileError as error:
            raise InputDataError(f"the list of pages is damaged ({error})") from error
    for line in heard.warnings + heard.errors:
        if any(word in line for word in _BROKEN_CHAIN):
            raise InputDataError(f"the list of pages is cut off; the file is truncated ({line})")
    return stacks


def _has_planes(series: TiffPageSeries) -> bool:
    page = series.keyframe
    return len(series.pages) > 1 or page.imagedepth > 1 or (series.ndim > 2 and page.ndim == 2)
