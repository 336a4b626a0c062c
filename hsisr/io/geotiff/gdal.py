"""GDAL: its options, what it says in passing, reference systems, a scene's metadata in its tags.

Nothing outside a `with gdal_env():` feels the options. GDAL reports much in passing only: an option
it does not know, a block it could not write when the file was closed. rasterio logs these; here
they are heard.

Spectral fields live in many places: tags of each band's default domain (EnMAP-Box, this tool) or
ENVI domain, lists in the dataset's default domain (EnMAP-Box) or ENVI domain, each band's IMAGERY
domain, an ENVI header beside the file, the names of the bands. They are trusted in this order;
GDAL derives IMAGERY from the ENVI domain with three decimals of a micrometre.
"""

import ctypes
import logging
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint as GdalPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, WktVersion
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.io.spectral import (
    SPECTRAL_FIELDS,
    SpectralSource,
    band_tags,
    carried_fields,
    dataset_tags,
    envi_domain,
    header_tags,
    imagery_tags,
    merged_axis,
    shown_bands,
    source_from_fields,
    source_from_names,
    source_from_text,
)
from hsisr.scene.georeference import Georeference, GroundControlPoint
from hsisr.scene.metadata import SceneMetadata, StoredNumbers

try:  # GDAL's errors have no public name in rasterio
    from rasterio import _err

    GdalError: type[Exception] = _err.CPLE_BaseError
except (ImportError, AttributeError):
    _err, GdalError = None, RasterioError

CACHE_MB = 64
"""GDAL's block cache. Its own default, a twentieth of the machine's memory, would make peak memory
depend on the machine."""

_NETWORK = {
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    "GDAL_HTTP_LOW_SPEED_TIME": "60",
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "1",
}
"""How long GDAL waits for a server, in seconds, where the user's environment does not say."""


@contextmanager
def gdal_env(**options: str | int) -> Iterator[None]:
    """GDAL with a bounded block cache, quiet about scenes without georeferencing, and `options`."""
    network = {key: value for key, value in _NETWORK.items() if key not in os.environ}
    settings = {**network, **_other_s3_server(), **options}
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB, **settings), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _other_s3_server() -> dict[str, str]:
    """GDAL's options for the S3 server that s3fs and Amazon's own tools are told of."""
    url = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    scheme, _, host = url.rstrip("/").partition("://")
    if not host or "AWS_S3_ENDPOINT" in os.environ:
        return {}
    https = "YES" if scheme == "https" else "NO"
    return {"AWS_S3_ENDPOINT": host, "AWS_HTTPS": https, "AWS_VIRTUAL_HOSTING": "FALSE"}


_LOCAL: Final = re.compile(r'LOCAL_CS\["([^"]*)".*\bUNIT\["[^"]*",([^],]*)')
"""Name and unit of an engineering system in the older form of WKT."""


def same_crs(one_wkt: str, other_wkt: str) -> bool:
    """Compare by text, then as GDAL understands both, then by their projection parameters.

    ENVI and GeoTIFF spell the same system differently, and each loses other names on the way; of an
    engineering system GeoTIFF keeps name and unit alone.
    """
    if one_wkt.strip() == other_wkt.strip():
        return True
    try:
        one, other = CRS.from_wkt(one_wkt), CRS.from_wkt(other_wkt)
        local = [_LOCAL.match(crs.to_wkt()) for crs in (one, other)]
        if local[0] and local[1]:
            return local[0].groups() == local[1].groups()
        return bool(one == other or (one.to_dict() and one.to_dict() == other.to_dict()))
    except CRSError:
        return False


def crs_name(wkt: str) -> str:
    """A short name for messages: the authority's code, else the name inside the text."""
    with suppress(CRSError):
        if authority := CRS.from_wkt(wkt).to_authority():
            return ":".join(authority)
    return wkt.split('"')[1] if wkt.count('"') > 1 else wkt[:40]


def is_in_km(crs: str | None) -> bool:
    """True for a reference system that counts in kilometres."""
    with suppress(CRSError, ValueError):
        return bool(crs and CRS.from_string(crs).linear_units_factor[1] == 1000)
    return False


def wkt_of(crs: CRS | None) -> str | None:
    """WKT2, which keeps everything, or the older form where GDAL cannot write that."""
    if not crs:
        return None
    try:
        return str(crs.to_wkt(version=WktVersion.WKT2_2019))
    except CRSError:
        return str(crs.to_wkt())


def parsed_crs(wkt: str) -> CRS:
    """A coordinate reference system as rasterio has it.

    Raises:
        InputDataError: PROJ does not understand the text.
    """
    try:
        return CRS.from_wkt(wkt)
    except CRSError as error:
        raise InputDataError(
            f"found a coordinate reference system that PROJ does not understand ({wkt[:60]}...), "
            "expected WKT; correct or remove it in the input"
        ) from error


