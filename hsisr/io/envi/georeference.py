"""Where an ENVI scene lies: the transform from its map info, the rest as GDAL reads the header.

The list `map info` holds projection, reference pixel (x, y; the outer corner of the first pixel is
1, 1), easting and northing of it, pixel width and height (negative on mirrored grids); then, for
UTM, zone and hemisphere; then the datum; `units=` and `rotation=` (degrees, counterclockwise, about
the reference pixel) anywhere behind. Source: ENVI Header Files, "map info". What cannot be
understood is a warning; so is what contradicts the coordinate system string, which is taken.

GDAL 3.10 differs: it turns a grid about the first pixel instead of the reference pixel, exchanges
the sides of turned pixels that are not square, takes a rotation of 180 degrees for a mirrored
grid, only the word South for the southern hemisphere, and unknown datums for WGS 84.
"""

import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.io import MemoryFile
from rasterio.warp import transform as warp_points

from hsisr.errors import HsisrWarning, InputDataError, warn_of_scene
from hsisr.io.geotiff.gdal import GdalError, crs_name, gdal_env, georeference_of, wkt_of
from hsisr.io.spectral import listed
from hsisr.scene.georeference import Georeference

_ROTATION: Final = re.compile(
    r"rot(?:ation)?(?:\s+angle)?\s*[=:\s]\s*(.*?)\s*(?:degrees?|deg\.?|\u00b0)?\s*", re.IGNORECASE
)
_UNITS: Final = re.compile(r"units?\s*[=:\s]\s*(.*)", re.IGNORECASE)
_UTM: Final = re.compile(r"(.*[\s_])?utm(?![a-z]).*|universal transverse.*", re.IGNORECASE)
_HEMISPHERE: Final = re.compile(r"[a-z]?|(north|south)(ern)?(\s+hemisphere)?", re.IGNORECASE)
_GEOGRAPHIC: Final = re.compile(r"geographic\b.*|geodetic\b.*|lat\w*\s*/?\s*lon\w*", re.IGNORECASE)
_ZONE: Final = re.compile(
    r"(?:zone\s*)?([+-]?)\s*0*(\d{1,2})(?:\.0*)?\s*([A-Za-z]*)", re.IGNORECASE
)
_ZONE_IN_NAME: Final = re.compile(r".*(?:zone|utm)[\s_]*([+-]?\d{1,2}\s*[a-z]*)", re.IGNORECASE)
_MOST_ZONES: Final = 60
_WGS_84: Final = "WGS-84"
_DATUMS: Final = {
    spelling: name
    for name, spellings in (
        (_WGS_84, "wgs84 wgs1984 worldgeodeticsystem1984"),
        ("WGS-72", "wgs72"),
        ("North America 1983", "nad83 northamerica1983 northamerican1983 northamericandatum1983"),
        ("North America 1927", "nad27 northamerica1927 northamerican1927 northamericandatum1927"),
        ("European 1950", "ed50 european1950"),
        ("SAD-69/Brazil", "sad69/brazil"),
        ("Geocentric Datum of Australia 1994", "gda94 gda1994 geocentricdatumofaustralia1994"),
        ("Australian Geodetic 1984", "australiangeodetic1984"),
        ("Ordnance Survey of Great Britain '36", "ordnancesurveyofgreatbritain'36"),
        ("Nouvelle Triangulation Francaise IGN", "nouvelletriangulationfrancaiseign"),
    )
    for spelling in spellings.split()
}
"""GDAL's names of datums, by spellings in lower case without spaces, hyphens and underscores."""
_NONE: Final = 0, range(0)
_BY_EPSG: Final[Mapping[str, tuple[int, tuple[int, range], tuple[int, range]]]] = {
    **dict.fromkeys(
        ("etrs89", "etrs1989", "europeanterrestrialreferencesystem1989"),
        (4258, (25800, range(28, 39)), _NONE),
    ),
    "gda2020": (7844, _NONE, (7800, range(46, 60))),
    "sirgas2000": (4674, (31954, range(11, 23)), (31960, range(17, 26))),
}
"""Datums that GDAL does not know here: EPSG codes of longitude and latitude, and what a UTM zone
is added to, and which there are, north and south."""

