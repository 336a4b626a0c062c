"""PRISMA: L1, L2B, L2C and L2D, HDF-EOS5.

VNIR and SWIR are cubes of their own, axes (rows, bands, cols), wavelengths falling, with zeros for
bands that were not read out. They become one cube of rising wavelengths. Rule for the overlap,
about 940 to 970 nm: SWIR's bands are kept, and VNIR's from SWIR's shortest wavelength on are left
out; `--variable VNIR` or `SWIR` opens one of them with all its bands. Source: PRISMA Products
Specification Document (ASI), issue 2.3.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from affine import Affine

from hsisr.errors import InputDataError, UsageError
from hsisr.io.arrays.axes import ArrayScene, BandSource
from hsisr.io.products.fields import (
    crs_of_epsg,
    cube_metadata,
    product_header,
    refuse_level,
    rising_axis,
)
from hsisr.io.products.hdf import HdfFile, hdf_scene
from hsisr.scene.georeference import Geolocation, Georeference

_SWATHS: Final = "HDFEOS/SWATHS"
_PIXEL_M: Final = 30.0
_LARGEST: Final = 65535
"""Stored number of the largest value of an L2 product."""


@dataclass(frozen=True, slots=True)
class _Detector:
    """What is known of the bands of one cube that were read out, wavelengths rising."""

    array: Any
    bands: tuple[int, ...]
    wavelengths: tuple[float, ...]
    fwhm: tuple[float, ...]
    scale: float
    offset: float

    def below(self, limit: float) -> "_Detector":
        """Without the bands from a wavelength on."""
        kept = sum(w < limit for w in self.wavelengths)
        own = self.bands[:kept], self.wavelengths[:kept], self.fwhm[:kept]
        return replace(self, bands=own[0], wavelengths=own[1], fwhm=own[2])


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
    rows, cols = shapes.pop()
    radiance = level in ("L1", "L2B")
    metadata = cube_metadata(
        (sum(len(d.bands) for d in detectors), rows, cols),
        detectors[0].array.dtype,
        axis=rising_axis(
            [w for d in detectors for w in d.wavelengths],
            where="VNIR and SWIR together",
            fwhm=tuple(w for d in detectors for w in d.fwhm),
        ),
        place=_grid(file, rows, cols)
        if level == "L2D"
        else _positions(file, f"{_SWATHS}/{swath}/Geolocation Fields", (rows, cols)),
        header=product_header(
            "PRISMA",
            level,
            "radiance" if radiance else "reflectance",
            acquired=file.text("Product_StartTime"),
            sun_azimuth=_number(file, "Sun_azimuth_angle"),
            sun_zenith=_number(file, "Sun_zenith_angle"),
        ),
        units="W m-2 sr-1 um-1" if radiance else None,
        nodata=0.0 if level == "L2D" else None,
        scales=tuple(d.scale for d in detectors for _ in d.bands),
        offsets=tuple(d.offset for d in detectors for _ in d.bands),
    )
    sources = [BandSource(d.array, "rbc", d.bands) for d in detectors]
    return hdf_scene(path, file, "PRISMA", sources, metadata)


def _detectors(file: HdfFile, swath: str, level: str, variable: str | None) -> list[_Detector]:
    wanted = (variable or "").upper()
    if wanted not in ("", "VNIR", "SWIR"):
        raise UsageError(f"--variable {variable}: expected VNIR or SWIR, or neither for both")
    found = [
        _detector(file, swath, level, n)
        for n in ("Vnir", "Swir")
        if n.upper() in (wanted or n.upper())
    ]
    if len(found) == 2:
        vnir, swir = found
        found = [vnir.below(swir.wavelengths[0]), swir]
    return found


def _detector(file: HdfFile, swath: str, level: str, name: str) -> _Detector:
    array = file.cube(f"{swath}/Data Fields/{name.upper()}_Cube")
    count = array.shape[1]
    centres, widths, flags = (
        _list(file, attribute.format(name), count)
        for attribute in ("List_Cw_{}", "List_Fwhm_{}", "List_Cw_{}_Flags")
    )
    used = [n for n in range(count) if centres[n] > 0 and flags[n] != 0]
    if not used:
        raise InputDataError(f"List_Cw_{name} has no wavelength above 0, expected those of bands")
    rising = used[::-1]
    rising_axis([centres[n] for n in rising], where=f"List_Cw_{name}, which falls")
    if level == "L1":
        factor = _required(file, f"ScaleFactor_{name}")
        scale, offset = 1 / factor, -_required(file, f"Offset_{name}")
    else:
        low, high = (_required(file, f"L2Scale{name}{end}") for end in ("Min", "Max"))
        scale, offset = (high - low) / _LARGEST, low
    return _Detector(
        array,
        tuple(rising),
        tuple(centres[n] for n in rising),
        tuple(widths[n] for n in rising),
        scale,
        offset,
    )


def _list(file: HdfFile, attribute: str, count: int) -> list[float]:
    values = np.ravel(file.attributes().get(attribute, ()))
    if len(values) != count:
        raise InputDataError(
            f"attribute {attribute} has {len(values)} entries, expected {count}, one a band"
        )
    return [float(str(value)) for value in values]


def _number(file: HdfFile, attribute: str) -> float | None:
    value = file.attributes().get(attribute)
    return None if value is None else float(value)


def _required(file: HdfFile, attribute: str) -> float:
    value = _number(file, attribute)
    if value is None:
        raise InputDataError(f"found no attribute {attribute}, expected a number")
    return value


def _positions(file: HdfFile, fields: str, shape: tuple[int, int]) -> Geolocation:
    end = next((e for e in ("_VNIR", "", "_SWIR") if f"{fields}/Latitude{e}" in file), "")
    return file.positions(f"{fields}/Longitude{end}", f"{fields}/Latitude{end}", shape)


def _grid(file: HdfFile, rows: int, cols: int) -> Georeference:
    """The map grid of 30 m; the corners' distance tells whether they are centres of pixels.

    Raises:
        InputDataError: The corners fit neither.
    """
    west, north, east, south = (
        _required(file, f"Product_{corner}corner_{axis}")
        for corner, axis in (
            ("UL", "easting"),
            ("UL", "northing"),
            ("LR", "easting"),
            ("LR", "northing"),
        )
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
