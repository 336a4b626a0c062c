"""PRISMA: L1, L2B, L2C and L2D, HDF-EOS5.

VNIR and SWIR are cubes of their own, axes (rows, bands, cols), wavelengths falling, with zeros for
bands that were not read out. They become one cube of rising wavelengths. Rule for the overlap,
about 943 to 977 nm: SWIR's bands are kept, and VNIR's from SWIR's shortest wavelength on are left
out; `--variable VNIR` or `SWIR` opens one of them with all its bands. Source: PRISMA Products
Specification Document (ASI), issue 2.3.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

from affine import Affine

from hsisr.errors import InputDataError, UsageError
from hsisr.io.arrays.axes import ArrayScene, BandSource
from hsisr.io.products.fields import (
    crs_of_epsg,
    product_header,
    product_scene,
    refuse_level,
    rising_axis,
)
from hsisr.io.products.hdf import HdfFile
from hsisr.scene.georeference import Geolocation, Georeference

_SWATHS: Final = "HDFEOS/SWATHS"
_PIXEL_M: Final = 30.0
_LARGEST: Final = 65535
"""Stored number of the largest value of an L2 product."""


class _Band(NamedTuple):
    wavelength: float
    fwhm: float
    place: int
    """In the cube of its detector."""


class _Detector(NamedTuple):
    """A cube, and its bands that were read out, wavelengths rising."""

    array: Any
    bands: list[_Band]
    scale: float
    offset: float


def _swath(file: HdfFile) -> str | None:
    """Name of the swath of coregistered cubes."""
    names = [name for name in file.names(_SWATHS) if name.startswith("PRS_L")]
    return next((name for name in names if name.endswith("_HCO")), names[0] if names else None)


def is_prisma(file: HdfFile) -> bool:
    """True for a file of the PRISMA mission, whatever its level."""
    return _swath(file) is not None


def open_prisma(path: Path, file: HdfFile, variable: str | None) -> ArrayScene:
    """Open VNIR and SWIR as one cube (see `open_hdf`), or the one that `variable` names."""
    swath = _swath(file) or ""
    level = swath.split("_")[1]
    refuse_level(level, product="PRISMA", expected="L1, L2B, L2C or L2D")
    detectors = _detectors(file, f"{_SWATHS}/{swath}", level, variable)
    shapes = {(d.array.shape[0], d.array.shape[2]) for d in detectors}
    if len(shapes) != 1 or len({d.array.dtype for d in detectors}) != 1:
        raise InputDataError(f"VNIR and SWIR have the sizes {shapes}, expected one size and type")
    radiance, bands = level in ("L1", "L2B"), [band for d in detectors for band in d.bands]
    return product_scene(
        path,
        file,
        "PRISMA",
        [BandSource(d.array, "rbc", [band.place for band in d.bands]) for d in detectors],
        axis=rising_axis(
            [band.wavelength for band in bands],
            [band.fwhm for band in bands],
            where="VNIR and SWIR together",
        ),
        place=_grid(file, *shapes.pop())
        if level == "L2D"
        else _positions(file, f"{_SWATHS}/{swath}/Geolocation Fields", shapes.pop()),
        header=product_header(
            "PRISMA",
            level,
            "radiance" if radiance else "reflectance",
            acquired=file.text("Product_StartTime"),
            sun_azimuth=file.number("Sun_azimuth_angle"),
            sun_zenith=file.number("Sun_zenith_angle"),
        ),
        units="W m-2 sr-1 um-1" if radiance else None,
        nodata=0.0 if level == "L2D" else None,
        scales=tuple(d.scale for d in detectors for _ in d.bands),
        offsets=tuple(d.offset for d in detectors for _ in d.bands),
    )


def _detectors(file: HdfFile, swath: str, level: str, variable: str | None) -> list[_Detector]:
    wanted = (variable or "").upper()
    if wanted not in ("", "VNIR", "SWIR"):
        raise UsageError(f"--variable {variable}: expected VNIR or SWIR, or neither for both")
    names = [name for name in ("Vnir", "Swir") if wanted in ("", name.upper())]
    found = [_detector(file, swath, level, name) for name in names]
    if len(found) == 2:
        vnir, swir = found
        own = [band for band in vnir.bands if band.wavelength < swir.bands[0].wavelength]
        found[0] = vnir._replace(bands=own)
    return found


def _detector(file: HdfFile, swath: str, level: str, name: str) -> _Detector:
    array = file.cube(f"{swath}/Data Fields/{name.upper()}_Cube")
    centres, widths, flags = (
        file.per_band(attribute.format(name), array.shape[1], of="/") or ()
        for attribute in ("List_Cw_{}", "List_Fwhm_{}", "List_Cw_{}_Flags")
    )
    every = enumerate(zip(centres, widths, flags, strict=False))
    bands = [_Band(w, fwhm, n) for n, (w, fwhm, flag) in every if w > 0 and flag != 0][::-1]
    if not bands:
        raise InputDataError(
            f"List_Cw_{name}, List_Fwhm_{name} and List_Cw_{name}_Flags name no band that was read "
            "out, expected a wavelength above 0, a width and a flag of each"
        )
    rising_axis([band.wavelength for band in bands], where=f"List_Cw_{name}, which falls")
    if level == "L1":
        factor = _required(file, f"ScaleFactor_{name}")
        return _Detector(array, bands, 1 / factor, 0.0 - _required(file, f"Offset_{name}"))
    low, high = (_required(file, f"L2Scale{name}{end}") for end in ("Min", "Max"))
    return _Detector(array, bands, (high - low) / _LARGEST, low)


def _required(file: HdfFile, attribute: str) -> float:
    value = file.number(attribute)
    if value is None:
        raise InputDataError(f"found no attribute {attribute}, expected a number")
    return value


def _positions(file: HdfFile, fields: str, shape: tuple[int, int]) -> Geolocation:
    end = next((e for e in ("_VNIR", "", "_SWIR") if f"{fields}/Latitude{e}" in file), "")
    return file.positions(f"{fields}/Longitude{end}", f"{fields}/Latitude{end}", shape)


def _grid(file: HdfFile, rows: int, cols: int) -> Georeference:
    """The map grid of 30 m; the corners' distance tells whether they are centres of pixels."""
    west, north, east, south = (
        _required(file, f"Product_{corner}corner_{axis}")
        for corner in ("UL", "LR")
        for axis in ("easting", "northing")
    )
    for between, shift in ((1, _PIXEL_M / 2), (0, 0.0)):
        if all(
            abs(length - (count - between) * _PIXEL_M) < 1
            for length, count in ((east - west, cols), (north - south, rows))
        ):
            transform = Affine(_PIXEL_M, 0, west - shift, 0, -_PIXEL_M, north + shift)
            return Georeference(
                crs_wkt=crs_of_epsg(file.attributes().get("Epsg_Code")), transform=transform
            )
    raise InputDataError(
        f"the corners lie {east - west:g} x {north - south:g} m apart, expected {cols} x {rows} "
        f"pixels of {_PIXEL_M:g} m between them"
    )