def known_crs(text: str) -> str | None:
    """A reference system as WKT, of its code or PROJ's words for it too; else None and a warning.

    >>> known_crs("EPSG:4326").partition("[")[0]
    'GEOGCRS'
    """
    text = text.removeprefix("+init=")  # which GDAL complains of
    try:
        if _CODE.fullmatch(text):
            return wkt_of(CRS.from_string(text))
        CRS.from_wkt(text)
    except CRSError:
        warn_of_scene(f"the reference system is left out: PROJ does not understand {text[:60]!r}")
        return None
    return text


def pixel_size_m(meta: SceneMetadata) -> tuple[float, float] | None:
    """Ground sampling distance along columns and rows, in metres; None where it is unknown.

    Degrees become metres on a sphere of 6371 km radius, at the middle of the scene. In sensor
    geometry it is the median over the scene.
    """
    place, north = meta.georeference, math.radians(1) * 6_371_000
    if (places := meta.geolocation) is not None:
        east = north * math.cos(math.radians(np.nanmean(places.latitude)))
        apart = [
            [np.nanmedian(np.diff(degrees, axis=axis)) / places.scale for axis in (1, 0)]
            for degrees in (places.longitude, places.latitude)
        ]
        width, height = (math.hypot(x * east, y * north) for x, y in zip(*apart, strict=True))
        return (width, height) if width > 0 and height > 0 else None
    if place.transform is None or not place.crs_wkt:
        return None
    t = place.transform
    try:
        crs = CRS.from_wkt(place.crs_wkt)
        if crs.is_geographic:
            east = north * math.cos(math.radians((t @ (meta.cols / 2, meta.rows / 2))[1]))
        elif crs.is_projected:
            east = north = float(crs.linear_units_factor[1])
        else:
            return None
    except CRSError:
        return None
    width, height = (math.hypot(x * east, y * north) for x, y in ((t.a, t.d), (t.b, t.e)))
    return (width, height) if width > 0 and height > 0 else None


class Listener(logging.Handler):
    """Keeps what a library said, in order, warnings and errors apart."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[str] = []
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take one message."""
        heard = self.errors if record.levelno >= logging.ERROR else self.warnings
        heard.append(plain(record.getMessage()))


@contextmanager
def listening(listener: Listener | None = None, to: str = "rasterio") -> Iterator[Listener]:
    """Hear what GDAL, or another library, says meanwhile."""
    heard = listener or Listener()
    logger = logging.getLogger(to)
    logger.addHandler(heard)
    try:
        yield heard
    finally:
        logger.removeHandler(heard)


@cache
def silence_libtiff() -> None:
    """Keep libtiff from printing by itself; the same failures reach GDAL, and are heard here.

    GDAL opens TIFFs with an error handler of their own, but tells of a write that failed through
    libtiff's common one, which prints to stderr. It is taken away where the libtiff that GDAL uses
    can be found, and can have handlers of each file's own (4.5 and later). Source: libtiff,
    TIFFSetErrorHandler; GDAL, frmts/gtiff/tifvsi.cpp.
    """
    # a GDAL that has its libtiff inside, or another system, may still print
    with suppress(OSError, AttributeError):
        libtiff = ctypes.CDLL(_err.__file__)  # with all that it is linked to
        if hasattr(libtiff, "TIFFOpenOptionsSetErrorHandlerExtR"):
            libtiff.TIFFSetErrorHandler(None)


def plain(message: str) -> str:
    """A message of GDAL without rasterio's prefix, on one line.

    >>> plain("CPLE_NotSupported in driver COG does not support creation option FOO")
    'driver COG does not support creation option FOO'
    """
    line = " ".join(message.split())
    if line.startswith("CPLE_") and " in " in line:
        line = line.split(" in ", 1)[1]
    return line.rstrip(".")


_UNIT_TAGS: Final = ("wavelength_units", "wavelength_unit")
_SPECTRAL_TAGS: Final = ("wavelength", "fwhm", "bbl")
_CODE: Final = re.compile(r"(epsg|esri|ogc):\w+|\+proj=.*|\{.*", re.IGNORECASE)
_OTHER_SOFTWARE: Final = ("ImageJ=", "<OME", "<?xml", '{"shape"')
"""Beginnings of TIFF descriptions that speak of the layout of the file they were written in."""


