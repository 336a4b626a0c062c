"""Which axis of an array holds rows, columns or bands, and cutting (bands, rows, cols) out of it.

An order is a string with one letter for each axis: r, c, b, and 1 for an axis of length 1 that is
left out, such as time. "rcb" is MATLAB's (rows, cols, bands), which ENVI calls BIP; "rbc" is BIL,
"brc" is BSQ. It is told by dimension names, wavelengths and shape.

The one table of dimension names for every format that names them (Zarr, netCDF, HDF5). The names
are those of CF and GDAL, of xarray and rioxarray, and of the products of EMIT, PACE, PRISMA,
DESIS, HYPSO and of HDF-EOS.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import HsisrWarning, InputDataError, ResourceError, UsageError
from hsisr.io.base import Scene
from hsisr.scene.metadata import SceneMetadata
from hsisr.tiling import Window

_NAMES: Final = {
    "r": "y yc lat latitude rlat grid_latitude row rows nrows northing line lines nlines num_lines "
    "number_of_lines downtrack down_track alongtrack along_track scan scans nscans num_scans "
    "number_of_scans scanline scanlines scan_line scan_lines ydim y_dim ny nj "
    "image_y height south_north projection_y_coordinate",
    "c": "x xc lon longitude rlon grid_longitude col cols ncols column columns easting sample "
    "samples nsamples num_samples number_of_samples pixel pixels npixels num_pixels fov fovs "
    "number_of_pixels pixels_per_line crosstrack cross_track acrosstrack across_track ccd_pixels "
    "ground_pixel xdim x_dim nx ni image_x width west_east projection_x_coordinate",
    "b": "band bands nband nbands num_bands number_of_bands bandnum band_number spectral "
    "spectral_band spectral_bands spectral_channel spectral_dim spectral_pixel chan channel "
    "channels nchannels num_channels number_of_channels wl wvl wvlen lambda wave waves",
    "1": "time t date datetime times valid_time",
}
_PARTS: Final = {
    "r": ("along_track", "alongtrack", "down_track", "downtrack"),
    "c": ("across_track", "acrosstrack", "cross_track", "crosstrack"),
    "b": ("wavelength", "wavenumber", "spectral_", "_band"),
}
"""What longer names have in them, as in bins_across_track and red_bands."""
_LETTERS: Final = {name: letter for letter, names in _NAMES.items() for name in names.split()}
_WAVELENGTHS: Final = (
    *("wavelength", "wavelengths", "wavelength_3d", "wavelength_nm", "wavelengths_nm", "wl"),
    *("wvl", "wvlen", "lambda", "center_wavelength", "central_wavelength", "center_wavelengths"),
)
_FEW: Final = 16
_MOST_OF_SENSORS: Final = 512
"""Imaging spectrometers have fewer bands; microscopes may have more, of square images."""
_LONG: Final = 3
"""How many times as long as wide scenes seldom are."""
_STANDARD_NAMES: Final = ("radiation_wavelength", "sensor_band_central_radiation_wavelength")
"""CF's for band centres."""


def axis_letter(name: str) -> str:
    """What a dimension of that name holds: r, c, b, 1 (time and the like), or "" if unknown.

    Paths of HDF-EOS, resolutions and numbers at the end are disregarded.

    >>> [axis_letter(name) for name in ("downtrack", "x_20m", "wavelength_3d", "Time", "dim_0")]
    ['r', 'c', 'b', '1', '']
    """
    parts = re.split("[/:]", name.strip().lower().replace("-", "_").replace(" ", "_"))
    bare = re.sub(r"_?\d+m?$", "", re.sub(r"_(dim|idx|index|id|number)$", "", parts[-1]))
    for text in (parts[-1], parts[0], bare):
        if text in _LETTERS:
            return _LETTERS[text]
    found = {a for a, words in _PARTS.items() if any(word in parts[-1] for word in words)}
    return found.pop() if len(found) == 1 else ""


def named_order(names: Sequence[str], shape: Sequence[int], spectral: str | None = None) -> str:
    """The order of a cube's axes, by the names of its dimensions ("" where one has none).

    What decides: the dimension that wavelengths lie on (`spectral`); then the table of names; then,
    where two of rows, columns and bands are known, the axis that is left is the third. More than
    three axes are understood if those beyond have length 1.

    Raises:
        InputDataError: The names do not tell; the message names `--axes`.

    >>> named_order(("downtrack", "crosstrack", "bands"), (6, 8, 4))
    'rcb'
    >>> named_order(("time", "n", "y", "x"), (1, 4, 6, 8), spectral="n")
    '1brc'
    """
    letters = [axis_letter(name) for name in names]
    if spectral and spectral in names:  # another dimension may be called channel all the same
        letters = ["b" if n == spectral else axis_letter(n).replace("b", "") for n in names]
    order = _without_singles(letters, shape)
    known = set(order) & {"r", "c", "b"}
    series = any(a == "1" and size != 1 for a, size in zip(letters, shape, strict=True))
    if order.count("") == 1 and len(known) == 2 and not series:
        order[order.index("")] = next(iter({"r", "c", "b"} - known))
    if sorted(a for a in order if a != "1") != ["b", "c", "r"]:
        listed = ", ".join(f"{n or 'unnamed'} {s}" for n, s in zip(names, shape, strict=True))
        raise InputDataError(
            f"found the dimensions ({listed}), which do not tell rows, columns and bands apart; "
            "give the order of the axes, for example --axes rcb for (rows, cols, bands)"
        )
    return "".join(order)