_LENGTHS: Final = {
    spelling: word
    for word, spellings in (
        ("Meters", "m meter meters metre metres"),
        ("km", "km kilometer kilometers kilometre kilometres"),
        ("Feet", "ft foot feet us-ft usfeet ussurveyfeet ussurveyfoot feet(us)"),
        ("Yards", "yd yard yards"),
        ("Miles", "mi mile miles"),
        ("Nautical Miles", "nm nauticalmile nauticalmiles"),
    )
    for spelling in spellings.split()
}
"""GDAL's words for units of length, by spellings without blanks."""
_ANGLES: Final = {
    **dict.fromkeys(("degree", "degrees", "deg"), 1.0),
    **dict.fromkeys(("seconds", "arcseconds"), 1 / 3600),
    "minutes": 1 / 60,
    "radians": math.degrees(1),
}
"""In degrees."""
_SAME_PLACE_M: Final = 20.0
"""How far apart systems put the same numbers that are called one, such as WGS 84 and NAD 83."""
_DATUMS_APART_M: Final = 2000.0
"""How far apart any datums put them, where that of map info is not known."""


@dataclass(frozen=True, slots=True)
class MapInfo:
    """What a `map info` says."""

    transform: Affine
    """Pixel corner (col, row) to ground (x, y)."""
    gdal_text: str | None = None
    """The coordinate reference system in words that GDAL understands: a map info of pixels of
    size 1; None: unknown, or `epsg`."""
    epsg: int | None = None
    """Its EPSG code, where GDAL has no words for it."""


def parse_map_info(items: Sequence[str], *, has_crs: bool) -> MapInfo | None:
    """Read the items of a `map info` list; None where it says no place.

    With `has_crs`, another field names the coordinate reference system, so it is not looked for.
    What is missing or cannot be understood is a warning.

    >>> parse_map_info("UTM, 1, 1, 5e5, 4e6, 30, 30, 33, North, WGS-84".split(", "), has_crs=True)
    MapInfo(transform=Affine(30.0, 0.0, 500000.0,
           0.0, -30.0, 4000000.0), gdal_text=None, epsg=None)
    """
    named = [item for item in items if _ROTATION.fullmatch(item) or _UNITS.fullmatch(item)]
    plain = [item for item in items if item not in named]
    transform = _transform(plain, _rotation(named))
    if transform is None:
        return None
    units = next((found[1] for item in named if (found := _UNITS.fullmatch(item))), "")
    _warn_of_rest([item for item in plain if "=" in item])
    is_geographic = _GEOGRAPHIC.fullmatch(plain[0]) is not None
    if is_geographic:
        transform = _in_degrees(transform, units)
    if has_crs or is_geographic:
        return MapInfo(transform) if has_crs else _geographic(transform, plain)
    if plain[0].lower() == "arbitrary":
        return MapInfo(transform, _text(plain[0]))
    units = _known_length(units)
    if _UTM.fullmatch(plain[0]):
        return _utm(transform, plain, units)
    return MapInfo(transform, _text(plain[0], *plain[7:], units=units))


def _rotation(named: Sequence[str]) -> float:
    """Degrees counterclockwise; 0 where none, or no number, is given."""
    text = next((found[1] for item in named if (found := _ROTATION.fullmatch(item))), "0")
    angle = _number(text)
    if angle is None:
        warn_of_scene(f"map info: found rotation {text!r}, expected degrees; taken as 0")
        return 0.0
    if abs(angle) % 360 == 180:
        warn_of_scene(
            "map info: a rotation of 180 degrees turns the grid here, as in ENVI; GDAL writes and "
            "reads it as mirrored north to south"
        )
    return angle


def _transform(plain: Sequence[str], rotation: float) -> Affine | None:
    numbers = [_number(item) for item in plain[1:7]]
    known = [number for number in numbers if number is not None]
    if len(known) < 6:
        warn_of_scene(
            f"map info left out: found {', '.join(plain[:7]) or 'nothing'!r}, expected projection, "
            "reference pixel x and y, easting, northing, pixel width and height"
        )
        return None
    ref_x, ref_y, x, y, width, height = known
    if not (width and height):
        warn_of_scene("map info left out: found a pixel size of 0, expected lengths")
        return None
    if rotation == 0:
        corner = x - (ref_x - 1) * width, y + (ref_y - 1) * height
        return Affine(width, 0.0, corner[0], 0.0, -height, corner[1])
    turned = Affine.translation(x, y) @ Affine.rotation(rotation) @ Affine.scale(width, -height)
    return turned @ Affine.translation(1 - ref_x, 1 - ref_y)


