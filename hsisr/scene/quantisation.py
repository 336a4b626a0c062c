"""Stored numbers and values: data type, nodata, scale and offset, rounding; fill nobody named.

Numbers never change silently: they are rounded to the nearest stored number, kept inside the
data type, kept apart from nodata, and every one that had to be moved is counted. Usual fill values
that lie apart from all other numbers look like no data, though no file says so.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNumbers:
    """How a file stores the values of a cube.

    Raises:
        InputDataError: The data type is not a real number.
    """

    dtype: np.dtype[Any]
    """Data type in the file (native byte order; the reader swaps)."""
    nodata: float | None = None
    """The stored number that means "no data", NaN allowed; None if the file names none."""
    limits: tuple[float, float] | None = None
    """Smallest and largest stored number that is data, as the file says; None: any may be."""
    scales: tuple[float, ...] | None = None
    """Per band: physical value = stored number * scale + offset; None if the file has none."""
    offsets: tuple[float, ...] | None = None
    """Per band, see `scales`."""
    units: tuple[str, ...] | None = None
    """Per band: physical unit of the value, as the file gives it."""

    def __post_init__(self) -> None:
        if self.dtype.kind not in "iuf":
            raise InputDataError(
                f"found numbers of type {self.dtype}, expected integers or floats; "
                "complex and text data cannot be upscaled"
            )

    @property
    def exact_in_float32(self) -> bool:
        """True if float32, which all computation uses, holds every number of this type."""
        return bool(np.can_cast(self.dtype, np.float32))


def holds(dtype: np.dtype[Any], number: float) -> bool:
    """True if a data type has that number, rounded if need be, so that a pixel may have it.

    >>> holds(np.dtype("uint16"), -9999), holds(np.dtype("float32"), -9999)
    (False, True)
    >>> holds(np.dtype("float32"), -1.7976931348623157e308)
    False
    """
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return bool(np.isfinite(dtype.type(number)) or not np.isfinite(number))
    info = np.iinfo(dtype)
    return bool(np.isfinite(number)) and number == int(number) and info.min <= number <= info.max


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """Numbers ready to be stored."""

    numbers: npt.NDArray[Any]
    """In the target's data type, nodata where the values were invalid."""
    moved: int
    """Valid values that had to be changed by more than rounding."""


def storable_range(stored: StoredNumbers) -> tuple[float, float]:
    """Smallest and largest number that means data in this type.

    >>> storable_range(StoredNumbers(dtype=np.dtype("uint8"), nodata=0))
    (1.0, 255.0)
    >>> storable_range(StoredNumbers(dtype=np.dtype("float32")))
    (-inf, inf)
    """
    if stored.dtype.kind == "f":
        return -np.inf, np.inf
    info = np.iinfo(stored.dtype)
    low, high = float(info.min), float(info.max)
    if stored.nodata == low:
        low += 1
    if stored.nodata == high:
        high -= 1
    return low, high


def quantise(
    values: npt.NDArray[Any], valid: npt.NDArray[np.bool_], stored: StoredNumbers
) -> Quantised:
    """Round to the nearest stored number that means data; write nodata elsewhere.

    Values are floats, or numbers of the target's type and `storable_range`, which are changed in
    place. Where the target names no nodata, invalid floats become NaN and invalid integers 0, to be
    told apart by the file's mask.

    Raises:
        FloatingPointError: A valid value is not finite.

    >>> target = StoredNumbers(dtype=np.dtype("int16"), nodata=-1)
    >>> quantise(np.float32([1.6, -1.2, 4e4]), np.array([True, True, False]), target)
    Quantised(numbers=array([ 2, -2, -1], dtype=int16), moved=1)
    """
    if stored.dtype.kind == "f":
        return _quantise_float(values, valid, stored)
    low, high = storable_range(stored)
    rounded, moved = values, 0
    if values.dtype != stored.dtype:
        rounded, moved = _rounded(values, valid, low, high, stored.dtype)
    if stored.nodata is not None and low < stored.nodata < high:
        hits = (rounded == stored.nodata) & valid
        moved += int(np.count_nonzero(hits))
        rounded[hits] += np.where(values[hits] < stored.nodata, -1, 1).astype(rounded.dtype)
    if not all_valid(valid):
        rounded[~np.broadcast_to(valid, rounded.shape)] = stored.nodata or 0
    return Quantised(_as_integers(rounded, stored.dtype), moved)


def _rounded(
    values: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    low: float,
    high: float,
    dtype: np.dtype[Any],
) -> tuple[npt.NDArray[np.floating[Any]], int]:
    """Whole numbers inside the limits, and how many valid ones had to be moved there."""
    rounded = np.rint(values, dtype=np.float64 if dtype.itemsize > 2 else np.float32)
    if not rounded.size or (rounded.min() >= low and rounded.max() <= high):
        return rounded, 0
    _require_finite(rounded, valid)
    outside = (rounded < low) | (rounded > high)
    moved = np.count_nonzero(outside if all_valid(valid) else outside & valid)
    return np.clip(rounded, low, high, out=rounded), int(moved)


def _quantise_float(
    values: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], stored: StoredNumbers
) -> Quantised:
    with np.errstate(over="ignore"):  # float16 overflow is counted below, not warned about
        numbers = values.astype(stored.dtype, copy=True)
    moved = 0
    if not _all_finite(numbers):
        _require_finite(values, valid)
        moved = int(np.count_nonzero(np.isinf(numbers) & valid))
        limit = np.finfo(stored.dtype).max
        np.clip(numbers, -limit, limit, out=numbers)
    if stored.nodata is not None and np.isfinite(stored.nodata):
        nodata = stored.dtype.type(stored.nodata)
        hits = (numbers == nodata) & valid
        moved += int(np.count_nonzero(hits))
        numbers[hits] = np.nextafter(nodata, stored.dtype.type(np.inf))
    if not all_valid(valid):
        empty = np.nan if stored.nodata is None else stored.nodata
        numbers[~np.broadcast_to(valid, numbers.shape)] = empty
    return Quantised(numbers, moved)


def _all_finite(numbers: npt.NDArray[Any]) -> bool:
    """True if all numbers are finite; two passes that make nothing."""
    return not numbers.size or bool(np.isfinite(numbers.min()) and np.isfinite(numbers.max()))


def _require_finite(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> None:
    if not _all_finite(values) and not (np.isfinite(values) | ~valid).all():
        raise FloatingPointError("a valid value is not finite")


def _as_integers(rounded: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Cast whole numbers; the type's largest number is not a float in 64 bits, so guard it."""
    if dtype.itemsize < 8 or rounded.dtype == dtype:
        return rounded.astype(dtype, copy=False)
    info = np.iinfo(dtype)
    top = rounded >= float(info.max)
    whole = np.where(top, 0, rounded).astype(dtype)
    whole[top] = info.max
    return whole


def all_valid(valid: npt.NDArray[np.bool_]) -> bool:
    """`valid.all()`, in no time where the mask is a broadcast of one value.

    >>> all_valid(np.broadcast_to(np.True_, (200, 4000, 4000)))
    True
    """
    one = valid[(slice(0, 1),) * valid.ndim] if not any(valid.strides) else valid
    return bool(one.all())


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

    Of zeros there are `counts` in each band of `size` samples; `same` are the bands whose zeros are
    those that all have.
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
