"""Planet Tanager: basic (swath) and ortho (grid) radiance and surface reflectance, HDF-EOS5.

Axes (bands, rows, cols); wavelengths, widths and good bands are attributes of the cube. The place
is in the JSON attribute `Planet_Ortho_Framing`, else in StructMetadata. Source: Tanager Product
Specification, Planet, November 2025, section 3.6.
"""

import json
import re
from pathlib import Path
from typing import Final

import numpy as np
from affine import Affine

from hsisr.errors import InputDataError
from hsisr.io.arrays.axes import ArrayScene, whole
from hsisr.io.products.fields import crs_of_epsg, product_header, product_scene, rising_axis
from hsisr.io.products.hdf import HdfFile
from hsisr.scene.georeference import Georeference

_SWATH, _GRID = "HDFEOS/SWATHS/HYP", "HDFEOS/GRIDS/HYP"
_CUBES: Final = ("surface_reflectance", "toa_radiance")
_FILL: Final = -9999.0
_STRUCTURE: Final = "HDFEOS INFORMATION/StructMetadata.0"


def is_tanager(file: HdfFile) -> bool:
    """True for a swath or a grid of that name."""
    return _SWATH in file or _GRID in file


def open_tanager(path: Path, file: HdfFile, variable: str | None) -> ArrayScene:
    """Open the data field `variable` (see `open_hdf`), else reflectance, else radiance."""
    group = _GRID if _GRID in file else _SWATH
    fields = f"{group}/Data Fields"
    name = variable or next((n for n in _CUBES if f"{fields}/{n}" in file), _CUBES[0])
    data = f"{fields}/{name}"
    cube = file.cube(data)
    bands, rows, cols = cube.shape
    ortho, middle = group == _GRID, (rows // 2, cols // 2)
    level, swath = "ortho" if ortho else "basic", f"{_SWATH}/Geolocation Fields"
    flags, fill = f"{fields}/nodata_pixels", file.number("_FillValue", data)
    lost = file.dataset(flags, (rows, cols)) if flags in file else None
    axis = (file.per_band(n, bands, of=data) for n in ("wavelengths", "fwhm", "good_wavelengths"))
    return product_scene(
        path,
        file,
        "Tanager",
        whole(cube, "brc"),
        axis=rising_axis(*axis, where="attribute wavelengths"),
        place=_grid(file, group, rows, cols)
        if ortho
        else file.positions(f"{swath}/Longitude", f"{swath}/Latitude", (rows, cols)),
        header=product_header(
            "Tanager",
            level,
            name,
            acquired=_time(file, fields, middle),
            sun_azimuth=_at(file, f"{fields}/sun_azimuth", middle),
            sun_zenith=_at(file, f"{fields}/sun_zenith", middle),
        ),
        units="W m-2 sr-1 um-1" if name == "toa_radiance" else None,
        mask=None if lost is None else lambda place: lost[place] != 1,
        nodata=_FILL if fill is None else fill,
    )


def _grid(file: HdfFile, group: str, rows: int, cols: int) -> Georeference:
    for where in (group, f"{group}/Data Fields", "/"):
        text = file.text("Planet_Ortho_Framing", where)
        if text is not None:
            return _framed(text, rows, cols)
    text = file.texts(_STRUCTURE)[0]
    corners = (_corner(text, name) for name in ("UpperLeftPointMtrs", "LowerRightMtrs"))
    (west, north), (east, south) = corners
    code = file.attributes(group).get("epsg_code")
    transform = Affine((east - west) / cols, 0, west, 0, (south - north) / rows, north)
    return Georeference(crs_wkt=crs_of_epsg(code), transform=transform)


def _framed(text: str, rows: int, cols: int) -> Georeference:
    try:
        said = json.loads(text)
        transform = Affine.from_gdal(*(float(number) for number in said["geotransform"]))
        size = int(said["rows"]), int(said["cols"])
        crs = crs_of_epsg(said["epsg_code"])
    except (ValueError, TypeError, LookupError) as error:
        raise InputDataError(
            f"Planet_Ortho_Framing is {text[:80]!r}, expected JSON with epsg_code, rows, cols and "
            "geotransform"
        ) from error
    if size != (rows, cols):
        raise InputDataError(f"Planet_Ortho_Framing is for {size} pixels, found {(rows, cols)}")
    return Georeference(crs_wkt=crs, transform=transform)


def _corner(text: str, name: str) -> tuple[float, float]:
    match = re.search(rf"{name}=\(([-+\d.eE]+),([-+\d.eE]+)\)", text)
    if match is None:
        raise InputDataError(f"StructMetadata names no {name}, expected a corner of the grid")
    return float(match[1]), float(match[2])


def _at(file: HdfFile, name: str, place: tuple[int, int]) -> float | None:
    """A number in the middle of the scene, if there is one."""
    if name not in file:
        return None
    value = float(file.dataset(name)[place])
    return value if np.isfinite(value) and value != _FILL else None


def _time(file: HdfFile, fields: str, middle: tuple[int, int]) -> str | None:
    """UTC of the first line, of an ortho product that of the middle; seconds since 1970."""
    lines = f"{_SWATH}/Geolocation Fields/Time"
    if lines in file:
        seconds = float(np.ravel(file.numbers(lines))[0])
    else:
        seconds = _at(file, f"{fields}/time", middle) or float("nan")
    if not 0 < seconds < 1e11:
        return None
    return str(np.datetime64(round(seconds * 1e3), "ms"))
