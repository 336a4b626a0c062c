"""Usual fill values that lie apart from all other numbers: no data, though nobody said so."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.scene.quantisation import holds

_USUAL: Final = (
    *(0.0, -1.0, -99.0, -999.0, -9999.0, -99999.0, 9999.0, -32768.0, -32767.0, 32767.0, 255.0),
    *(65535.0, 1e20, float(np.float32(9.969209968386869e36)), float(np.finfo(np.float32).min)),
)
"""Fill values of sensors, of ENVI, netCDF and GIS software."""
LEAST_SHARE: Final = 0.01
"""Of the samples of a band that fill takes; less is not noticed."""
_RANGES: Final = 10
_NEVER_MEASURED: Final = -99.0
"""Usual fill numbers from here down are no data where nothing else is below zero."""


def fill_among(found: npt.NDArray[Any]) -> float | None:
    """A usual fill value that looks like no data; None: there is none.

    It takes `LEAST_SHARE` of every band or a whole border, and in each band it lies more than ten
    interquartile ranges from the other numbers, or farther from them than they from each other,
    or is the only one below zero. Zeros also count where a pixel has either nothing else or none.

    Args:
        found: Some rows of some bands, shape (bands, rows, cols).

    >>> fill_among(np.array([[[-9999, 5, 6, 7]]], "int16"))
    -9999.0
    """
    found = found[varied_bands(found)]
    for number in usual_of(found):
        hits = found == number
        if all(map(_is_wide, hits)) and stands_apart(found, number):
            return number
        if number == 0 and _are_whole_pixels(hits):
            return number
    return None


def varied_bands(found: npt.NDArray[Any]) -> list[int]:
    """Bands that hold more than one number: those with one only tell nothing."""
    bands = (band[np.isfinite(band)] for band in found)
    return [n for n, band in enumerate(bands) if (band != band[:1]).any()]


def usual_of(found: npt.NDArray[Any]) -> list[float]:
    """Usual fill values that numbers of this type can be."""
    return [number for number in _USUAL if holds(found.dtype, number)]


def stands_apart(found: npt.NDArray[Any], number: float) -> bool:
    """True if a number is apart from the others in every band; see `fill_among`."""
    return bool(len(found)) and all(_is_apart(band, number) for band in found)


def number_text(number: float, dtype: np.dtype[Any]) -> str:
    """A text that gives this very number back in that type.

    >>> number_text(float(np.finfo("f4").min), np.dtype("f4")), number_text(-9999.0, np.dtype("i2"))
    ('-3.4028235e+38', '-9999')
    """
    return str(dtype.type(number)).removesuffix(".0")


def _is_wide(hits: npt.NDArray[np.bool_]) -> bool:
    border = any(edge.all() for edge in (hits[0], hits[-1], hits[:, 0], hits[:, -1]))
    return border or bool(hits.mean() >= LEAST_SHARE)


def _is_apart(band: npt.NDArray[Any], number: float) -> bool:
    rest = band[(band != number) & np.isfinite(band)].astype(np.float64)
    if not rest.size:
        return False
    least, low, high, most = np.percentile(rest, (0, 25, 75, 100))
    if number <= _NEVER_MEASURED and least >= 0:
        return True
    reach = _RANGES * (high - low)
    apart = max(least - number, number - most)
    return bool(number < low - reach or number > high + reach or apart > most - least)


def _are_whole_pixels(hits: npt.NDArray[np.bool_]) -> bool:
    """True if pixels of more than one band are hit in all of them or in none."""
    return len(hits) > 1 and hits[0].mean() >= LEAST_SHARE and bool((hits == hits[0]).all())
