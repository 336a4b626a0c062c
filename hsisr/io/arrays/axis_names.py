"""Which axis of an array holds rows, columns or bands: by dimension names, wavelengths and shape.

The one table of dimension names for every format that names them (Zarr, netCDF, HDF5). The names
are those of CF and GDAL, of xarray and rioxarray, and of the products of EMIT, PACE, PRISMA,
DESIS, HYPSO and of HDF-EOS.

An order is a string with one letter for each axis: r, c, b, and 1 for an axis of length 1 that is
left out, such as time.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hsisr.errors import HsisrWarning, InputDataError

_NAMES: Final = {
    "r": "y yc lat latitude rlat grid_latitude row rows nrows northing line lines nlines num_lines "
    "number_of_lines downtrack down_track alongtrack along_track scan scans nscans num_scans "
    "number_of_scans ydim y_dim ny nj image_y height south_north projection_y_coordinate",
    "c": "x xc lon longitude rlon grid_longitude col cols ncols column columns easting sample "
    "samples nsamples num_samples number_of_samples pixel pixels npixels num_pixels "
    "number_of_pixels pixels_per_line crosstrack cross_track acrosstrack across_track ccd_pixels "
    "ground_pixel xdim x_dim nx ni image_x width west_east projection_x_coordinate",
    "b": "band bands nband nbands num_bands number_of_bands bandnum band_number spectral "
    "spectral_band spectral_bands spectral_channel spectral_dim channel channels nchannels "
    "num_channels number_of_channels wl wvl wvlen lambda wave waves",
    "1": "time t date datetime times valid_time",
}
_LETTERS: Final = {name: letter for letter, names in _NAMES.items() for name in names.split()}
_WAVELENGTHS: Final = (
    *("wavelength", "wavelengths", "wavelength_3d", "wavelength_nm", "wavelengths_nm", "wl"),
    *("wvl", "wvlen", "lambda", "center_wavelength", "central_wavelength", "center_wavelengths"),
)
_FEW: Final = 16
_STANDARD_NAMES: Final = ("radiation_wavelength", "sensor_band_central_radiation_wavelength")
"""CF's for band centres."""


def axis_letter(name: str) -> str:
    """What a dimension of that name holds: r, c, b, 1 (time and the like), or "" if unknown.

    Paths of HDF-EOS, resolutions and numbers at the end are disregarded.

    >>> [axis_letter(name) for name in ("downtrack", "x_20m", "wavelength_3d", "Time", "dim_0")]
    ['r', 'c', 'b', '1', '']
    """
    parts = re.split("[/:]", name.strip().lower().replace("-", "_").replace(" ", "_"))
    if "wavelength" in parts[-1]:
        return "b"
    tried = (parts[-1], parts[0], re.sub(r"_?\d+m?$", "", parts[-1]))
    return next((_LETTERS[text] for text in tried if text in _LETTERS), "")


def named_order(names: Sequence[str], shape: Sequence[int], spectral: str | None = None) -> str:
    """The order of a cube's axes, by the names of its dimensions.

    What decides: the dimension that wavelengths lie on; then the table of names; then, where two of
    rows, columns and bands are known, the axis that is left is the third. More than three axes are
    understood if those beyond have length 1.

    Args:
        names: One per axis; "" where an axis has none.
        shape: Lengths of the axes.
        spectral: Name of the dimension that the wavelengths lie on, if the file has any.

    Returns:
        One letter per axis, for example "rcb", or "1brc" for (time, band, y, x).

    Raises:
        InputDataError: The names do not tell; the message names `--axes`.

    >>> named_order(("downtrack", "crosstrack", "bands"), (6, 8, 4))
    'rcb'
    >>> named_order(("time", "n", "y", "x"), (1, 4, 6, 8), spectral="n")
    '1brc'
    """
    letters = [axis_letter(name) for name in names]
    if spectral and spectral in names:  # another dimension may be called channel all the same
        letters = [
            "b" if n == spectral else a.replace("b", "")
            for n, a in zip(names, letters, strict=True)
        ]
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
    order = _without_singles(
        [axis_letter(n) if axis_letter(n) == "1" else "" for n in names], shape
    )
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
    """Warn where the bands more probably lie on the array's other end, and nothing tells.

    That is so where there are at least as many bands as rows or columns, while with the bands first
    (or last) fewer bands would make an image that is more nearly square. Square images and long
    lists of bands occur; they are no reason, and neither are arrays of a few pixels.

    Args:
        path: Of the scene, for the message.
        axes: The assumed order, "rcb" or "brc".
        shape: Lengths of the axes.

    Warns:
        HsisrWarning: Naming the shape and `--axes`.
    """
    other = {"rcb": "brc", "brc": "rcb"}[axes]
    bands, *image = (shape[axes.index(axis)] for axis in "brc")
    fewer, *rounder = (shape[other.index(axis)] for axis in "brc")
    if max(shape) < _FEW or bands < min(image) or _elongation(rounder) >= _elongation(image):
        return
    if fewer < min(rounder) or rounder[0] == rounder[1]:
        warnings.warn(
            f"{path}: {bands} bands of {image[0]} x {image[1]} pixels is an unlikely scene; if "
            f"these are {fewer} bands of {rounder[0]} x {rounder[1]} pixels, give --axes {other}, "
            f"else --axes {axes}",
            HsisrWarning,
            stacklevel=2,
        )


def _without_singles(letters: Sequence[str], shape: Sequence[int]) -> list[str]:
    """Letters of which those beyond three axes are 1: time first, then unknown ones."""
    single = [n for n, size in enumerate(shape) if size == 1 and letters[n] in ("1", "")]
    single.sort(key=lambda n: letters[n] != "1")
    left_out = single[: max(0, len(shape) - 3)]
    return ["1" if n in left_out else letter.replace("1", "") for n, letter in enumerate(letters)]


def _elongation(sides: Sequence[int]) -> float:
    return max(sides) / max(1, min(sides))
