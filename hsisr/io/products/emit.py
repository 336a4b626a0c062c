"""EMIT, the imaging spectrometer on the ISS: L1B radiance and L2A reflectance.

NetCDF-4 in sensor geometry, axes (downtrack, crosstrack, bands), with longitude and latitude of
every pixel and a lookup table to a map grid. Source: EMIT L1B and L2A product specifications and
user guides, NASA LP DAAC (doi 10.5067/EMIT/EMITL1BRAD.001, 10.5067/EMIT/EMITL2ARFL.001).
"""

from pathlib import Path
from typing import Final

import numpy as np
from affine import Affine

from hsisr.errors import InputDataError, UsageError
from hsisr.io.arrays.axes import ArrayScene, whole
from hsisr.io.products.fields import product_header, product_scene, refuse_level, rising_axis
from hsisr.io.products.hdf import HdfFile
from hsisr.scene.georeference import LookupTable
from hsisr.scene.metadata import SpectralAxis

_CUBES: Final = ("radiance", "reflectance", "reflectance_uncertainty")
_BANDS: Final = "sensor_band_parameters"
_PLACE: Final = "location"
_CARRIED: Final = ("title", "flight_line", "product_version", "software_build_version")
"""Attributes of the file that become tags of the output."""


def is_emit(file: HdfFile) -> bool:
    """True for a file of the EMIT mission, whatever its level."""
    return (file.text("title") or "").startswith("EMIT") and "downtrack" in file


def open_emit(path: Path, file: HdfFile, variable: str | None) -> ArrayScene:
    """Open radiance or reflectance in sensor geometry (see `open_hdf`), or a cube without spectra.

    `variable` names that cube, for example `obs`.
    """
    title = file.text("title") or "EMIT"
    level = next((word for word in title.split() if word[:1] == "L" and word[1:2].isdigit()), "L?")
    refuse_level(level, product="EMIT", expected="L1B radiance or L2A reflectance")
    name = variable or next((cube for cube in _CUBES if cube in file), None)
    if name is None:
        raise InputDataError(
            f"{title!r} holds {', '.join(file.names())}, expected radiance or reflectance; name a "
            "cube of numbers with --variable to open it without wavelengths"
        )
    if name not in file:
        raise UsageError(f"--variable {name}: no such array; there are {', '.join(file.names())}")
    cube = file.cube(name)
    rows, cols, bands = cube.shape
    names = (f"{_BANDS}/{name}" for name in ("wavelengths", "fwhm", "good_wavelengths"))
    axes, table = (file.per_band(name, bands) for name in names), _table(file, rows, cols)
    return product_scene(
        path,
        file,
        "EMIT",
        whole(cube, "rcb"),
        axis=rising_axis(*axes, where=f"array {_BANDS}/wavelengths")
        if name in _CUBES
        else SpectralAxis(count=bands),
        place=file.positions(f"{_PLACE}/lon", f"{_PLACE}/lat", (rows, cols), table),
        header=product_header("EMIT", level, name, acquired=file.text("time_coverage_start")),
        units=file.text("units", name),
        tags={key: text for key in _CARRIED if (text := file.text(key))},
        nodata=file.number("_FillValue", name),
    )


def _table(file: HdfFile, rows: int, cols: int) -> LookupTable | None:
    if f"{_PLACE}/glt_x" not in file:
        return None
    across = file.numbers(f"{_PLACE}/glt_x").astype(np.int32)
    down = file.numbers(f"{_PLACE}/glt_y", across.shape).astype(np.int32)
    numbers = np.ravel(file.attributes().get("geotransform", ()))
    crs = file.text("spatial_ref")
    if len(numbers) != 6 or not crs:
        raise InputDataError(
            f"found geotransform {numbers} and spatial_ref {crs!r}, expected six numbers and a "
            "reference system for the grid of the lookup table"
        )
    if across.ndim != 2 or abs(across).max() > cols or abs(down).max() > rows:
        raise InputDataError(
            f"the lookup table names column {abs(across).max()} and row {abs(down).max()}, "
            f"expected at most {cols} and {rows}"
        )
    return LookupTable(
        rows=down,
        cols=across,
        transform=Affine.from_gdal(*(float(number) for number in numbers)),
        crs_wkt=crs,
    )