def metadata_of(
    dataset: Any, indexes: Sequence[int], beside: SpectralSource | None = None
) -> SceneMetadata:
    """What an open rasterio dataset, and a header beside it, say of the bands with these indexes.

    The indexes are 1-based. Statistics are left out: they belong to the numbers they were made
    from.

    Raises:
        InputDataError: The bands differ in type, hold no real numbers, or a field does not fit.
    """
    said = dataset.descriptions  # asks every band
    names = [said[i - 1] or "" for i in indexes]
    sources = spectral_sources(dataset, indexes)
    own = [beside] if beside else []
    return SceneMetadata(
        rows=dataset.height,
        cols=dataset.width,
        stored=stored_numbers(dataset, indexes),
        spectral_axis=merged_axis(
            len(indexes),
            [*sources, *own, source_from_names(names)],
            names if any(names) else None,
        ),
        georeference=georeference_of(dataset),
        header=carried_fields(_own_lists(dataset) | _envi_fields(dataset.tags(ns="ENVI"))),
        tags=free_tags(dataset),
        band_tags=_free_band_tags(_band_tags(dataset, indexes), sources[0]),
    )


def _band_tags(dataset: Any, indexes: Sequence[int]) -> list[dict[str, str]]:
    return [{**dataset.tags(i, ns="ENVI"), **dataset.tags(i)} for i in indexes]


def spectral_sources(dataset: Any, indexes: Sequence[int]) -> list[SpectralSource]:
    """The spectral fields of an open rasterio dataset, most trusted place first."""
    return [
        band_tag_source(_band_tags(dataset, indexes)),
        source_from_fields(_own_lists(dataset)),
        source_from_fields(_envi_fields(dataset.tags(ns="ENVI"))),
        _imagery_source([dataset.tags(i, ns="IMAGERY") for i in indexes]),
    ]


def _own_lists(dataset: Any) -> dict[str, str]:
    """Spectral fields of the dataset's default domain, if there is a list among them."""
    own = dataset.tags()
    listed = any(_is_spectral_list(*tag) for tag in own.items())
    return {key: v for key, v in _envi_fields(own).items() if listed and key in SPECTRAL_FIELDS}


def _envi_fields(tags: Mapping[str, str]) -> dict[str, str]:
    """GDAL tags under the names that an ENVI header has for them."""
    return {key.lower().replace("_", " "): text for key, text in tags.items()}


def _is_spectral_list(key: str, text: str) -> bool:
    """True for a tag of the dataset that holds one number for each band, as EnMAP-Box writes."""
    return key.lower() in _SPECTRAL_TAGS and bool(re.search(r"[{\[,]|\d\s+\d", text))


def georeference_of(dataset: Any) -> Georeference:
    """How the pixels of an open rasterio dataset map to the ground.

    GDAL answers with an identity transform where there is none; that is taken as none. Its driver
    of PNM leaves in it what memory held.
    """
    gcps, gcps_crs = dataset.gcps
    transform = dataset.transform
    has_none = transform.is_identity or dataset.driver == "PNM"
    return Georeference(
        crs_wkt=wkt_of(dataset.crs),
        transform=None if has_none else transform,
        gcps=tuple(
            GroundControlPoint(
                row=p.row, col=p.col, x=p.x, y=p.y, z=p.z or 0.0, id=p.id, info=p.info or ""
            )
            for p in gcps
        ),
        gcps_crs_wkt=wkt_of(gcps_crs),
        rpcs=MappingProxyType(dict(dataset.tags(ns="RPC"))),
    )


def free_tags(dataset: Any, *, lists: bool = False) -> dict[str, str]:
    """Tags of the dataset, save spectral lists and what speaks of another file's layout."""
    return {
        key: text
        for key, text in dataset.tags().items()
        if not (key == "TIFFTAG_IMAGEDESCRIPTION" and text.startswith(_OTHER_SOFTWARE))
        and (lists or not _is_spectral_list(key, text))
    }


def band_tag_source(tags: Sequence[Mapping[str, str]]) -> SpectralSource:
    """The spectral fields that every band's default domain has; unusable ones are left out."""
    lower = [{key.lower(): text for key, text in band.items()} for band in tags]
    said = ([band[key] for key in _UNIT_TAGS if key in band] for band in lower)
    units = {units[0] for units in said if units}
    wavelengths, fwhm, bbl = (_of_every_band(lower, key) for key in _SPECTRAL_TAGS)
    if len(units) > 1:
        warn_of_scene(
            f"wavelengths left out: the bands name several units ({', '.join(units)}), expected one"
        )
        return source_from_text(bbl=bbl)
    unit = next(iter(units), None)
    return source_from_text(wavelengths=wavelengths, fwhm=fwhm, bbl=bbl, unit=unit)


def _imagery_source(tags: Sequence[Mapping[str, str]]) -> SpectralSource:
    return source_from_text(
        wavelengths=_of_every_band(tags, "CENTRAL_WAVELENGTH_UM"),
        fwhm=_of_every_band(tags, "FWHM_UM"),
        unit="Micrometers",
    )


