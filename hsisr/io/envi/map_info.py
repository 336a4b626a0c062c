"""A georeference in the words of ENVI: map info, coordinate system string, geo points, rpc info.

GDAL's ENVI driver says the first two, so that GDAL reads back what it was given; what an ENVI
header cannot hold is refused or put into GDAL's sidecar, never bent.
"""

import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as to_other_crs

from hsisr.errors import UsageError
from hsisr.io.geotiff.gdal_env import gdal_env
from hsisr.io.geotiff.gdal_errors import listening
from hsisr.io.geotiff.gdal_tags import gdal_points, parsed_crs
from hsisr.io.spectral_tags import number_text
from hsisr.scene.georeference import Georeference, GroundControlPoint
from hsisr.scene.metadata import SceneMetadata

_LIFTED = ("map info", "projection info", "coordinate system string")
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

    Raises:
        UsageError: The transform is sheared, which no ENVI header can say.
    """
    place = metadata.georeference
    fields = _lifted(place) if place.transform is not None or place.crs_wkt else {}
    if place.transform is None:
        fields = {key: v for key, v in fields.items() if key == "coordinate system string"}
    elif not _near(_transform_of(fields), place.transform, metadata):
        raise UsageError(
            f"{target.name}: found pixels that are sheared, or turned and not square, expected "
            "what the map info of an ENVI header can say; write GeoTIFF instead"
        )
    if place.gcps:
        fields["geo points"] = _geo_points(place.gcps, place.gcps_crs_wkt)
    if place.rpcs:
        fields["rpc info"] = _rpc_info(place.rpcs)
    return fields


def write_sidecar(place: Georeference, sidecar: Path) -> bool:
    """Keep ground control points whole (heights, reference system) where GDAL looks.

    Geo points in a header are latitudes and longitudes and nothing else. Returns False, and
    writes nothing, where there are no such points.
    """
    if not place.gcps:
        return False
    with tempfile.TemporaryDirectory() as folder:
        crs = parsed_crs(place.gcps_crs_wkt) if place.gcps_crs_wkt else CRS()
        _small_envi(Path(folder, "x.img"), gcps=gdal_points(place), crs=crs)
        found = ET.parse(Path(folder, "x.img.aux.xml")).getroot().find("GCPList")  # noqa: S314 - written by GDAL just now
    root = ET.Element("PAMDataset")
    if found is not None:
        root.append(found)
    ET.ElementTree(root).write(sidecar, encoding="utf-8")
    return True


def _lifted(place: Georeference) -> dict[str, str]:
    """What GDAL writes into a header for this reference system and transform."""
    known: dict[str, Any] = {}
    if place.crs_wkt:
        known["crs"] = parsed_crs(place.crs_wkt)
    if place.transform is not None:
        known["transform"] = place.transform
    with tempfile.TemporaryDirectory() as folder:
        _small_envi(Path(folder, "x.img"), **known)
        lines = Path(folder, "x.hdr").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(" = ", 1) for line in lines if line.startswith(_LIFTED))
    return {key.strip(): text for key, text in pairs}


def _transform_of(fields: Mapping[str, str]) -> Affine:
    """The transform that GDAL reads from header fields."""
    with tempfile.TemporaryDirectory() as folder, gdal_env(), listening():
        path = Path(folder, "x.img")
        _small_envi(path)
        with path.with_suffix(".hdr").open("a", encoding="utf-8") as header:
            header.writelines(f"{key} = {text}\n" for key, text in fields.items())
        with rasterio.open(path) as dataset:
            found: Affine = dataset.transform
            return found


def _small_envi(path: Path, gcps: Sequence[Any] = (), crs: CRS | None = None, **known: Any) -> None:
    """An ENVI file of one pixel, made by GDAL."""
    profile = {"width": 1, "height": 1, "count": 1, "dtype": "uint8"} | known
    if crs is not None and not gcps:
        profile["crs"] = crs
    with gdal_env(), listening(), rasterio.open(path, "w", driver="ENVI", **profile) as dataset:
        if gcps:
            dataset.gcps = (gcps, crs)
        dataset.write(np.zeros((1, 1, 1), np.uint8))


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
    for key in _RPC_LISTS:
        numbers.extend(rpcs.get(key, "").split())
    return "{" + ", ".join([*numbers, "0", "0", "1"]) + "}"