def _utm(transform: Affine, plain: Sequence[str], units: str) -> MapInfo:
    found, rest = (_ZONE.fullmatch(plain[7]) if len(plain) > 7 else None), list(plain[8:])
    if found is None and (named := _ZONE_IN_NAME.fullmatch(plain[0])):
        found, rest = _ZONE.fullmatch(named[1]), list(plain[7:])
    zone = int(found[2]) if found else 0
    if found is None or not 1 <= zone <= _MOST_ZONES:
        what = plain[7] if len(plain) > 7 else "nothing"
        warn_of_scene(
            f"map info: found UTM zone {what!r}, expected 1 to {_MOST_ZONES}; the coordinate "
            "reference system is unknown"
        )
        return MapInfo(transform)
    letters = found[3] or (rest.pop(0) if rest and _HEMISPHERE.fullmatch(rest[0]) else "")
    south = _is_south(letters, found[1])
    if south is None:
        return MapInfo(transform)
    datum = _datum(rest)
    lengths = [item for item in rest[1:] if re.sub(r"\s", "", item.lower()) in _LENGTHS]
    units = units or _known_length(next(iter(lengths), ""))
    _warn_of_rest([item for item in rest[1:] if item not in lengths and "=" not in item])
    if datum in _BY_EPSG:
        _, in_north, in_south = _BY_EPSG[datum]
        start, zones = in_south if south else in_north
        if zone in zones:
            return MapInfo(transform, epsg=start + zone)
        datum = _assumed(rest[0])
    return MapInfo(
        transform, _text("UTM", str(zone), "South" if south else "North", datum, units=units)
    )


def _geographic(transform: Affine, plain: Sequence[str]) -> MapInfo:
    datum = _datum(plain[7:])
    _warn_of_rest([item for item in plain[8:] if item.lower() not in (*_ANGLES, "")])
    if datum in _BY_EPSG:
        return MapInfo(transform, epsg=_BY_EPSG[datum][0])
    return MapInfo(transform, _text("Geographic Lat/Lon", datum, units="Degrees"))


def _is_south(letters: str, sign: str) -> bool | None:
    """The hemisphere that a word, a letter or the zone's sign means; None: they contradict.

    A lone S is taken as South, though the latitude band S (32 to 40 degrees) lies in the north.
    """
    text = letters.lower()
    band = text if len(text) == 1 else ""
    north = text.startswith("north") or band in {*"npqrtuvwx"}
    south = text.startswith("south") or band in {*"cdefghjklms"} or (not text and sign == "-")
    if text == "s":
        warn_of_scene("map info: hemisphere S is taken as South, not as the latitude band S")
    if not text and not south:
        warn_of_scene("map info: found a UTM zone without a hemisphere; taken as North")
    elif not (north or south) or (north and sign == "-"):
        zone = "a negative UTM zone, which means South, and " if sign == "-" else ""
        warn_of_scene(
            f"map info: found {zone}hemisphere {letters!r}, expected North, South or a latitude "
            "band; the coordinate reference system is unknown"
        )
        return None
    return south


def _datum(rest: Sequence[str]) -> str:
    """GDAL's name of the datum, or a key of `_BY_EPSG`."""
    text = next(filter(None, rest), "")
    key = re.sub(r"^d_|[\s_-]", "", text.lower())
    return key if key in _BY_EPSG else _DATUMS.get(key) or _assumed(text)


def _warn_of_rest(items: Sequence[str]) -> None:
    """Warn of items that nothing here understands; empty ones are none."""
    if rest := ", ".join(filter(None, items)):
        warn_of_scene(f"map info: {rest!r} is not understood and left out")


def _assumed(datum: str) -> str:
    what = f"datum {datum!r} is not known here" if datum else "names no datum"
    warn_of_scene(f"map info: {what}; taken as WGS 84")
    return _WGS_84


