"""Whether two descriptions of a coordinate reference system mean the same one."""

from rasterio.crs import CRS
from rasterio.errors import CRSError


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