def given_order(axes: str, names: Sequence[str], shape: Sequence[int]) -> str:
    """The order of all axes, where that of the three that are longer than 1 is given.

    Raises:
        InputDataError: There are not three beside those of length 1.

    >>> given_order("brc", ("time", "", "", ""), (1, 4, 6, 8))
    '1brc'
    """
    letters = [axis_letter(name) for name in names]
    order = _without_singles([a if a == "1" else "" for a in letters], shape)
    if order.count("") != 3:
        raise InputDataError(
            f"found an array of shape {tuple(shape)}, expected 3 axes, others only of length 1"
        )
    left = iter(axes)
    return "".join(letter or next(left) for letter in order)


def is_wavelength(name: str, attributes: Mapping[str, Any]) -> bool:
    """True if a 1-D variable holds band centres, by its standard name or its own.

    >>> is_wavelength("sensor_bands/wavelengths", {}), is_wavelength("fwhm", {"units": "nm"})
    (True, False)
    """
    plain = name.rpartition("/")[2].lower()
    return plain in _WAVELENGTHS or str(attributes.get("standard_name")) in _STANDARD_NAMES


def warn_if_unlikely(path: Path, axes: str, shape: Sequence[int]) -> None:
    """Warn where the bands more probably lie on another axis of the array, and nothing tells.

    That is so where there are at least as many bands as rows or columns, while with the bands first
    (or last, or between) fewer bands would make an image that is more nearly square; or where there
    are more bands than any sensor has, or more pages of a stack than rows and columns. Square
    images and long lists of bands occur; they are no reason, and neither are arrays of a few
    pixels. `axes` is the assumed order, "rcb" or "brc", of an array of that shape.
    """
    bands, *image = (shape[axes.index(axis)] for axis in "brc")
    if max(shape) < _FEW or bands < min(image):
        return
    for other in ({"rcb": "brc", "brc": "rcb"}[axes], "rbc"):
        fewer, *rounder = (shape[other.index(axis)] for axis in "brc")
        few = fewer < min(rounder) or rounder[0] == rounder[1]
        if other == "rbc":  # rarer, so only where it is plain
            few = 2 * fewer < min(rounder)
        too_many = bands > _MOST_OF_SENSORS >= fewer and image[0] != image[1]
        longest = _elongation(image)
        if axes == "brc" and bands > max(image) and longest > 1:
            longest = max(longest, _LONG)
        if (few and _elongation(rounder) < longest) or too_many:
            warnings.warn(
                f"{path}: {bands} bands of {image[0]} x {image[1]} pixels is an unlikely scene; if "
                f"these are {fewer} bands of {rounder[0]} x {rounder[1]} pixels, give --axes "
                f"{other}, else --axes {axes}",
                HsisrWarning,
                stacklevel=2,
            )
            return


def _without_singles(letters: Sequence[str], shape: Sequence[int]) -> list[str]:
    """Letters of which those beyond three axes are 1: time first, then unknown ones."""
    single = [n for n, size in enumerate(shape) if size == 1 and letters[n] in ("1", "")]
    left_out = sorted(single, key=lambda n: letters[n] != "1")[: max(0, len(shape) - 3)]
    return ["1" if n in left_out else letter.replace("1", "") for n, letter in enumerate(letters)]


def _elongation(sides: Sequence[int]) -> float:
    return max(sides) / max(1, min(sides))


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

    The array is anything that slices like numpy, for example numbers in a file. What slices to
    memory of its own, as all but numpy's arrays do, is copied only to change its order. A 1 in
    `axes` is an axis of length 1 that is left out. All between the first and the last of the
    0-based bands are touched.
    """
    first, last = min(bands), max(bands)
    span = {
        "b": slice(first, last + 1),
        "r": slice(window.row, window.row_end),
        "c": slice(window.col, window.col_end),
        "1": slice(0, 1),
    }
    part = np.asarray(array[tuple(span[axis] for axis in axes)])
    part = part.squeeze(tuple(n for n, axis in enumerate(axes) if axis == "1"))
    part = part.transpose([axes.replace("1", "").index(axis) for axis in "brc"])
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

    `sources` says where they lie, one after another; `mask`, if any, is called with slices of rows
    and columns and gives True where there is data; `file`, if any, is closed with the scene; and
    `errors` is a context that turns what slicing raises into this package's errors.
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
        rows = chunks[sources[0].axes.index("r")] if chunks else 1
        self.block_rows = 1 if isinstance(rows, tuple) else max(1, int(rows))  # a tuple: Dask's

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
