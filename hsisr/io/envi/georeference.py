"""Where an ENVI scene lies: the transform from its map info, the rest as GDAL reads the header.

GDAL refuses some data files that other software reads, so it is shown a file of one pixel, in
memory, that has the same geographic fields.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.io import MemoryFile

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.io.envi.files import listed
from hsisr.io.envi.map_info import MapInfo, parse_map_info
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.io.geotiff.tags import georeference_of, spectral_sources, wkt_of
from hsisr.io.spectral import SpectralSource
from hsisr.scene.georeference import Georeference

_CRS: Final = "coordinate system string"
_ONE_PIXEL: Final = (
    *("ENVI", "samples = 1", "lines = 1", "header offset = 0", "data type = 1"),
    *("file type = ENVI Standard", "interleave = bsq", "byte order = 0"),
)
_NO_SYSTEM: Final = ("LOCAL_CS", "ENGCRS", "ENGINEERINGCRS")
"""How GDAL begins what it makes of projections that it does not know."""


def envi_georeference(fields: Mapping[str, str], sidecar: Path | None = None) -> Georeference:
    """The georeference that the fields of a header describe; nothing if they describe none.

    Args:
        fields: The header.
        sidecar: GDAL's `.aux.xml` beside the data file, if there is one; GDAL lets it say more
            than the header.

    Warns:
        HsisrWarning: Map info or the coordinate system string cannot be understood.

    Raises:
        InputDataError: GDAL cannot make sense of geo points or RPC.
    """
    known = {key: fields[key] for key in ("geo points", "rpc info") if key in fields}
    system = _system(fields.get(_CRS, ""))
    info = None
    if "map info" in fields:
        info = parse_map_info(listed(fields["map info"]), has_crs=system is not None)
    if system is not None:
        known[_CRS] = fields[_CRS]
    elif "projection info" in fields:
        known["projection info"] = fields["projection info"]
    if info is not None:
        known["map info"] = info.gdal_text or "{Arbitrary, 1, 1, 0, 0, 1, 1}"
    if not known and sidecar is None:
        return Georeference()
    text = sidecar.read_text("utf-8", "replace") if sidecar else ""
    return _with_own(_by_gdal(known, sidecar), info, system, sidecar_text=text)


def _system(text: str) -> CRS | None:
    """The coordinate system string, in ESRI's dialect of WKT or any other."""
    wkt = text.strip().removeprefix("{").removesuffix("}").strip()
    if not wkt:
        return None
    try:
        return CRS.from_wkt(wkt, morph_from_esri_dialect=not wkt.startswith(_WKT2))
    except CRSError:
        warn_of_scene(f"coordinate system string left out: PROJ does not understand {wkt[:60]!r}")
        return None


_WKT2: Final = ("GEOGCRS", "GEODCRS", "PROJCRS", "BOUNDCRS", "COMPOUNDCRS", "DERIVEDPROJCRS")


def _with_own(
    gdal: Georeference, info: MapInfo | None, system: CRS | None, *, sidecar_text: str
) -> Georeference:
    """GDAL's reading, with the transform and the system that hsisr reads itself."""
    crs, transform = gdal.crs_wkt, gdal.transform
    if crs is not None and crs.startswith(_NO_SYSTEM):
        crs = None
        if system is not None:
            crs = wkt_of(system)
        elif info is not None and info.epsg is not None:
            crs = wkt_of(CRS.from_epsg(info.epsg))
        elif info is not None and info.gdal_text and "Arbitrary" not in info.gdal_text:
            name = listed(info.gdal_text)[0]
            warn_of_scene(
                f"map info: the projection {name!r} is not known; the coordinate reference system "
                "is unknown"
            )
    if crs is None and system is not None:
        crs = wkt_of(system)
    if "<GeoTransform>" not in sidecar_text:
        transform = info.transform if info else None
        transform = None if transform is None or transform.is_identity else transform
    return replace(gdal, crs_wkt=crs, transform=transform)


def sidecar_sources(sidecar: Path, bands: int) -> list[SpectralSource]:
    """The spectral fields in GDAL's `.aux.xml` beside a data file of so many bands.

    Warns:
        HsisrWarning: The file cannot be read.
    """
    try:
        with _one_pixel({}, sidecar, bands) as dataset:
            return spectral_sources(dataset, dataset.indexes)
    except (RasterioError, OSError) as error:
        warn_of_scene(f"{sidecar.name} left out: {error}")
        return []


def _by_gdal(fields: Mapping[str, str], sidecar: Path | None) -> Georeference:
    try:
        with _one_pixel(fields, sidecar) as dataset:
            return georeference_of(dataset)
    except RasterioError as error:
        raise InputDataError(
            f"the header's place cannot be understood ({error}); correct or remove it"
        ) from error


@contextmanager
def _one_pixel(fields: Mapping[str, str], sidecar: Path | None, bands: int = 1) -> Iterator[Any]:
    """An ENVI file of one pixel in memory with these fields and this sidecar, opened by GDAL."""
    lines = [f"{key} = {text}" for key, text in fields.items()]
    header = "\n".join([*_ONE_PIXEL, f"bands = {bands}", *lines, ""]).encode()
    place = {"dirname": f"hsisr-{uuid4().hex}"}
    with (
        gdal_env(),
        MemoryFile(bytes(max(64, bands)), filename="scene.img", **place) as image,
        MemoryFile(header, filename="scene.hdr", **place),
        _in_memory(sidecar, place),
        image.open(driver="ENVI") as dataset,
    ):
        yield dataset


def _in_memory(sidecar: Path | None, place: Mapping[str, str]) -> AbstractContextManager[Any]:
    if sidecar is None:
        return nullcontext()
    copy: AbstractContextManager[Any] = MemoryFile(
        sidecar.read_bytes(), filename="scene.img.aux.xml", **place
    )
    return copy
