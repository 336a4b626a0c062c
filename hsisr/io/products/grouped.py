"""CF products whose cube lies in a group of the file: AVIRIS-3 and AVIRIS-5, PACE OCI L2.

AVIRIS: group `reflectance` or `radiance`, axes (wavelength, northing, easting), CF grid mapping;
source: AVIRIS-3 L2A user guide (ORNL DAAC, doi 10.3334/ORNLDAAC/2357). PACE: groups
`geophysical_data` and `navigation_data`, axes (number_of_lines, pixels_per_line, wavelength_3d);
source: PACE OCI file structure (NASA OB.DAAC).
"""

import re
from pathlib import Path
from typing import Final

from hsisr.errors import InputDataError
from hsisr.io.products.cf import CfScene, HdfStore
from hsisr.io.products.fields import product_header, refuse_level, rising_axis
from hsisr.io.products.hdf import HdfFile
from hsisr.io.zarr.reader import axis_order, cube_name

_AVIRIS: Final = ("reflectance/reflectance", "radiance/radiance")
_PACE: Final = ("geophysical_data/rhos", "geophysical_data/Rrs")


def is_aviris(file: HdfFile) -> bool:
    """True for an orthorectified file of AVIRIS-3 or AVIRIS-5."""
    return any(name in file for name in _AVIRIS) and "easting" in file


def open_aviris(path: Path, file: HdfFile, variable: str | None) -> CfScene:
    """Open radiance or reflectance on its map grid (see `open_hdf`)."""
    name = variable or next(name for name in _AVIRIS if name in file)
    kind = name.rpartition("/")[2]
    number = re.match(r"(?i)AV([35])", path.name)
    sensor = f"AVIRIS-{number[1]}" if number else (file.text("instrument") or "AVIRIS")
    level = "L2A" if kind == "reflectance" else "L1B"
    time = re.search(r"(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)", path.name)
    start = "{}-{}-{}T{}:{}:{}Z".format(*time.groups()) if time else None
    acquired = file.text("time_coverage_start") or start
    header = product_header(sensor, level, kind, acquired=acquired)
    return _open(path, file, name, "AVIRIS", header)


def is_pace(file: HdfFile) -> bool:
    """True for a file of PACE's Ocean Color Instrument, whatever its level."""
    return file.text("instrument") == "OCI"


def open_pace(path: Path, file: HdfFile, variable: str | None) -> CfScene:
    """Open surface or remote sensing reflectance of an L2 file (see `open_hdf`)."""
    level = file.text("processing_level") or "L?"
    refuse_level(level, product="PACE OCI", expected="L2 surface reflectance")
    name = variable or next((name for name in _PACE if name in file), None)
    if name is None:
        raise InputDataError(
            f"PACE OCI {level} holds {', '.join(file.names('geophysical_data')) or 'no L2 data'}, "
            "expected rhos or Rrs of an L2 file; name another cube with --variable"
        )
    kind, acquired = name.rpartition("/")[2], file.text("time_coverage_start")
    header = product_header("PACE OCI", level, kind, sensor="OCI", acquired=acquired)
    return _open(path, file, name, "PACE OCI", header)


def _open(
    path: Path, file: HdfFile, name: str, file_format: str, header: dict[str, str]
) -> CfScene:
    store = HdfStore(file)
    cube = cube_name(store.arrays, name)
    axes = axis_order(store.arrays, cube, None)
    scene = CfScene(path, store, cube, axes, file_format=file_format, header=header)
    wavelengths = scene.metadata.spectral_axis.wavelengths_nm
    if wavelengths is None:
        raise InputDataError(f"found no wavelengths of {cube}, expected one for each band")
    rising_axis(wavelengths, where="wavelengths")
    return scene
