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
    or is the only one below zero; numbers that are hardly ever measured (-9999) may do so in some
    bands alone. Zeros also count where most bands have them in the same pixels, which have none in
    any other band either.

    Args:
        found: Some rows of some bands, shape (bands, rows, cols).

    >>> fill_among(np.array([[[-9999, 5, 6, 7]]], "int16"))
    -9999.0
    """
    found = found[varied_bands(found)]
    for number in usual_of(found):
        hits = found == number
        wide = np.array(list(map(_is_wide, hits)), bool)
        if suffices(wide, number) and suffices(wide & bands_apart(found, number, wide), number):
            return number
        if number == 0:
            same = (hits == hits.all(axis=0)).all(axis=(1, 2))
            if are_whole_pixels(hits.sum(axis=(1, 2)), hits[:1].size, same):
                return number
    return None


def varied_bands(found: npt.NDArray[Any]) -> list[int]:
    """Bands that hold more than one number: those with one only tell nothing."""
    bands = (band[np.isfinite(band)] for band in found)
    return [n for n, band in enumerate(bands) if (band != band[:1]).any()]


def usual_of(found: npt.NDArray[Any]) -> list[float]:
    """Usual fill values that numbers of this type can be, the ends of the type among them."""
    limits = np.finfo(found.dtype) if found.dtype.kind == "f" else np.iinfo(found.dtype)
    numbers = (*_USUAL, float(limits.min), float(limits.max))
    return [number for number in dict.fromkeys(numbers) if holds(found.dtype, number)]


def bands_apart(
    found: npt.NDArray[Any], number: float, chosen: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """In which bands, of those chosen, a number is apart from the others; see `fill_among`."""
    of_bands = np.ones(len(found), bool) if chosen is None else chosen
    bands = zip(found, of_bands, strict=True)
    return np.array([bool(one) and _is_apart(band, number) for band, one in bands], bool)


def suffices(bands: npt.NDArray[np.bool_], number: float) -> bool:
    """True if the bands in which a number looks like fill are enough: all, or some of `-9999`."""
    return bool(len(bands) and (bands.all() or (number <= _NEVER_MEASURED and bands.any())))


def are_whole_pixels(counts: npt.NDArray[Any], size: float, same: npt.NDArray[np.bool_]) -> bool:
    """True if most bands have zeros in the same pixels only, in which all bands have them.

    Args:
        counts: Zeros in each band.
        size: Samples of a band.
        same: Of which bands the zeros are those that all have.
    """
    return len(same) > 1 and counts.min() >= LEAST_SHARE * size and bool(same.mean() > 0.5)


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
