"""Which numbers of a scene mean no data: as named by the user, and constants that nobody named."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import UsageError, about_scene, warn_of_scene
from hsisr.io.base import Scene
from hsisr.io.views import DescribedScene
from hsisr.scene.quantisation import holds
from hsisr.tiling.windows import Window

_USUAL: Final = (
    *(0.0, -1.0, -99.0, -999.0, -9999.0, -99999.0, 9999.0, -32768.0, -32767.0, 32767.0, 255.0),
    *(65535.0, 1e20, float(np.float32(9.969209968386869e36)), float(np.finfo(np.float32).min)),
)
"""Fill values of sensors, of ENVI, netCDF and GIS software."""
_LOOKED_AT: Final = 9
"""Rows, and at most so many bands, that are looked at."""
_LEAST_SHARE: Final = 0.01
_RANGES: Final = 10


def with_nodata(scene: Scene, nodata: float | str | None) -> Scene:
    """The scene with its nodata named anew, and without one that its numbers cannot have.

    Args:
        scene: As opened; closing the result closes it.
        nodata: The number, as a text too; "none" for no such number; None: as the file says.

    Warns:
        HsisrWarning: The data type cannot hold the number that the file, or the user, names.

    Raises:
        UsageError: A text is neither a number nor none.
    """
    stored = scene.metadata.stored
    if nodata is not None:
        stored = replace(stored, nodata=_number(nodata))
    if stored.nodata is not None and not holds(stored.dtype, stored.nodata):
        warn_of_scene(
            f"nodata {stored.nodata:g} cannot occur among {stored.dtype} numbers and is left out"
        )
        stored = replace(stored, nodata=None)
    if stored is scene.metadata.stored:
        return scene
    return DescribedScene(scene, replace(scene.metadata, stored=stored))


def warn_of_fill(scene: Scene) -> None:
    """Warn where a usual fill value looks like no data, and the scene names none.

    It fills at least 1 % of the samples or a whole border of the rows and bands that are looked
    at, and lies more than ten interquartile ranges from the other samples, in each of the bands.

    Warns:
        HsisrWarning: Naming the number and `--nodata`.

    Raises:
        InputDataError: The scene cannot be read.
    """
    bands, rows, cols = scene.metadata.shape
    few = sorted({n * (bands - 1) // (_LOOKED_AT - 1) for n in range(_LOOKED_AT)})
    named = any(scene.nodata_of(band) is not None for band in few)
    if named or scene.read_mask(Window(0, 0, 1, 1)) is not None:
        return
    places = sorted({n * (rows - 1) // (_LOOKED_AT - 1) for n in range(_LOOKED_AT)})
    found = np.stack(
        [scene.read_stored(Window(row, 0, 1, cols), few)[:, 0] for row in places], axis=1
    )
    for number in _USUAL:
        if holds(found.dtype, number) and (found == number).any() and _is_fill(found, number):
            with about_scene(scene.path):
                warn_of_scene(
                    f"many samples are {number:g}, far from all others; if they mean no data, give "
                    f"--nodata {number:g}, else --nodata none"
                )
            return


def _is_fill(found: npt.NDArray[Any], number: float) -> bool:
    """True if every band, shape (rows, cols), that holds anything else tells it apart."""
    told = [
        _stands_out(band, number)
        for band in found
        if (band != number).any()  # an empty band tells nothing
    ]
    return bool(told) and all(told)


def _stands_out(band: npt.NDArray[Any], number: float) -> bool:
    hits = band == number
    border = any(edge.all() for edge in (hits[0], hits[-1], hits[:, 0], hits[:, -1]))
    if hits.mean() < _LEAST_SHARE and not border:
        return False
    rest = band[~hits & np.isfinite(band)].astype(np.float64)
    if not rest.size:
        return False
    low, high = np.percentile(rest, (25, 75))
    reach = _RANGES * (high - low)
    return bool(number < low - reach or number > high + reach)


def _number(nodata: float | str) -> float | None:
    if isinstance(nodata, str) and nodata.strip().lower() == "none":
        return None
    try:
        return float(nodata)
    except ValueError as error:
        raise UsageError(f"--nodata {nodata}: expected a number, nan or none") from error