def _text(projection: str, *rest: str, units: str = "") -> str:
    """A map info of this projection for GDAL."""
    named = [f"units={units}"] if units else []
    return "{" + ", ".join([projection, "1", "1", "0", "0", "1", "1", *rest, *named]) + "}"


def _number(text: str) -> float | None:
    with suppress(ValueError):
        return number if math.isfinite(number := float(text)) else None
    return None


def _known_length(units: str) -> str:
    """GDAL's word for a unit of length; "" where none is named.

    >>> _known_length("kilometers"), _known_length("US Survey Feet"), _known_length("")
    ('km', 'Feet', '')
    """
    plain = re.sub(r"\s", "", units.lower())
    if plain and plain not in _LENGTHS:
        warn_of_scene(f"map info: the unit {units!r} is not known; taken as metres")
    return _LENGTHS.get(plain, "")


def _in_degrees(transform: Affine, units: str) -> Affine:
    """The transform of a grid of longitudes and latitudes that are given in these units.

    >>> _in_degrees(Affine(36, 0, 3600, 0, -36, 7200), "Seconds")[:6]
    (0.01, 0.0, 1.0, 0.0, -0.01, 2.0)
    """
    plain = units.strip().lower()
    if plain and plain not in _ANGLES:
        warn_of_scene(f"map info: found the unit {units!r} of an angle; taken as degrees")
    factor = _ANGLES.get(plain, 1.0)
    return transform if factor == 1 else Affine.scale(factor) @ transform


_CRS: Final = "coordinate system string"
_NO_SYSTEM: Final = ("LOCAL_CS", "ENGCRS", "ENGINEERINGCRS")
"""How GDAL begins what it makes of projections that it does not know."""


def envi_georeference(fields: Mapping[str, str], sidecar: Path | None = None) -> Georeference:
    """The georeference that the fields of a header describe; nothing if they describe none.

    GDAL lets the sidecar, its `.aux.xml` beside the data file, say more than the header. Map info
    or a coordinate system string that cannot be understood is a warning.

    Raises:
        InputDataError: GDAL cannot make sense of geo points or RPC.
    """
    known = {key: fields[key] for key in ("geo points", "rpc info") if key in fields}
    system = _system(fields.get(_CRS, ""))
    info = None
    if "map info" in fields:
        items = listed(fields["map info"])
        info = parse_map_info(items, has_crs=system is not None)
        if info is not None and system is not None:
            _warn_if_apart(items, info.transform, system)
    words = _CRS if system is not None else "projection info"
    known |= {words: fields[words]} if words in fields else {}
    if info is not None:
        known["map info"] = info.gdal_text or "{Arbitrary, 1, 1, 0, 0, 1, 1}"
    if not known and sidecar is None:
        return Georeference()
    place = by_gdal(known, sidecar)
    for key, found in (("geo points", place.gcps), ("rpc info", place.rpcs)):
        if listed(fields.get(key, "")) and not found:
            doubt = f"GDAL does not understand {fields[key][:60]!r}"
            if info is not None and key == "geo points":
                doubt = "map info says the place, and is taken; remove it to place by the points"
            warn_of_scene(f"{key} left out: {doubt}")
    if "geo points" in known and place.gcps and not place.gcps_crs_wkt:
        warn_of_scene(
            "geo points have no reference system, and are carried without one; say it in an "
            ".aux.xml (GCPList Projection), for example of longitudes and latitudes"
        )
    place = replace(place, crs_wkt=_crs_wkt(place.crs_wkt, info, system))
    if sidecar is not None and "<GeoTransform>" in sidecar.read_text("utf-8", "replace"):
        return place
    grid = None if info is None or info.transform.is_identity else info.transform
    return replace(place, transform=grid)


