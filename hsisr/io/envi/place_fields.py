"""A georeference in the words of ENVI: map info, coordinate system string, geo points, rpc info.

GDAL's ENVI driver says the first two. They are read back, by GDAL and by hsisr, and what an ENVI
header cannot hold is refused or put into GDAL's sidecar.
"""

import tempfile
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as to_other_crs

from hsisr.errors import HsisrWarning, UsageError
from hsisr.io.envi.georeference import by_gdal, envi_georeference
from hsisr.io.geotiff.gdal import crs_name, gdal_env, is_in_km, listening, same_crs
from hsisr.io.geotiff.tags import gdal_points, parsed_crs, wkt_of
from hsisr.io.spectral import listed, number_text, one_line
from hsisr.scene.georeference import Georeference, GroundControlPoint
from hsisr.scene.metadata import SceneMetadata

_CRS = "coordinate system string"
_LIFTED = ("map info", "projection info", _CRS)
_FOOT_M = 0.3048
_NEAR_PX = 1e-3
"""How far a pixel may lie from its place after map info was read back."""

_RPC_NUMBERS = tuple(
    f"{axis}_{what}"
    for what in ("OFF", "SCALE")
    for axis in ("LINE", "SAMP", "LAT", "LONG", "HEIGHT")
)
_RPC_LISTS = ("LINE_NUM_COEFF", "LINE_DEN_COEFF", "SAMP_NUM_COEFF", "SAMP_DEN_COEFF")


def place_fields(metadata: SceneMetadata, target: Path) -> dict[str, str]:
    """Header fields that say where the scene lies; empty where nothing is known.

    A coordinate reference system in words that GDAL does not read is a warning.

    Raises:
        UsageError: No ENVI header can say the transform or the coordinate reference system.
    """
    place = metadata.georeference
    fields = _lifted(place) if place.transform is not None or place.crs_wkt else {}
    if place.transform is None:
        fields = {key: v for key, v in fields.items() if key == _CRS}
    else:
        # read by GDAL and by hsisr, map info has to give the transform back
        readings = [by_gdal(fields).transform, _read_back(fields).transform]
        if not all(found and _near(found, place.transform, metadata) for found in readings):
            raise UsageError(
                f"{target.name}: found a grid that is sheared, or turned and mirrored, or turned "
                "with pixels that are not square, which map info cannot say so that all readers "
                "agree; write GeoTIFF instead"
            )
    if place.crs_wkt and not _says_crs(fields, place.crs_wkt):
        fields = _with_crs(fields, place.crs_wkt, target)
    if place.gcps:
        fields["geo points"] = _geo_points(place.gcps, place.gcps_crs_wkt)
    if place.rpcs:
        fields["rpc info"] = _rpc_info(place.rpcs)
    return fields


def _says_crs(fields: Mapping[str, str], crs_wkt: str) -> bool:
    found = _read_back(fields).crs_wkt
    return found is not None and same_crs(found, crs_wkt)


def _with_crs(fields: Mapping[str, str], crs_wkt: str, target: Path) -> dict[str, str]:
    """Fields with the coordinate reference system as WKT2, of which map info says nothing."""
    changed = {key: text for key, text in fields.items() if key in ("map info", _CRS)}
    if "map info" in changed:
        plain = listed(changed["map info"])
        turned = [item for item in plain[7:] if item.lower().startswith("rotation")]
        changed["map info"] = "{" + ", ".join(["Arbitrary", *plain[1:7], *turned]) + "}"
    changed[_CRS] = "{" + one_line(wkt_of(parsed_crs(crs_wkt)) or crs_wkt) + "}"
    name = crs_name(crs_wkt)
    if not _says_crs(changed, crs_wkt):
        raise UsageError(
            f"{target.name}: an ENVI header cannot say the coordinate reference system {name}; "
            "write GeoTIFF or Zarr instead"
        )
    warnings.warn(
        f"{target.name}: the coordinate reference system {name} is written as WKT2 into "
        "coordinate system string, which GDAL's ENVI driver does not read; GeoTIFF and Zarr keep "
        "it for all readers",
        HsisrWarning,
        stacklevel=2,
    )
    return changed


def _read_back(fields: Mapping[str, str]) -> Georeference:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HsisrWarning)
        return envi_georeference(fields)


