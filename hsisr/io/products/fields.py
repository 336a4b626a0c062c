"""What all products say of themselves, in the header fields that outputs carry on.

`sensor type`, `acquisition time`, `sun azimuth` and `sun elevation` are ENVI's own names (ENVI
header format, NV5 Geospatial); `product` and `processing level` are fields of this tool.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsisr.errors import InputDataError
from hsisr.io.arrays.axes import ArrayScene, BandSource, sizes
from hsisr.io.products.hdf import HdfFile
from hsisr.scene.georeference import Geolocation, Georeference
from hsisr.scene.metadata import SceneMetadata, SpectralAxis, StoredNumbers

ACDD: Final = {
    "title": "product",
    "instrument": "sensor type",
    "processing_level": "processing level",
    "time_coverage_start": "acquisition time",
}
"""Attributes of netCDF files, and header fields. Source: Attribute Convention for Data Discovery
1.3."""


def product_header(
    mission: str,
    level: str,
    kind: str,
    *,
    sensor: str | None = None,
    acquired: str | None = None,
    sun_azimuth: float | None = None,
    sun_elevation: float | None = None,
    sun_zenith: float | None = None,
) -> dict[str, str]:
    """Header fields of a product, such as EMIT, L2A, reflectance; what is not known is left out.

    The sensor is the mission's unless it has a name. The time is that of the first line (UTC), the
    sun's angles are degrees at the centre of the scene, its azimuth clockwise from north.

    >>> product_header("p", "L1", "k", sun_zenith=59.5)["sun elevation"]
    '30.5'
    """
    if sun_elevation is None and sun_zenith is not None:
        sun_elevation = 90 - sun_zenith
    angles = {"sun azimuth": sun_azimuth, "sun elevation": sun_elevation}
    return {
        "product": f"{mission} {level} {kind}",
        "processing level": level,
        "sensor type": sensor or mission,
        **({"acquisition time": iso_time(acquired)} if acquired else {}),
        **{key: f"{angle:.6g}" for key, angle in angles.items() if angle is not None},
    }


def product_scene(
    path: Path,
    file: HdfFile,
    mission: str,
    sources: Sequence[BandSource],
    *,
    axis: SpectralAxis,
    place: Georeference | Geolocation,
    header: Mapping[str, str],
    units: str | None = None,
    tags: Mapping[str, str] | None = None,
    mask: Callable[[tuple[slice, slice]], Any] | None = None,
    **stored: Any,
) -> ArrayScene:
    """The cube of a product in an open file, which the scene closes; see `ArrayScene`.

    Its place is a map grid or the positions of its pixels, `units` are those of the values in all
    bands; `stored` are further fields of `StoredNumbers`.
    """
    array, swath = sources[0].array, place if isinstance(place, Geolocation) else None
    _, rows, cols = sizes(array.shape, sources[0].axes)
    metadata = SceneMetadata(
        rows=rows,
        cols=cols,
        stored=StoredNumbers(
            dtype=array.dtype.newbyteorder("="),
            units=(units,) * axis.count if units else None,
            **stored,
        ),
        spectral_axis=axis,
        georeference=swath_georeference(place) if isinstance(place, Geolocation) else place,
        geolocation=swath,
        header=header,
        tags=tags or {},
    )
    return ArrayScene(path, mission, metadata, sources, mask=mask, file=file, errors=file.errors)


def iso_time(text: str) -> str:
    """A UTC time the way ISO 8601 writes it, `Z` for the zone, as ENVI does.

    >>> iso_time("2022-08-27T06:07:53+0000"), iso_time("2024-04-02 10:28:37.932")
    ('2022-08-27T06:07:53Z', '2024-04-02T10:28:37.932Z')
    """
    plain = re.sub(r"(\+00:?00|Z)$", "", text.strip().replace(" ", "T"))
    return plain + "Z" if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+", plain) else text.strip()


def time_in(name: str) -> str | None:
    """The time in the name of a file, None if there is none.

    >>> time_in("AV320240905t181848_000_L2A_OE.nc")
    '2024-09-05T18:18:48Z'
    """
    time = re.search(r"(\d{4})(\d\d)(\d\d)[t_](\d\d)(\d\d)(\d\d)_", name)
    return "{}-{}-{}T{}:{}:{}Z".format(*time.groups()) if time else None


def rising_axis(
    wavelengths: Sequence[float] | None,
    fwhm: Sequence[float] | None = None,
    good: Sequence[float] | None = None,
    *,
    where: str,
) -> SpectralAxis:
    """A spectral axis in nm whose wavelengths rise, as those of all products do; 0 is a bad band.

    InputDataError: there are none, or one is not above the one before; bands may be swapped.
    """
    if wavelengths is None:
        raise InputDataError(f"found no {where}, expected one for each band")
    for band, (before, here) in enumerate(pairwise(wavelengths), start=1):
        if not here > before:
            raise InputDataError(
                f"{where}: band {band + 1} has {here:g} nm after {before:g} nm, expected rising "
                "wavelengths as the product is specified; the file was changed or is damaged"
            )
    return SpectralAxis(
        count=len(wavelengths),
        wavelengths_nm=tuple(wavelengths),
        fwhm_nm=None if fwhm is None else tuple(fwhm),
        good=None if good is None else tuple(flag != 0 for flag in good),
    )


def refuse_level(level: str, *, product: str, expected: str) -> None:
    """Refuse raw data, levels L0 and L1A, which are no images yet, by an InputDataError."""
    if level.upper() in ("L0", "L1A", "0", "1A"):
        raise InputDataError(
            f"{product} of level {level} holds raw counts, expected {expected}; order that level "
            "from the archive"
        )


def crs_of_epsg(code: object) -> str:
    """WKT of a reference system by its EPSG number; InputDataError: there is none of that number.

    >>> crs_of_epsg("32632")[:8]
    'PROJCS["'
    """
    try:
        return str(CRS.from_epsg(int(str(code).strip().removeprefix("EPSG:"))).to_wkt())
    except (CRSError, ValueError) as error:
        raise InputDataError(f"found the EPSG code {code!r}, expected one that exists") from error


def swath_georeference(places: Geolocation) -> Georeference:
    """Ground control points in WGS 84 for formats that have no place for each pixel's position."""
    return Georeference(gcps=places.control_points(), gcps_crs_wkt=crs_of_epsg(4326))
