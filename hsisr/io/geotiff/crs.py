"""Coordinate reference systems: whether two are the same, their names, pixels in metres."""

import math

from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsisr.scene.metadata import SceneMetadata


def same_crs(one_wkt: str, other_wkt: str) -> bool:
    """Compare by text, then as GDAL understands both, then by their projection parameters.

    ENVI and GeoTIFF spell the same system differently, and each loses other names on the way.
    """
    if one_wkt.strip() == other_wkt.strip():
        return True
    try:
        one, other = CRS.from_wkt(one_wkt), CRS.from_wkt(other_wkt)
        return bool(one == other or (one.to_dict() and one.to_dict() == other.to_dict()))
    except CRSError:
        return False


def crs_name(wkt: str) -> str:
    """A short name for messages: the authority's code, else the name inside the text."""
    try:
        authority = CRS.from_wkt(wkt).to_authority()
    except CRSError:
        authority = None
    if authority:
        return ":".join(authority)
    return wkt.split('"')[1] if wkt.count('"') > 1 else wkt[:40]


def pixel_size_m(meta: SceneMetadata) -> tuple[float, float] | None:
    """Ground sampling distance along columns and rows, in metres; None where it is unknown.

    Degrees become metres on a sphere of 6371 km radius, at the middle of the scene.
    """
    place = meta.georeference
    if place.transform is None or not place.crs_wkt:
        return None
    t = place.transform
    steps = ((t.a, t.d), (t.b, t.e))
    try:
        crs = CRS.from_wkt(place.crs_wkt)
        if crs.is_geographic:
            latitude = math.radians((t @ (meta.cols / 2, meta.rows / 2))[1])
            degree = math.radians(1) * 6_371_000
            east, north = degree * math.cos(latitude), degree
        elif crs.is_projected:
            east = north = float(crs.linear_units_factor[1])
        else:
            return None
    except CRSError:
        return None
    width, height = (math.hypot(x * east, y * north) for x, y in steps)
    return (width, height) if width > 0 and height > 0 else None
