"""NEON AOP: reflectance of the airborne imaging spectrometer, HDF5.

One group named after the site; axes (rows, cols, bands). Source: NEON Data Product Specifications
DP1.30006 and DP3.30006, and NEON.DOC.001288.
"""

import re
from pathlib import Path

import numpy as np

from hsisr.errors import InputDataError
from hsisr.io.arrays.axes import ArrayScene, whole
from hsisr.io.envi.georeference import envi_georeference
from hsisr.io.products.fields import (
    crs_of_epsg,
    product_header,
    product_scene,
    rising_axis,
    time_in,
)
from hsisr.io.products.hdf import HdfFile
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import SpectralAxis


def _site(file: HdfFile, kind: str = "Reflectance") -> str | None:
    return next((name for name in file.names() if f"{name}/{kind}/Metadata" in file), None)


def is_neon(file: HdfFile) -> bool:
    """True for a file with one site's reflectance, or radiance, which is refused."""
    return _site(file) is not None or _site(file, "Radiance") is not None


def open_neon(path: Path, file: HdfFile, variable: str | None) -> ArrayScene:
    """Open a tile or a flight line (see `open_hdf`); `variable` names another cube."""
    if (site := _site(file)) is None:
        raise InputDataError("found NEON's radiance, in two parts; expected its reflectance")
    root = f"{site}/Reflectance"
    data, logs = f"{root}/Reflectance_Data", f"{root}/Metadata/Logs"
    cube, scale = file.cube(variable or data), file.number("Scale_Factor", data)
    bands = cube.shape[2]
    return product_scene(
        path,
        file,
        "NEON AOP",
        whole(cube, "rcb"),
        axis=_axis(file, root, bands),
        place=_place(file, f"{root}/Metadata/Coordinate_System"),
        header=product_header(
            "NEON AOP",
            next((f"L{n}" for n in re.findall(r"_DP(\d)_", path.name)), "L3"),
            "reflectance",
            sensor="NEON Imaging Spectrometer",
            acquired=time_in(path.name),
            sun_azimuth=_angle(file, f"{logs}/Solar_Azimuth_Angle"),
            sun_zenith=_angle(file, f"{logs}/Solar_Zenith_Angle"),
        ),
        nodata=file.number("Data_Ignore_Value", data),
        scales=None if scale is None else (1 / scale,) * bands,
    )


def _axis(file: HdfFile, root: str, bands: int) -> SpectralAxis:
    """Band windows of water vapour, which the file names, are bad bands."""
    spectral, said = f"{root}/Metadata/Spectral_Data", file.attributes(root)
    wavelengths = file.per_band(f"{spectral}/Wavelength", bands)
    windows = [
        [float(end) for end in said[key]]
        for key in ("Band_Window_1_Nanometers", "Band_Window_2_Nanometers")
        if len(np.ravel(said.get(key, ()))) == 2
    ]
    good = [not any(low <= w <= high for low, high in windows) for w in wavelengths or ()]
    return rising_axis(
        wavelengths,
        file.per_band(f"{spectral}/FWHM", bands),
        good if windows else None,
        where=f"array {spectral}/Wavelength",
    )


def _place(file: HdfFile, where: str) -> Georeference:
    """`Map_Info` is ENVI's map info without its braces; the EPSG code names the system."""
    info, code = file.texts(f"{where}/Map_Info"), file.texts(f"{where}/EPSG Code")
    fields = {
        "map info": "{" + info[0].strip().strip("{}") + "}",
        "coordinate system string": "{" + crs_of_epsg(code[0]) + "}",
    }
    place = envi_georeference(fields)
    if place.transform is None:
        raise InputDataError(f"{where}/Map_Info is {info[0][:80]!r}, expected ENVI's map info")
    return place


def _angle(file: HdfFile, name: str) -> float | None:
    """A single angle; tiles keep one for each flight line in it, which are left out."""
    values = file.numbers(name).ravel() if name in file and not file.names(name) else np.empty(0)
    return float(values[0]) if values.size == 1 else None