def _warn_if_apart(items: Sequence[str], transform: Affine, system: CRS) -> None:
    """Warn where UTM or degrees of map info put the scene elsewhere than the string does."""
    with warnings.catch_warnings(record=True) as doubts:  # what the string makes needless
        warnings.simplefilter("always", HsisrWarning)
        info = parse_map_info(items, has_crs=False)
    if info is None or not (_UTM.fullmatch(items[0]) or _GEOGRAPHIC.fullmatch(items[0])):
        return
    if not (system.is_geographic or system.is_projected):
        return
    text = info.gdal_text and by_gdal({"map info": info.gdal_text}).crs_wkt
    if (wkt := wkt_of(CRS.from_epsg(info.epsg)) if info.epsg else text) is None:
        return
    unit_m = 111e3 if system.is_geographic else system.linear_units_factor[1]
    try:
        (x,), (y,) = warp_points(CRS.from_wkt(wkt), system, [transform.c], [transform.f])
        apart = math.hypot(x - transform.c, y - transform.f) * unit_m
    except (RasterioError, GdalError):  # no place of the other system at all
        apart = math.inf
    if not apart <= (_DATUMS_APART_M if doubts else _SAME_PLACE_M):
        warn_of_scene(
            f"map info says {crs_name(wkt)}; {crs_name(system.to_wkt())} of the coordinate system "
            f"string is taken, {min(apart, 2e7) / 1000:,.1f} km away"
        )


def _system(text: str) -> CRS | None:
    """The coordinate system string, in ESRI's dialect of WKT or any other."""
    wkt = text.strip().removeprefix("{").removesuffix("}").strip()
    if not wkt:
        return None
    try:
        with gdal_env():
            return CRS.from_string(wkt, morph_from_esri_dialect=not wkt.startswith(_WKT2))
    except CRSError:
        warn_of_scene(f"coordinate system string left out: PROJ does not understand {wkt[:60]!r}")
        return None


_WKT2: Final = ("GEOGCRS", "GEODCRS", "PROJCRS", "BOUNDCRS", "COMPOUNDCRS", "DERIVEDPROJCRS")


def _crs_wkt(by_gdal: str | None, info: MapInfo | None, system: CRS | None) -> str | None:
    """GDAL's reading of the reference system, or the system that it has no words for."""
    if by_gdal is not None and not by_gdal.startswith(_NO_SYSTEM):
        return by_gdal
    if system is None and info is not None and info.epsg is not None:
        system = CRS.from_epsg(info.epsg)
    elif system is None and by_gdal and info and info.gdal_text:
        name = listed(info.gdal_text)[0]
        if name.lower() != "arbitrary":
            warn_of_scene(
                f"map info: the projection {name!r} is not known; the coordinate reference system "
                "is unknown"
            )
    return wkt_of(system)


def by_gdal(fields: Mapping[str, str], sidecar: Path | None = None) -> Georeference:
    """What GDAL makes of header fields, and of its sidecar.

    Raises:
        InputDataError: It cannot make sense of geo points or RPC.
    """
    try:
        with one_pixel(fields, sidecar) as dataset:
            return georeference_of(dataset)
    except RasterioError as error:
        raise InputDataError(
            f"the header's place cannot be understood ({error}); correct or remove it"
        ) from error


@contextmanager
def one_pixel(
    fields: Mapping[str, str], sidecar: Path | None, bands: int = 1, code: str = "1"
) -> Iterator[Any]:
    """An ENVI file of one pixel in memory with these fields and this sidecar, opened by GDAL.

    GDAL refuses some data files that other software reads, so it never sees the data. `code` is
    ENVI's number for the data type.
    """
    layout = dict.fromkeys(("samples", "lines"), "1") | {"bands": str(bands), "data type": code}
    layout |= {"header offset": "0", "byte order": "0", "interleave": "bsq"}
    layout |= {"file type": "ENVI Standard"}
    lines = ["ENVI", *(f"{key} = {text}" for key, text in {**layout, **fields}.items()), ""]
    name = {"dirname": f"hsisr-{uuid4().hex}", "filename": "scene.img"}
    beside = {**name, "filename": "scene.img.aux.xml"}
    with (
        gdal_env(),
        MemoryFile(bytes(64 + 16 * bands), **name) as image,
        MemoryFile("\n".join(lines).encode(), **{**name, "filename": "scene.hdr"}),
        MemoryFile(sidecar.read_bytes(), **beside) if sidecar else nullcontext(),
        image.open(driver="ENVI") as dataset,
    ):
        yield dataset
