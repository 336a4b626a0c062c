"""What texts and coordinates beside a cube say of its place."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from affine import Affine

from hsisr.errors import InputDataError
from hsisr.scene.georeference import GroundControlPoint

_NEAR: Final = 1e-4
"""How far, in pixels, coordinates may lie from an even grid."""
_NO_OTHER_PLACE: Final = 0.51
"""How far apart, in pixels, transforms may lie: centres and corners are taken for each other."""


def even_steps(found: Mapping[int, float], dtype: np.dtype[Any]) -> tuple[float, float] | None:
    """The first of evenly spaced coordinates and their step; None: they are not even.

    Args:
        found: Some of them by index, the first and the last among them.
        dtype: Their type in the file; its last digits may be wrong.

    >>> even_steps({0: 1.0, 1: 3.0, 4: 9.0}, np.dtype("f8")), even_steps({0: 1.0, 1: 2, 2: 4}, "f8")
    ((1.0, 2.0), None)
    """
    first, step = found[0], (found[max(found)] - found[0]) / max(found)
    near = _NEAR * abs(step)
    if np.dtype(dtype).kind == "f" and math.isfinite(step):
        digits = np.finfo(dtype).eps * max(map(abs, found.values()))
        near = max(near, min(float(digits), abs(step) / 4))
    even = all(abs(value - first - n * step) <= near for n, value in found.items())
    return (first, step) if step and math.isfinite(step) and even else None


def is_same_place(one: Affine, other: Affine, rows: int, cols: int) -> bool:
    """True if two transforms put the first and the last corner of a scene at the same places."""
    apart = ~one @ other
    ends = [(apart @ corner, corner) for corner in ((0, 0), (cols, rows))]
    return all(abs(a - b) < _NO_OTHER_PLACE for pair in ends for a, b in zip(*pair, strict=True))


def decoded(text: Any) -> Any:
    """The value in a text of JSON."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError) as error:
        raise InputDataError(f"the place holds no JSON where it should ({error})") from error


def transform_in(text: Any) -> Affine | None:
    """The transform in a text as GDAL writes it; None: there is none."""
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
        raise InputDataError(f"GeoTransform is {text[:80]!r}, expected six numbers")
    return Affine.from_gdal(*numbers)


def points_in(text: Any) -> tuple[GroundControlPoint, ...]:
    """The ground control points in a text as hsisr writes it."""
    found = decoded(text) or ()
    try:
        return tuple(GroundControlPoint(**point) for point in found)
    except TypeError as error:
        raise InputDataError(f"gcps are no list of points with row, col, x, y ({error})") from error
