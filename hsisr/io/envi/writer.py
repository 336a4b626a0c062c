"""Scenes written as an ENVI pair: bare numbers, and a header that says everything else.

The place is said in ENVI's words (map info, coordinate system string, geo points, rpc info), the
first two by GDAL's ENVI driver. They are read back, by GDAL and by hsisr, and what a header cannot
hold is refused or put into GDAL's sidecar.
"""

import sys
import tempfile
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as to_other_crs

from hsisr.errors import HsisrWarning, ResourceError, UsageError
from hsisr.io.arrays.raw import Interleave, RawFile
from hsisr.io.base import FileWriter, asked_options
from hsisr.io.envi.files import TYPES, envi_pair, refuse_existing_pair
from hsisr.io.envi.georeference import by_gdal, envi_georeference
from hsisr.io.geotiff.gdal import (
    crs_name,
    gdal_env,
    gdal_points,
    is_in_km,
    listening,
    parsed_crs,
    same_crs,
    wkt_of,
)
from hsisr.io.spectral import (
    SPECTRAL_FIELDS,
    dataset_tags,
    free_fields,
    listed,
    number_list,
    number_text,
    one_line,
    spectral_fields,
    text_list,
)
from hsisr.scene.georeference import Georeference, GroundControlPoint
from hsisr.scene.metadata import SceneMetadata, StoredNumbers

DATA_TYPES: Final = {np.dtype(kind).name: code for code, kind in TYPES.items() if kind[0] != "c"}
"""ENVI's numbers for the data types that can be written."""

_A_LINE = 96
"""Characters after which a list goes on in the next line."""


class EnviWriter(FileWriter):
    """An ENVI pair; the data appears before the header, so no header stands alone.

    Pixels without data need a nodata number: a header knows no masks, so the caller sees to it.

    `INTERLEAVE` is the one creation option (else by the suffix, else bsq); the path names the
    header or the data file, see `envi_pair`.
    """

    def _prepare(self) -> None:
        named = self.path
        self.path, self._data = envi_pair(named)
        self._interleave = _interleave(named, self._co)
        self._text = _header_text(self.metadata, self._interleave, self._data)
        refuse_existing_pair(named, overwrite=self._options.overwrite)

    def _sidecars(self) -> list[Path]:
        beside = (_with(self._data, suffix) for suffix in (".aux.xml", ".msk", ".ovr", ".hdr"))
        return [sidecar for sidecar in beside if sidecar != self.path]

    def _open(self) -> None:
        data, dtype = self._place.file("data"), self.metadata.stored.dtype
        file = RawFile(data, self.metadata.shape, dtype, self._interleave)
        self._file = self._held.enter_context(closing(file))

    def _put(self, numbers: npt.NDArray[Any], band: int, row: int, col: int) -> None:
        self._file.write(numbers, row=row, col=col, band=band)

    def _finish(self) -> list[tuple[Path, Path]]:
        data, sidecar = self._place.file("data"), self._place.file("sidecar")
        self._file.close()
        self._grown.write_text(self._text, encoding="utf-8")
        if data.stat().st_size != self._file.numbers.end:
            raise ResourceError(f"cannot write {self._data}: the file was cut off")
        files = [(data, self._data)]
        if _write_sidecar(self.metadata.georeference, sidecar):
            files.append((sidecar, _with(self._data, ".aux.xml")))
        return [*files, (self._grown, self.path)]


def _header_text(metadata: SceneMetadata, interleave: Interleave, data: Path) -> str:
    """A whole header: the fields of the grid and the numbers, the place, the spectrum, the others.

    Names are in lower case because readers differ about capitals.
    """
    fields = _layout_fields(metadata, interleave, data)
    fields |= _place_fields(metadata, data) | spectral_fields(metadata)
    fields |= _number_fields(metadata.stored)
    others = _tag_fields(metadata) | free_fields(metadata)
    fields |= {key: text for key, text in others.items() if key not in fields}
    return "ENVI\n" + "".join(f"{key} = {_wrapped(text)}\n" for key, text in fields.items())


def _layout_fields(metadata: SceneMetadata, interleave: Interleave, data: Path) -> dict[str, str]:
    dtype = metadata.stored.dtype.name
    if dtype not in DATA_TYPES:
        raise UsageError(
            f"{data.name}: ENVI cannot store {dtype}, expected one of {', '.join(DATA_TYPES)}; "
            "choose a --dtype, or another format"
        )
    bands, rows, cols = metadata.shape
    return {
        "description": "{" + one_line(f"{data.name}, written by hsisr") + "}",
        "samples": str(cols),
        "lines": str(rows),
        "bands": str(bands),
        "header offset": "0",
        "file type": "ENVI Standard",
        "data type": DATA_TYPES[dtype],
        "interleave": interleave,
        "byte order": "0" if sys.byteorder == "little" else "1",
    }


def _number_fields(stored: StoredNumbers) -> dict[str, str]:
    fields = {
        "data ignore value": None if stored.nodata is None else number_text(stored.nodata),
        "data gain values": stored.scales and number_list(stored.scales),
        "data offset values": stored.offsets and number_list(stored.offsets),
        "data units": stored.units and text_list(stored.units),
    }
    return {key: text for key, text in fields.items() if isinstance(text, str)}


def _tag_fields(metadata: SceneMetadata) -> dict[str, str]:
    """Tags of the dataset, and of the bands as lists, as fields of their own."""
    tags = {key: one_line(value) for key, value in dataset_tags(metadata).items()}
    tags.pop("start_time", None)  # acquisition time in ENVI
    tags.pop("AREA_OR_POINT", None)  # GDAL's own word for the grid; ENVI's grid is areas
    for key in dict.fromkeys(key for band in metadata.band_tags for key in band):
        if _field_name(key) not in SPECTRAL_FIELDS:  # else they could not be used
            tags.setdefault(key, text_list(band.get(key, "") for band in metadata.band_tags))
    return {_field_name(key): value for key, value in tags.items() if value}


def _field_name(tag: str) -> str:
    """A tag's name as a header's reader can take it.

    >>> _field_name("HSISR_VERSION"), _field_name("a=b")
    ('hsisr version', 'a-b')
    """
    return " ".join(tag.lower().replace("_", " ").replace("=", "-").split())


def _wrapped(text: str) -> str:
    """A list over several lines, for readers that cannot take a long one."""
    if not text.startswith("{") or len(text) <= _A_LINE or ", " not in text:
        return text
    lines = [""]
    for item in text[1:-1].split(", "):
        if lines[-1] and len(lines[-1]) + len(item) > _A_LINE:
            lines.append("")
        lines[-1] += f"{item}, "
    return "{\n" + "\n".join(lines).removesuffix(", ") + "}"


def _interleave(path: Path, creation_options: Mapping[str, str]) -> Interleave:
    """As asked for, which the suffix may forbid."""
    every: tuple[Interleave, ...] = get_args(Interleave)
    named = [name for name in every if path.suffix.lower() == f".{name}"] or every
    asked = asked_options(path, creation_options, INTERLEAVE=[name.upper() for name in named])
    return next(name for name in named if name.upper() == asked["INTERLEAVE"])


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


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


def _place_fields(metadata: SceneMetadata, target: Path) -> dict[str, str]:
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


def _write_sidecar(place: Georeference, sidecar: Path) -> bool:
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
