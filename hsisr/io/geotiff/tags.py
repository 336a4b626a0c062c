"""Metadata of a scene in GDAL's tags: read from where it may live, written where readers look.

Spectral fields live in many places: tags of each band's default domain (EnMAP-Box, this tool) or
ENVI domain, lists in the dataset's default domain (EnMAP-Box) or ENVI domain, each band's IMAGERY
domain, an ENVI header beside the file, the names of the bands. They are trusted in this order;
GDAL derives IMAGERY from the ENVI domain with three decimals of a micrometre.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from rasterio.control import GroundControlPoint as GdalPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, WktVersion
from rasterio.errors import CRSError

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


def wkt_of(crs: CRS | None) -> str | None:
    """WKT2, which keeps everything, or the older form where GDAL cannot write that."""
    if not crs:
        return None
    try:
        return str(crs.to_wkt(version=WktVersion.WKT2_2019))
    except CRSError:
        return str(crs.to_wkt())


_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def creation_profile(metadata: SceneMetadata) -> dict[str, Any]:
    """What `rasterio.open` must know when it creates a file; absent where nothing is known."""
    stored, place = metadata.stored, metadata.georeference
    nodata = stored.nodata
    if nodata is not None and stored.dtype.kind in "iu" and nodata == nodata // 1:
        nodata = int(nodata)
    profile = {
        "width": metadata.cols,
        "height": metadata.rows,
        "count": metadata.bands,
        "dtype": stored.dtype.name,
        "nodata": nodata,
        "transform": place.transform,
        "crs": parsed_crs(place.crs_wkt) if place.crs_wkt else None,
    }
    return {key: value for key, value in profile.items() if value is not None}


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
