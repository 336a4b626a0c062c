"""What texts and coordinates beside a cube say of its place."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from affine import Affine

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.scene.georeference import GroundControlPoint

_NEAR: Final = 1e-4
"""How far, in pixels, coordinates may lie from an even grid."""
_NO_OTHER_PLACE: Final = 0.51
"""How far apart, in pixels, transforms may lie: centres and corners are taken for each other."""
_PROJECTIONS: Final = {
    "albers_conical_equal_area": "aea",
    "azimuthal_equidistant": "aeqd",
    "lambert_azimuthal_equal_area": "laea",
    "lambert_conformal_conic": "lcc",
    "lambert_cylindrical_equal_area": "cea",
    "latitude_longitude": "longlat",
    "mercator": "merc",
    "orthographic": "ortho",
    "polar_stereographic": "stere",
    "sinusoidal": "sinu",
    "stereographic": "stere",
    "transverse_mercator": "tmerc",
}
"""CF's `grid_mapping_name` and PROJ's word for it."""
_PARAMETERS: Final = {
    "latitude_of_projection_origin": "lat_0",
    "longitude_of_central_meridian": "lon_0",
    "longitude_of_projection_origin": "lon_0",
    "straight_vertical_longitude_from_pole": "lon_0",
    "scale_factor_at_central_meridian": "k_0",
    "scale_factor_at_projection_origin": "k_0",
    "false_easting": "x_0",
    "false_northing": "y_0",
    "longitude_of_prime_meridian": "pm",
    "towgs84": "towgs84",
}
"""Attributes of a grid mapping and PROJ's words. Source: CF conventions 1.10, appendix F."""
_WGS_84: Final = 6378137.0, 298.257223563
"""Semi-major axis in metres, inverse flattening; those of GRS 80 differ in the eighth digit."""


def even_steps(found: Mapping[int, float], dtype: np.dtype[Any]) -> tuple[float, float] | None:
    """The first of evenly spaced coordinates and their step; None: they are not even.

    `found` has some of them by index, the first and the last among them; `dtype` is their type in
    the file, whose last digits may be wrong.

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


def decoded(text: Any, what: str = "the place") -> Any:
    """The value in a text of JSON, which an error calls `what`."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError) as error:
        raise InputDataError(f"{what} holds no JSON where it should ({error})") from error


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


def crs_of_mapping(said: Mapping[str, Any], unit: float = 1.0) -> str | None:
    """PROJ's words for a CF grid mapping given by its parameters; None: it names no projection.

    `unit` is that of the coordinates, and so of its false easting and northing, in metres.

    Raises:
        InputDataError: The projection is none of those known here, or a parameter is no number.

    >>> crs_of_mapping({"grid_mapping_name": "latitude_longitude", "earth_radius": 6371000})
    '+proj=longlat +R=6371000 +no_defs'
    """
    if not (name := said.get("grid_mapping_name")):
        return None
    if (projection := _PROJECTIONS.get(str(name))) is None:
        raise InputDataError(f"found {name} without crs_wkt, expected {', '.join(_PROJECTIONS)}")
    words = {"proj": projection}
    parallels = _numbers(said, "standard_parallel")
    if parallels and projection in ("lcc", "aea"):
        words |= {f"lat_{n}": f"{lat:.15g}" for n, lat in enumerate(parallels, start=1)}
    elif parallels:
        words |= {"lat_ts": f"{parallels[0]:.15g}"}
        if projection == "stere":  # the pole, which is not always told
            words["lat_0"] = str(math.copysign(90, parallels[0]))
    for name, word in _PARAMETERS.items():
        if numbers := _numbers(said, name):
            factor = unit if word in ("x_0", "y_0") else 1
            words[word] = ",".join(f"{number * factor:.15g}" for number in numbers)
    words |= _ellipsoid(said, named="towgs84" in words)
    return " ".join(f"+{word}={value}" for word, value in words.items()) + " +no_defs"


def _ellipsoid(said: Mapping[str, Any], *, named: bool) -> dict[str, str]:
    """PROJ's words for the figure of the earth; its datum is WGS 84 where that fits."""
    axis, minor, inverse, radius = (
        next(iter(_numbers(said, name)), None)
        for name in ("semi_major_axis", "semi_minor_axis", "inverse_flattening", "earth_radius")
    )
    axis = axis or radius
    if axis is not None and minor is not None and not inverse:
        inverse = axis / (axis - minor) if axis > minor else None
    datum = str(said.get("horizontal_datum_name") or said.get("geographic_crs_name") or "")
    if axis is None or (abs(axis - _WGS_84[0]) < 1 and abs((inverse or 0) - _WGS_84[1]) < 1e-3):
        told = axis is not None or re.search(r"(?i)world.geodetic.system.1984|wgs.*84", datum)
        if not told:
            warn_of_scene("the grid mapping names no ellipsoid; taken as WGS 84")
        is_grs = inverse is not None and abs(inverse - _WGS_84[1]) > 1e-7
        return {"ellps": "GRS80"} if is_grs else {"datum": "WGS84"}
    if inverse and not named and not re.match(r"un(known|defined)|$", datum):
        warn_of_scene(f"of the datum {datum!r} only the ellipsoid is used; 100 m off, maybe")
    return {"a": f"{axis:.15g}", "rf": f"{inverse:.15g}"} if inverse else {"R": f"{axis:.15g}"}


def _numbers(said: Mapping[str, Any], name: str) -> list[float]:
    """The numbers of an attribute; none where it is not there."""
    try:
        return [float(number) for number in np.ravel(said.get(name, []))]
    except (TypeError, ValueError) as error:
        raise InputDataError(f"{name} is {str(said[name])[:40]!r}, expected a number") from error


def crs_by_conventions(said: Mapping[str, Any]) -> str | None:
    """The reference system in the attributes `proj:` of STAC and GeoZarr; None: there is none."""
    words = (said.get(f"proj:{name}") for name in ("wkt2", "code", "epsg", "projjson"))
    word = next(filter(None, words), None)
    return json.dumps(word) if isinstance(word, dict) else word and str(word)


def transform_by_conventions(said: Mapping[str, Any], rows: int, cols: int) -> Affine | None:
    """The transform in the attributes `spatial:` of GeoZarr or `proj:` of STAC; None: no such.

    Sources: the Zarr conventions spatial and geo-proj; STAC's projection extension.

    InputDataError: it is no transform, or that of other rows and columns.
    """
    name = next((n for n in ("spatial:transform", "proj:transform") if said.get(n)), None)
    if name is None:
        return None
    numbers = _numbers(said, name)[:6]
    size = _numbers(said, name.replace("transform", "shape")) or [rows, cols]
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
        raise InputDataError(f"{name} is {str(said[name])[:40]!r}, expected six numbers")
    if said.get("spatial:transform_type", "affine") != "affine" or size != [rows, cols]:
        raise InputDataError(f"{name} is no affine one, or not for {rows} x {cols} pixels")
    node = said.get("spatial:registration") == "node"  # places of pixel centres
    return Affine(*numbers) @ Affine.translation(*((-0.5, -0.5) if node else (0, 0)))


def points_in(text: Any) -> tuple[GroundControlPoint, ...]:
    """The ground control points in a text as hsisr writes it."""
    found = decoded(text) or ()
    try:
        return tuple(GroundControlPoint(**point) for point in found)
    except TypeError as error:
        raise InputDataError(f"gcps are no list of points with row, col, x, y ({error})") from error
