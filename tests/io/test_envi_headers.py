"""ENVI headers of 4 bands, 6 lines, 8 samples, int16, each with its right reading."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import rasterio
from rasterio.crs import CRS

from hsisr.errors import HsisrWarning
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.scene.metadata import SceneMetadata
from tests.program import metadata_at

ROTATED_POLE: Final = (
    'GEOGCRS["unnamed",BASEGEOGCRS["unknown",DATUM["unknown",ELLIPSOID["unknown",6371229,0,'
    'LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0,ANGLEUNIT["degree",0.0174532925199433]]],'
    'DERIVINGCONVERSION["unknown",METHOD["PROJ ob_tran o_proj=longlat"],PARAMETER["o_lon_p",0],'
    'PARAMETER["o_lat_p",39.25],PARAMETER["lon_0",18]],CS[ellipsoidal,2],'
    'AXIS["longitude",east,ORDER[1],ANGLEUNIT["degree",0.0174532925199433]],'
    'AXIS["latitude",north,ORDER[2],ANGLEUNIT["degree",0.0174532925199433]]]'
)
ESRI_UTM: Final = (
    'PROJCS["WGS_1984_UTM_Zone_33N",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",'
    '6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],'
    'PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",500000.0],'
    'PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",15.0],'
    'PARAMETER["Scale_Factor",0.9996],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
)
Corner = tuple[float, float]


@dataclass(frozen=True)
class Header:
    name: str
    lines: str
    """Fields beside the sizes."""
    place: tuple[int | None, Corner | None, Corner | None] | None = None
    bands: dict[str, Any] = field(default_factory=dict)
    gdal: str = ""
    warns: str = ""


def _map(text: str, *more: str) -> str:
    return "\n".join([f"map info = {{{text}}}", *more])


AT: Final = (500000.0, 4000000.0)
FAR: Final = (500240.0, 3999820.0)
TURNED: Final = (500297.846097, 3999964.115427)
UTM: Final = "UTM, 1, 1, 500000, 4000000, 30, 30"
NM: Final = (400.0, 500.0, 600.0, 700.0)
GOOD: Final = (True, False, True, True)
N: Final = "wavelength = {400, 500, 600, 700}"
A: Final = "wavelength = {4000, 5000, 6000, 7000}"
MM: Final = "wavelength = {4e-4, 5e-4, 6e-4, 7e-4}"
U: Final = "wavelength = {0.4, 0.5, 0.6, 0.7}"

_CORNERS: Final = {
    "here": (AT, FAR),
    "turned": (AT, TURNED),
    "degrees": ((13.0, 52.0), (13.8, 51.4)),
    "nowhere": (None, None),
    "not-square": (AT, (500240.0, 3999880.0)),
    "turned-inside": ((499933.038476, 3999995.980762), (500230.884573, 3999960.096189)),
    "turned-oblong": (AT, (500267.846097, 4000016.076952)),
    "turned-180": (AT, (499760.0, 4000180.0)),
    "exchanged": ((52.0, 113.0), (52.8, 112.4)),
    "longitude": ((400.0, 52.0), (400.8, 51.4)),
    "arbitrary": ((0.5, 4000000.0), (16.5, 3999988.0)),
}
_TABLE: Final = """
north | @@, units=Meters | 32633 | here | - | -
south | @, 33, South, WGS-84, units=Meters | 32733 | here | - | -
small-letters | @, 33, south, wgs-84 | 32733 | here | - | -
letter-h | @, 56, H, WGS-84 | 32756 | here | north | -
letter-t | @, 33, T, WGS-84 | 32633 | here | - | -
letter-s | @, 33, S, WGS-84 | 32733 | here | north | taken as South
zone-and-letter | @, 56H, WGS-84 | 32756 | here | north | -
negative-zone | @, -33, South, WGS-84 | 32733 | here | not the EPSG system | -
sign-alone | @, -33, WGS-84 | 32733 | here | north | -
no-hemisphere | @, 33, WGS-84 | 32633 | here | not the EPSG system | without a hemisphere
sign-against-word | @, -33, North, WGS-84 | - | here | takes the word | negative UTM zone
zone-with-zeros | @, 033.0, North, WGS-84 | 32633 | here | - | -
zone-in-words | @, Zone 33, North, WGS-84 | 32633 | here | no zone | -
zone-in-short-name | UTM_33N, 1, 1, 500000, 4000000, 30, 30, WGS-84 | 32633 | here | unknown | -
hemisphere-in-words | @, 33, Southern Hemisphere, WGS-84 | 32733 | here | north | -
unknown-item | @@, azimuth=30 | 32633 | here | - | 'azimuth=30' is not understood
unknown-number | @@, 30 | 32633 | here | - | '30' is not understood
unit-without-its-name | @@, Meters | 32633 | here | - | -
unknown-unit | @@, units=Cubits | 32633 | here | - | the unit 'Cubits' is not known
no-zone | @ | - | here | engineering | found UTM zone 'nothing'
zone-61 | @, 61, North, WGS-84 | - | here | a zone that is not there | found UTM zone '61'
nad-83 | @, 11, North, North America 1983 | 26911 | here | - | -
nad83 | @, 11, North, NAD83 | 26911 | here | WGS 84 | -
ed-50 | @, 33, North, European 1950 | 23033 | here | - | -
etrs-89 | @, 33, North, ETRS-89 | 25833 | here | WGS 84 | -
datum-of-esri | @, 33, North, D_WGS_1984 | 32633 | here | - | -
etrs-of-esri | @, 33, North, D_ETRS_1989 | 25833 | here | WGS 84 | -
sirgas | @, 19, North, SIRGAS 2000 | 31973 | here | WGS 84 | -
etrs-89-elsewhere | @, 11, North, ETRS-89 | 32611 | here | - | taken as WGS 84
unknown-datum | @, 33, North, Ruritania 1900 | 32633 | here | - | taken as WGS 84
centre-of-a-pixel | UTM, 1.5, 1.5, 500015, 3999985, 30, 30, 33, North, WGS-84 | 32633 | here | - | -
inner-reference-pixel | UTM, 5, 4, 500120, 3999910, 30, 30, 33, North, WGS-84 | 32633 | here | - | -
not-square | UTM, 1, 1, 500000, 4000000, 30, 20, 33, North, WGS-84 | 32633 | not-square | - | -
rotation | @@, rotation=30 | 32633 | turned | - | -
rotation-with-blanks | @@, units = Meters, rotation = 30 | 32633 | turned | not turned | -
rotation-without-sign | @@, units  meters, rotation  30.000 | 32633 | turned | not turned | -
rotation-in-short | @@, rot = 30 | 32633 | turned | not turned | -
rotation-180 | @@, rotation=180 | 32633 | turned-180 | mirrored | 180 degrees
rotation-in-degrees | @@, rotation=30 degrees | 32633 | turned | - | -
rotation-in-words | @@, rotation=none | 32633 | here | - | found rotation 'none'
geographic | %, 13, 52, 0.1, 0.1, WGS-84, units=Degrees | 4326 | degrees | - | -
geographic-in-seconds | %, 46800, 187200, 360, 360, WGS-84, units=Seconds | 4326 | degrees | - | -
longitude-400 | %, 400, 52, 0.1, 0.1, WGS-84 | - | longitude | 400 degrees | found 400.4
truncated | UTM, 1, 1, 500000 | - | nowhere | a pixel at 500000 | map info left out
zone-in-name | UTM Zone 33S, 1, 1, ^, 30, 30, WGS-84 | 32733 | here | engineering | taken as South
rotation-inside | UTM, 3, 2, ^, 30, 30, #, rotation=30 | 32633 | turned-inside | turned | -
rotation-oblong | UTM, 1, 1, ^, 30, 20, #, rotation=30 | 32633 | turned-oblong | sides | -
rad | %, .2268928, .9075712, .00174533, .00174533, WGS-84, units=Radians | 4326 | degrees | unit | -
geographic-exchanged | %, 52, 113, 0.1, 0.1, WGS-84 | - | exchanged | latitude | found 52.4
geographic-short | Geographic, 1, 1, 13, 52, 0.1, 0.1, WGS-84 | 4326 | degrees | engineering | -
geographic-without-datum | %, 13, 52, 0.1, 0.1 | 4326 | degrees | engineering | names no datum
arbitrary | Arbitrary, 1, 1, 0.5, 4000000, 2, 2, 0, North | - | arbitrary | engineering | -
unknown-grid | Ruritania Grid, 1, 1, ^, 30, 30, units=Meters | - | here | engineering | not known
no-pixel-size | UTM, 1, 1, ^, 0, 0, # | - | nowhere | size 0 | pixel size of 0
unit-against-system | @@, units=Feet + ~ | 32633 | here | - | system string is taken
zone-against-system | @, 34, North, WGS-84 + ~ | 32633 | here | - | $EPSG:32634
hemisphere-against-system | @, 33, South, WGS-84 + ~ | 32633 | here | - | $EPSG:32733
datum-against-system | @, 33, North, European 1950 + ~ | 32633 | here | - | $EPSG:23033
datum-unknown-here | @, 33, North, Ruritania 1900 + ~ | 32633 | here | - | -
system-string-of-a-code | @@ + EPSG:32633 | 32633 | here | - | -
system-string-without-a-place | @@ + LOCAL_CS["x",UNIT["m",1]] | - | here | engineering | -
datums-that-are-nearly-one | @, 33, North, ETRS-89 + ~ | 32633 | here | - | -
system-string | @@ + ~ | 32633 | here | - | -
system-string-decides | Arbitrary, 1, 1, ^, 30, 30 + ~ | 32633 | here | - | -
system-string-damaged | @@ + PROJCS["a | 32633 | here | - | coordinate system string left out
points | geo points = {1, 1, 9, 8, 9, 1, 9, 9, 1, 7, 8, 8} | - | nowhere | no word | no reference
geo-points-short | geo points = {1, 2, 3} | - | nowhere | no word | geo points left out
rpc-short | rpc info = {1, 2, 3} | - | nowhere | no word | rpc info left out
"""
"""Name, map info (see `_spelt_out`), EPSG code, corners, how GDAL differs, warning; - for none.

Behind + stands the coordinate system string, ~ for `ESRI_UTM`; $ that map info says another one.

"engineering" and "unit": GDAL finds an engineering system, or takes radians for degrees.
"""


def _spelt_out(text: str) -> str:
    text = text.replace("@@", f"{UTM}, 33, North, WGS-84").replace("@", UTM)
    text = text.replace("^", "500000, 4000000").replace("#", "33, North, WGS-84")
    return text.replace("%", "Geographic Lat/Lon, 1, 1")


def _rows() -> Iterator[Header]:
    for row in _TABLE.strip().splitlines():
        name, text, epsg, corners, gdal, warns = (
            "" if part == "-" else part for part in row.split(" | ")
        )
        place = int(epsg) if epsg else None, *_CORNERS[corners]
        text, _, system = text.partition(" + ")
        more = [f"coordinate system string = {{{system.replace('~', ESRI_UTM)}}}"] if system else []
        if warns.startswith("$"):
            warns = f"map info says {warns[1:]}; EPSG:32633 of .* is taken, .* km away"
        lines = text if " = {" in text else _map(_spelt_out(text), *more)
        yield Header(name, lines, place, gdal=gdal, warns=warns)


PLACES: Final = (
    *_rows(),
    Header(
        "geo-points-beside-map-info",
        _map(_spelt_out("@@"), "geo points = {1, 1, 9, 8, 9, 1, 9, 9, 1, 7, 8, 8, 9, 7, 8, 9}"),
        (32633, AT, FAR),
        warns="geo points left out: map info says the place, and is taken",
    ),
)


def _means(name: str, lines: str, warns: str = "", **bands: Any) -> Header:
    return Header(name, lines, bands=bands, warns=warns)


def _nm(name: str, lines: str, **bands: Any) -> Header:
    """A header of bands at 400, 500, 600 and 700 nm."""
    return _means(name, lines, wavelengths_nm=NM, **bands)


BANDS: Final = (
    _nm("micrometres", f"wavelength units = Micrometers\n{U}"),
    _nm("words", f"wavelength units = Wavelength (nm)\n{N}"),
    _nm("no-unit-um", U),
    _nm("no-unit-nm", N),
    _nm("several-lines", "wavelength = {\n 400,\n 500, 600,\n700}"),
    _nm("unit-behind", "wavelength = {400 nm, 500 nm, 600 nm, 700 nm}"),
    _nm("comma-at-the-end", "wavelength = {400, 500, 600, 700,}"),
    _nm("comment", f"; by hand\n{N}"),
    _nm("widths", f"{N}\nfwhm = {{5, 6, 7, 8}}", fwhm_nm=(5, 6, 7, 8)),
    _nm("unit-with-accent", f"wavelength units = Å\n{A}"),
    _nm("unit-of-one", f"wavelength units = Millimetre\n{MM}"),
    _nm(
        "in-names",
        "band names = {Band 1 (400 Nanometers), Band 2 (500 Nanometers), Band 3 (600 Nanometers), "
        "Band 4 (700 Nanometers)}",
    ),
    _means(
        *("wavenumbers", f"wavelength units = cm⁻¹\n{N}", "wavelengths are in cm⁻¹"),
        wavelengths_nm=None,
    ),
    _means("bad", "bbl = {1, 0, 1.0, 1}", good=GOOD),
    _means("bad-in-words", "bbl = {true, false, true, true}", good=GOOD),
    _means("names", "band names = {a, b, c d, e}", names=("a", "b", "c d", "e")),
    _means("names and a comma", "band names = {a, b, c, d,}", names=tuple("abcd")),
    _means("ignore", "data ignore value = -9999", nodata=-9999.0),
    _means("ignore-none", "data ignore value = None", nodata=None),
    _means("ignore-several", "data ignore value = {-9999, -9999}", nodata=-9999.0),
    _means("ignore-comma", "data ignore value = 1,5", "value left out: found 1 and 5", nodata=None),
    _means("one-gain", "data gain values = {0.01}", scales=(0.01,) * 4),
    _means("unit-of-numbers", "data units = W/m2", units=("W/m2",) * 4),
    _means(
        "gains-and-offsets",
        "data gain values = {0.1, 0.2, 0.3, 1}\ndata offset values = {1, 2, 3, 4}",
        scales=(0.1, 0.2, 0.3, 1.0),
        offsets=(1.0, 2.0, 3.0, 4.0),
    ),
    _means(
        "gain-zero", "data gain values = {0, 1, 1, 1}", "gains and offsets left out", scales=None
    ),
)


SIZES = (
    "ENVI\nsamples = 8\nlines = 6\nbands = 4\nheader offset = 0\nfile type = ENVI Standard\n"
    "data type = 2\ninterleave = bsq\nbyte order = 0\n"
)


def each(headers: Sequence[Header]) -> pytest.MarkDecorator:
    """The test for each header, and the file it is written to."""
    return pytest.mark.parametrize(
        ("header", "written"),
        [(header, header) for header in headers],
        indirect=["written"],
        ids=[header.name for header in headers],
    )


@pytest.fixture
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "x.img").write_bytes(bytes(8 * 6 * 4 * 2))
    (tmp_path / "x.hdr").write_text(f"{SIZES}{request.param.lines}\n", encoding="utf-8")
    return tmp_path / "x.hdr"


def read(path: Path, warns: str) -> SceneMetadata:
    with pytest.warns(HsisrWarning, match=warns) if warns else nullcontext():
        return metadata_at(path)


def corners(transform: Any) -> list[Any]:
    return [transform @ (0, 0), transform @ (8, 6)]


@each(PLACES)
def test_the_place_is_the_right_one(header: Header, written: Path) -> None:
    assert header.place is not None
    epsg, first, last = header.place
    place = read(written, header.warns).georeference
    assert (place.crs_wkt and CRS.from_wkt(place.crs_wkt).to_epsg(confidence_threshold=20)) == epsg
    if first is None:
        assert place.transform is None
        return
    assert corners(place.transform) == [pytest.approx(first), pytest.approx(last)]


@each(PLACES)
def test_gdal_reads_the_same_place_save_where_told(header: Header, written: Path) -> None:
    assert header.place is not None
    with warnings.catch_warnings(), gdal_env():
        warnings.simplefilter("ignore")
        with rasterio.open(written.with_suffix(".img")) as dataset:
            found = corners(dataset.transform)
            epsg = dataset.crs.to_epsg(confidence_threshold=20) if dataset.crs else None
            engineering = bool(dataset.crs) and dataset.crs.to_wkt().startswith("LOCAL_CS")
    code, first, last = header.place
    same = first is not None and found == [pytest.approx(first), pytest.approx(last)]
    assert (same and epsg == code and not engineering) is not bool(header.gdal)


@each(BANDS)
def test_fields_of_the_bands_are_read(header: Header, written: Path) -> None:
    meta = read(written, header.warns)
    for name, value in header.bands.items():
        where = meta.stored if hasattr(meta.stored, name) else meta.spectral_axis
        assert getattr(where, name) == value