def _of_every_band(tags: Sequence[Mapping[str, str]], key: str) -> list[str] | None:
    found = [band[key] for band in tags if key in band]
    if found and len(found) < len(tags):
        warn_of_scene(f"{key} left out: found {len(found)} for {len(tags)} bands")
    return found if found and len(found) == len(tags) else None


def _free_band_tags(
    tags: Sequence[Mapping[str, str]], source: SpectralSource
) -> tuple[Mapping[str, str], ...]:
    """Band tags that nothing else here carries; spectral ones stay if they could not be used."""
    fields = zip(_SPECTRAL_TAGS, (source.wavelengths, source.fwhm, source.good), strict=True)
    used = {key for key, values in fields if values is not None}
    if used & {"wavelength", "fwhm"}:
        used |= set(_UNIT_TAGS)
    free = tuple(
        {k: v for k, v in b.items() if k.lower() not in used and not k.startswith("STATISTICS_")}
        for b in tags
    )
    return free if any(free) else ()


def stored_numbers(dataset: Any, indexes: Sequence[int]) -> StoredNumbers:
    """How an open rasterio dataset stores the numbers of these 1-based bands.

    Raises:
        InputDataError: The bands differ in type, or hold no real numbers.
    """
    of_all_bands, missing = dataset.dtypes, dataset.nodatavals  # asked once: each asks every band
    types = {of_all_bands[i - 1] for i in indexes}
    if len(types) > 1 or any(name.startswith("complex") for name in types):
        raise InputDataError(
            f"found bands of type {' and '.join(sorted(types))}, expected integers or floats of "
            "one type in all bands; convert the file first"
        )
    scales, offsets, units = (
        [values[i - 1] for i in indexes]
        for values in (dataset.scales, dataset.offsets, dataset.units)
    )
    scaled = any(s != 1 for s in scales) or any(o != 0 for o in offsets)
    nodata = [missing[i - 1] for i in indexes]
    return StoredNumbers(
        dtype=np.dtype(types.pop()),
        nodata=next((n for n in nodata if n is not None), None),
        scales=tuple(scales) if scaled else None,
        offsets=tuple(offsets) if scaled else None,
        units=tuple(unit or "" for unit in units) if any(units) else None,
    )


_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def write_tags(dataset: Any, metadata: SceneMetadata, *, envi_domain_kept: bool) -> None:
    """Fill a rasterio dataset open for writing: tags, GCPs, RPCs, the ENVI domain, and the bands.

    Where the format does not keep the ENVI domain (GDAL's COG driver drops it), the header's fields
    go into the default domain.
    """
    place, tags = metadata.georeference, dataset_tags(metadata)
    if place.gcps:
        tags.pop("AREA_OR_POINT", None)  # with Point GDAL 3.10 moves them by a pixel
    if envi_domain_kept:
        dataset.update_tags(**tags)
        if fields := envi_domain(metadata):
            dataset.update_tags(ns="ENVI", **fields)
    else:
        dataset.update_tags(**(header_tags(metadata) | tags))
    if place.gcps:
        crs = parsed_crs(place.gcps_crs_wkt) if place.gcps_crs_wkt else CRS()
        dataset.gcps = (gdal_points(place), crs)
    if place.rpcs:
        dataset.update_tags(ns="RPC", **place.rpcs)
    _write_bands(dataset, metadata)


def gdal_points(place: Georeference) -> list[GdalPoint]:
    """Ground control points as rasterio has them."""
    return [
        GdalPoint(row=p.row, col=p.col, x=p.x, y=p.y, z=p.z, id=p.id or str(n), info=p.info)
        for n, p in enumerate(place.gcps, start=1)
    ]


def _write_bands(dataset: Any, metadata: SceneMetadata) -> None:
    stored = metadata.stored
    if (shown := shown_bands(metadata)) is not None and len(set(shown)) == len(shown):
        colours = list(dataset.colorinterp)
        for band, colour in zip(shown, _RGB, strict=True):
            colours[band] = colour
        dataset.colorinterp = colours
    if stored.scales is not None:
        dataset.scales = stored.scales
    if stored.offsets is not None:
        dataset.offsets = stored.offsets
    for band in range(metadata.bands):
        number = band + 1
        if metadata.spectral_axis.names:
            dataset.set_band_description(number, metadata.spectral_axis.names[band])
        if stored.units and stored.units[band]:
            dataset.set_band_unit(number, stored.units[band])
        if tags := band_tags(metadata, band):
            dataset.update_tags(number, **tags)
        if tags := imagery_tags(metadata, band):
            dataset.update_tags(number, ns="IMAGERY", **tags)
