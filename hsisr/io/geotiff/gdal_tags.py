"""SceneMetadata written into a GDAL dataset, in every place where readers look."""

from typing import Any

from rasterio.control import GroundControlPoint as GdalPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError

from hsisr.errors import InputDataError
from hsisr.io.spectral import (
    band_tags,
    dataset_tags,
    envi_domain,
    header_tags,
    imagery_tags,
    shown_bands,
)
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import SceneMetadata

_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def creation_profile(metadata: SceneMetadata) -> dict[str, Any]:
    """What `rasterio.open` must know when it creates a file; absent where nothing is known."""
    stored, place = metadata.stored, metadata.georeference
    profile: dict[str, Any] = {
        "width": metadata.cols,
        "height": metadata.rows,
        "count": metadata.bands,
        "dtype": stored.dtype.name,
    }
    if stored.nodata is not None:
        whole = stored.dtype.kind in "iu" and stored.nodata == stored.nodata // 1
        profile["nodata"] = int(stored.nodata) if whole else stored.nodata
    if place.transform is not None:
        profile["transform"] = place.transform
    if place.crs_wkt:
        profile["crs"] = parsed_crs(place.crs_wkt)
    return profile


def write_tags(dataset: Any, metadata: SceneMetadata, *, envi_domain_kept: bool) -> None:
    """Fill a dataset open for writing.

    Bands get their names as descriptions (none where the input names none), and tags; the
    dataset gets its own tags, GCPs, RPCs and the ENVI domain.

    Args:
        dataset: A rasterio dataset in mode "w".
        metadata: What to say.
        envi_domain_kept: The format keeps the ENVI domain; where it does not (GDAL's COG driver
            drops it), the header's fields go into the default domain.
    """
    if envi_domain_kept:
        dataset.update_tags(**dataset_tags(metadata))
        if fields := envi_domain(metadata):
            dataset.update_tags(ns="ENVI", **fields)
    else:
        dataset.update_tags(**(header_tags(metadata) | dataset_tags(metadata)))
    _write_place(dataset, metadata.georeference)
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


def gdal_points(place: Georeference) -> list[GdalPoint]:
    """Ground control points as rasterio has them."""
    return [
        GdalPoint(row=p.row, col=p.col, x=p.x, y=p.y, z=p.z, id=p.id or str(n), info=p.info)
        for n, p in enumerate(place.gcps, start=1)
    ]


def _write_place(dataset: Any, place: Georeference) -> None:
    if place.gcps:
        crs = parsed_crs(place.gcps_crs_wkt) if place.gcps_crs_wkt else CRS()
        dataset.gcps = (gdal_points(place), crs)
    if place.rpcs:
        dataset.update_tags(ns="RPC", **place.rpcs)


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
