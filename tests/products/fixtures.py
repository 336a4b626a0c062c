"""Writes small files in the layout of the archives' products: `python -m tests.products.fixtures`.

These are fixtures: the pixels are made up, the layout and the attributes' names are those of the
published format descriptions, each cited where it is written. None holds data of an archive.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine

WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,'
    'AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,'
    'AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],'
    'AXIS["Latitude",NORTH],AXIS["Longitude",EAST],AUTHORITY["EPSG","4326"]]'
)
Cube = npt.NDArray[np.float32]


def spectra(bands: int, rows: int, cols: int, seed: int = 0) -> Cube:
    """Reflectances between 0.05 and 0.6, smooth in space and spectrum, shape (b, r, c)."""
    noise = np.random.default_rng(seed)
    r, c = np.mgrid[:rows, :cols] / max(rows, cols)
    fields = [np.sin(2 * np.pi * (f * r + g * c) + p) for f, g, p in noise.uniform(0, 2, (4, 3))]
    curve = np.linspace(0, 1, bands)
    shapes = [np.cos(np.pi * k * curve) for k in range(4)]
    cube = sum(s[:, None, None] * f for s, f in zip(shapes, fields, strict=True))
    return np.asarray(0.32 + 0.06 * np.asarray(cube), np.float32)


def swath(rows: int, cols: int, *, at: tuple[float, float], step: float, turn: float) -> Any:
    """Longitudes and latitudes of a turned, slightly bent strip, each (rows, cols)."""
    r, c = np.mgrid[:rows, :cols].astype(np.float64)
    c = c + 0.02 * r + 0.3 * np.sin(r / 9)
    angle = np.deg2rad(turn)
    lon = at[0] + step * (c * np.cos(angle) - r * np.sin(angle))
    lat = at[1] - step * (c * np.sin(angle) + r * np.cos(angle))
    return lon, lat


def lookup_table(lon: Any, lat: Any, step: float) -> tuple[Any, Any, Affine]:
    """1-based (cols, rows) of the nearest sensor pixel on a north-up grid, 0 beyond one pixel."""
    west, north = lon.min() - 2 * step, lat.max() + 2 * step
    width = int((lon.max() - west) / step) + 3
    height = int((north - lat.min()) / step) + 3
    transform = Affine(step, 0, west, 0, -step, north)
    x = west + step * (np.arange(width) + 0.5)
    y = north - step * (np.arange(height) + 0.5)
    far = (lon.ravel() - x[None, :, None]) ** 2 + (lat.ravel() - y[:, None, None]) ** 2
    nearest = far.argmin(axis=2)
    seen = far.min(axis=2) < step**2
    rows, cols = np.unravel_index(nearest, lon.shape)
    return np.where(seen, cols + 1, 0), np.where(seen, rows + 1, 0), transform


EMIT_BANDS = 285
EMIT_WAVELENGTHS = np.asarray(381.00558 + 7.4004 * np.arange(EMIT_BANDS), np.float32)


def write_emit(
    path: Path, *, level: str = "L2A", rows: int = 24, cols: int = 20, every: int = 1
) -> Cube:
    """An EMIT file; returns its cube (bands, rows, cols). `every` leaves bands out.

    Source of groups, names, axes and fill: EMIT L1B and L2A user guides (LP DAAC), "File
    structure"; of the global attributes: EMIT_L2A_RFL_001 and EMIT_L1B_OBS_001 granules, which
    have them in common.
    """
    import netCDF4

    wavelengths = EMIT_WAVELENGTHS[::every]
    cube = spectra(len(wavelengths), rows, cols)
    water = (wavelengths > 1320) & (wavelengths < 1440)
    water |= (wavelengths > 1770) & (wavelengths < 1960)
    if level == "L2A":
        cube[water] = -0.01  # user guide: "masked wavelengths ... are set to -0.01"
    else:
        cube *= 20
    cube[:, :2, :3] = -9999
    step = 0.000542232520256367  # spatialResolution
    lon, lat = swath(rows, cols, at=(62.1, 36.2), step=step, turn=12)
    glt_x, glt_y, transform = lookup_table(lon, lat, step)
    with netCDF4.Dataset(path, "w") as file:
        sizes = {"downtrack": rows, "crosstrack": cols, "bands": len(wavelengths)}
        sizes |= dict(zip(("ortho_y", "ortho_x"), glt_x.shape, strict=True))
        for name, size in sizes.items():
            file.createDimension(name, size)
        what = {"L2A": "Estimated Surface Reflectance", "L1B": "At-Sensor Calibrated Radiance Data"}
        file.setncatts(
            {
                "ncei_template_version": "NCEI_NetCDF_Swath_Template_v2.0",
                "Conventions": "CF-1.63",
                "sensor": "EMIT (Earth Surface Mineral Dust Source Investigation)",
                "instrument": "EMIT",
                "platform": "ISS",
                "flight_line": "emit20220827t060753_o23904_s001",
                "time_coverage_start": "2022-08-27T06:07:53+0000",
                "time_coverage_end": "2022-08-27T06:08:05+0000",
                "software_build_version": "010608",
                "product_version": "V001",
                "spatialResolution": step,
                "spatial_ref": WGS84,
                "geotransform": np.array(transform.to_gdal()),
                "day_night_flag": "Day",
                "title": f"EMIT {level} {what[level]} 60 m V001",
            }
        )
        name = "reflectance" if level == "L2A" else "radiance"
        data = file.createVariable(
            name, "f4", ("downtrack", "crosstrack", "bands"), fill_value=-9999.0, zlib=True
        )
        long = {"L2A": "Surface Reflectance", "L1B": "Radiance Data"}[level]
        units = {"L2A": "unitless", "L1B": "uW/cm^2/SR/nm"}[level]
        data.setncatts({"long_name": long, "units": units})
        data[:] = cube.transpose(1, 2, 0)
        bands = file.createGroup("sensor_band_parameters")
        _variable(bands, "wavelengths", ("bands",), wavelengths, units="nm")
        fwhm = np.float32(8.4 + 0.002 * np.arange(len(wavelengths)))
        _variable(bands, "fwhm", ("bands",), fwhm, units="nm")
        if level == "L2A":
            _variable(bands, "good_wavelengths", ("bands",), np.uint8(~water))
        place = file.createGroup("location")
        two = "downtrack", "crosstrack"
        _variable(place, "lon", two, lon, fill=-9999.0, units="degrees east")
        _variable(place, "lat", two, lat, fill=-9999.0, units="degrees north")
        _variable(place, "elev", two, np.full((rows, cols), 1500.0), fill=-9999.0, units="m")
        _variable(place, "glt_x", ("ortho_y", "ortho_x"), np.int32(glt_x))
        _variable(place, "glt_y", ("ortho_y", "ortho_x"), np.int32(glt_y))
    return cube


def _variable(
    group: Any,
    name: str,
    dimensions: tuple[str, ...],
    values: Any,
    fill: Any = None,
    **attributes: Any,
) -> None:
    made = group.createVariable(name, values.dtype, dimensions, fill_value=fill)
    made.setncatts(attributes)
    made[:] = values