def write_sidecar(place: Georeference, sidecar: Path) -> bool:
    """Keep ground control points whole (heights, reference system) where GDAL looks.

    Geo points in a header are latitudes and longitudes and nothing else. Returns False, and
    writes nothing, where there are no such points.
    """
    if not place.gcps:
        return False
    crs = parsed_crs(place.gcps_crs_wkt) if place.gcps_crs_wkt else CRS()
    text = _small_envi("x.img.aux.xml", gcps=gdal_points(place), crs=crs)
    root = ET.Element("PAMDataset")
    root.extend(ET.fromstring(text).iter("GCPList"))  # noqa: S314 - written by GDAL just now
    ET.ElementTree(root).write(sidecar, encoding="utf-8")
    return True


def _lifted(place: Georeference) -> dict[str, str]:
    """What GDAL writes into a header for this reference system and transform."""
    known: dict[str, Any] = {}
    if place.crs_wkt:
        known["crs"] = parsed_crs(place.crs_wkt)
    if place.transform is not None:
        known["transform"] = place.transform
    lines = _small_envi("x.hdr", **known).splitlines()
    pairs = (line.split(" = ", 1) for line in lines if line.startswith(_LIFTED))
    fields = {key.strip(): text for key, text in pairs}
    if (
        place.crs_wkt
        and is_in_km(place.crs_wkt)
        and "units=" not in fields.get("map info", "units=")
    ):
        fields["map info"] = fields["map info"].removesuffix("}") + ", units=Km}"  # GDAL leaves out
    in_feet = place.crs_wkt and "units=Feet" in fields.get("map info", "")
    if in_feet and parsed_crs(place.crs_wkt or "").linear_units_factor[1] != _FOOT_M:
        # GDAL reads international ones, whatever the string says: metres away in the US
        fields["map info"] = fields["map info"].replace(", units=Feet", "")
    grid = place.transform
    if grid is not None and not grid.b and not grid.d and (grid.a < 0 or grid.e > 0):
        fields["map info"] = _with_signs(fields["map info"], grid)
    return fields


def _with_signs(map_info: str, grid: Affine) -> str:
    """Map info of a mirrored grid, or one turned by 180 degrees: the pixel sizes have the signs.

    GDAL writes a rotation of 180 degrees for mirrored grids, which it alone reads back.
    """
    items = listed(map_info)
    kept = [item for item in items[7:] if not item.startswith("rotation")]
    sizes = [number_text(grid.a), number_text(-grid.e)]
    return "{" + ", ".join([*items[:5], *sizes, *kept]) + "}"


def _small_envi(wanted: str, gcps: Sequence[Any] = (), **known: Any) -> str:
    """The text of x.hdr or x.img.aux.xml that GDAL writes beside an x.img of one pixel."""
    profile = {"width": 1, "height": 1, "count": 1, "dtype": "uint8", "driver": "ENVI", **known}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.img")
        with gdal_env(), listening(), rasterio.open(path, "w", gcps=gcps, **profile) as dataset:
            dataset.write(np.zeros((1, 1, 1), np.uint8))
        return path.with_name(wanted).read_text(encoding="utf-8")


def _near(found: Affine, wanted: Affine, metadata: SceneMetadata) -> bool:
    """True if every corner of the scene falls on its place."""
    back = ~wanted @ found
    corners = [(c, r) for c in (0, metadata.cols) for r in (0, metadata.rows)]
    moves = [abs(a - b) for corner in corners for a, b in zip(back @ corner, corner, strict=True)]
    return bool(max(moves) < _NEAR_PX)


def _geo_points(points: tuple[GroundControlPoint, ...], crs_wkt: str | None) -> str:
    """Sample and line (from 1), latitude, longitude of each point."""
    xs, ys = [p.x for p in points], [p.y for p in points]
    if crs_wkt and not (crs := parsed_crs(crs_wkt)).is_geographic:
        with gdal_env():
            xs, ys = to_other_crs(crs, CRS.from_epsg(4326), xs, ys)
    rows = ((p.col + 1, p.row + 1, lat, lon) for p, lon, lat in zip(points, xs, ys, strict=True))
    return "{" + ", ".join(number_text(number) for row in rows for number in row) + "}"


def _rpc_info(rpcs: Mapping[str, str]) -> str:
    """The 93 numbers: offsets, scales, four polynomials, and the window that is the whole."""
    numbers = [rpcs.get(key, "0").split()[0] for key in _RPC_NUMBERS]
    lists = [number for key in _RPC_LISTS for number in rpcs.get(key, "").split()]
    return "{" + ", ".join([*numbers, *lists, "0", "0", "1"]) + "}"
