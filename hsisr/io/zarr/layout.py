"""A scene in the words of Zarr stores: CF attributes, coordinates, and xarray's dimensions.

Version 2 of the format, since GDAL up to 3.10 at least does not read the codecs of version 3 that
zarr-python writes, while xarray and zarr-python read both. Dimensions are named the way xarray
names them in version 2 (`_ARRAY_DIMENSIONS`), the place is told twice, as CF coordinates of pixel
centres (GDAL) and as `crs_wkt` and `GeoTransform` of a grid mapping (rioxarray, and GDAL for the
reference system); `_CRS` tells the reference system to GDAL before 3.8. A turned grid has no such
coordinates; only `GeoTransform` tells it.

Everything here turns `SceneMetadata` into names and numbers; nothing touches a file.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsisr.io.spectral import dataset_tags, free_fields
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import SceneMetadata, SpectralAxis

DIMENSIONS: Final = "_ARRAY_DIMENSIONS"
CUBE: Final = "data"
MASK: Final = "mask"
MASK_MEANINGS: Final = "no_data data"
"""Of 0 and 1 in it."""
PLACE: Final = "spatial_ref"
OWN_ATTRIBUTES: Final = frozenset(
    {DIMENSIONS, "_CRS", "_FillValue", "missing_value", "add_offset", "scale_factor", "units"}
    | {"valid_min", "valid_max", "valid_range", "actual_range"}
    | {"band_tags", "band_units", "coordinates", "envi_header", "grid_mapping", "tags"}
)
"""Attributes of a cube that are no tags."""


@dataclass(frozen=True, slots=True, eq=False)
class Coordinate:
    """A small array beside the cube."""

    dimensions: tuple[str, ...]
    values: npt.NDArray[Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)


def coordinates(metadata: SceneMetadata) -> dict[str, Coordinate]:
    """The arrays beside the cube by name; a field that is unknown is absent."""
    return {
        **_spectrum(metadata.spectral_axis),
        **_scaling(metadata),
        **_centres(metadata),
        **_place(metadata.georeference),
    }


def cube_attributes(metadata: SceneMetadata) -> dict[str, Any]:
    """Attributes of the cube: CF's, the tags one by one, and what has no name in CF."""
    stored, beside, place = metadata.stored, coordinates(metadata), metadata.georeference
    tags = dataset_tags(metadata)
    shared = {
        "scale_factor": _shared(stored.scales),
        "add_offset": _shared(stored.offsets),
        "units": _shared(stored.units),
    }
    own: dict[str, Any] = {
        **{key: value for key, value in shared.items() if value is not None},
        "coordinates": " ".join(name for name in beside if name not in ("x", "y")),
        "grid_mapping": PLACE if PLACE in beside else None,
        "_CRS": {"wkt": place.crs_wkt} if place.crs_wkt else None,
        "envi_header": free_fields(metadata),
        "band_tags": [dict(band) for band in metadata.band_tags],
        "tags": {key: text for key, text in tags.items() if key in OWN_ATTRIBUTES},
    }
    if stored.units and shared["units"] is None:
        own["band_units"] = list(stored.units)
    flat = {key: text for key, text in tags.items() if key not in OWN_ATTRIBUTES}
    return flat | {key: value for key, value in own.items() if value not in (None, "", {}, [])}


def _spectrum(axis: SpectralAxis) -> dict[str, Coordinate]:
    """Wavelengths and widths in nanometres; `source_units` is the unit of the input."""
    units = {"units": "nm", "source_units": axis.unit}
    centre = {"standard_name": "radiation_wavelength", "long_name": "band centre", **units}
    width = {"long_name": "full width at half maximum", **units}
    flag = {"long_name": "good band", "flag_values": [0, 1], "flag_meanings": "bad good"}
    rows: tuple[tuple[str, Any, Any, Mapping[str, Any]], ...] = (
        ("wavelength", axis.wavelengths_nm, np.float64, centre),
        ("fwhm", axis.fwhm_nm, np.float64, width),
        ("good_bands", axis.good, np.uint8, flag),
        ("band_name", axis.names, np.str_, {"long_name": "name of the band"}),
    )
    return {
        name: Coordinate(("band",), np.array(values, dtype), said)
        for name, values, dtype, said in rows
        if values
    }


def _scaling(metadata: SceneMetadata) -> dict[str, Coordinate]:
    """Scales and offsets that differ from band to band, which CF cannot say."""
    stored = metadata.stored
    found = {"band_scale": stored.scales, "band_offset": stored.offsets}
    return {
        name: Coordinate(("band",), np.array(values, np.float64))
        for name, values in found.items()
        if values is not None and _shared(values) is None
    }


def _centres(metadata: SceneMetadata) -> dict[str, Coordinate]:
    """Where the middles of the pixels lie; none on a turned grid."""
    t = metadata.georeference.transform
    if t is None or t.b or t.d:
        return {}
    x = t.c + t.a * (np.arange(metadata.cols) + 0.5)
    across, down = _axis_words(metadata.georeference.crs_wkt, float(x.max()))
    return {
        "x": Coordinate(("x",), x, across),
        "y": Coordinate(("y",), t.f + t.e * (np.arange(metadata.rows) + 0.5), down),
    }


def _axis_words(crs_wkt: str | None, largest: float) -> tuple[dict[str, str], dict[str, str]]:
    """CF's words for the axes of a reference system. Source: CF conventions 1.10, 4.1 and 5.6.

    GDAL 3.10 takes 180 to 540 on an `axis` X of another unit than metres, or none, for longitudes,
    and subtracts 360; so there it is called a coordinate of a projection only.
    """
    x, y = {"axis": "X"}, {"axis": "Y"}
    projected = (
        {"standard_name": "projection_x_coordinate"},
        {"standard_name": "projection_y_coordinate"},
    )
    try:
        crs = CRS.from_wkt(crs_wkt) if crs_wkt else None
    except CRSError:
        crs = None
    if crs is not None and crs.is_geographic:
        x |= {"standard_name": "longitude", "units": "degrees_east"}
        y |= {"standard_name": "latitude", "units": "degrees_north"}
    elif crs is not None and crs.is_projected:
        metres = crs.linear_units in ("metre", "meter")
        unit = {"units": "m" if metres else crs.linear_units}
        x, y = ((a if metres else {}) | b | unit for a, b in zip((x, y), projected, strict=True))
    elif largest > 180:
        x, y = projected
    return x, y


def _place(place: Georeference) -> dict[str, Coordinate]:
    """The grid mapping; GCPs and RPCs, which no convention has, lie in it too."""
    numbers = () if place.transform is None else place.transform.to_gdal()
    every = {
        "crs_wkt": place.crs_wkt,
        "spatial_ref": place.crs_wkt,
        "GeoTransform": " ".join(repr(float(n)) for n in numbers),
        "gcps": json.dumps([asdict(point) for point in place.gcps]) if place.gcps else "",
        "gcps_crs_wkt": place.gcps_crs_wkt,
        "rpcs": json.dumps(dict(place.rpcs)) if place.rpcs else "",
    }
    said = {name: text for name, text in every.items() if text}
    return {PLACE: Coordinate((), np.array(0, np.int64), said)} if said else {}


def _shared(values: tuple[Any, ...] | None) -> Any:
    """The value that all bands share; None if there is none."""
    return values[0] if values and all(value == values[0] for value in values) else None
