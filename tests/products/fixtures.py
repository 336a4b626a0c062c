"""Small files in the layout of the archives' products; `python -m` writes them.

Names of groups, arrays and attributes, their units and fill values are those of the descriptions of
the formats, pixels are made up. A source holds for all names in the function that writes the file:

- EMIT: product specifications and user guides of L1B and L2A, NASA LP DAAC (doi
  10.5067/EMIT/EMITL1BRAD.001, 10.5067/EMIT/EMITL2ARFL.001); the global attributes, `spatial_ref`,
  `geotransform` and the group `location` stand so in the real OBS and MASK files that were at hand.
- PRISMA: PRISMA Products Specification Document (ASI), issue 2.3; `List_*` and the time stand so in
  what SNAP's tests list of a real scene.
- EnMAP: EN-PCV-ICD-2009-2, schema metadata_Lx 00.02.00; the real XML files that were at hand have
  these elements. DESIS: PGS-DESIS, by the names that other readers look for.
- NEON: NEON Data Product Specifications DP3.30006; a real cube that was at hand has those of the
  data, the grid and the wavelengths.
- Tanager: Tanager Product Specification, Planet, November 2025, section 3.6.
- AVIRIS-3: L2A user guide, ORNL DAAC (doi 10.3334/ORNLDAAC/2357).
- PACE: file structure of OCI L2, NASA OB.DAAC, and its notebooks.
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
    """A file as in EMIT L1B and L2A user guides (LP DAAC), of every n-th band; returns its cube."""
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


PRISMA_VNIR = np.concatenate([[0, 0, 0], np.linspace(972.65, 402.45, 9)]).astype(np.float32)
PRISMA_SWIR = np.concatenate([np.linspace(2496.9, 942.96, 8), [0, 0]]).astype(np.float32)
UTM32 = (600_015.0, 5_949_975.0)
"""Easting and northing of the upper left pixel's centre."""


def write_prisma(path: Path, *, level: str = "L2D", rows: int = 14, cols: int = 11) -> Any:
    """A file as in the PRISMA Products Specification 2.3; VNIR and SWIR as (rows, bands, cols)."""
    import h5py

    noise = np.random.default_rng(1)
    vnir, swir = (
        noise.integers(2000, 40_000, (rows, len(centres), cols)).astype(np.uint16)
        for centres in (PRISMA_VNIR, PRISMA_SWIR)
    )
    vnir[:, :3], swir[:, -2:] = 0, 0
    vnir[0, :, :2], swir[0, :, :2] = 0, 0
    with h5py.File(path, "w") as file:
        swath = file.create_group(f"HDFEOS/SWATHS/PRS_{level}_HCO")
        for name, cube, centres in (("Vnir", vnir, PRISMA_VNIR), ("Swir", swir, PRISMA_SWIR)):
            swath.create_dataset(f"Data Fields/{name.upper()}_Cube", data=cube, chunks=True)
            used = centres > 0
            file.attrs[f"List_Cw_{name}"] = centres
            file.attrs[f"List_Cw_{name}_Flags"] = used.astype(np.uint8)
            file.attrs[f"List_Fwhm_{name}"] = np.where(used, 11.5, 0).astype(np.float32)
            if level == "L1":
                file.attrs[f"ScaleFactor_{name}"] = np.float32(100)
                file.attrs[f"Offset_{name}"] = np.float32(0)
            else:
                file.attrs[f"L2Scale{name}Min"] = np.float32(-0.1)
                file.attrs[f"L2Scale{name}Max"] = np.float32(1.2)
        lon, lat = swath_of(rows, cols)
        end = "_VNIR" if level == "L1" else ""
        swath[f"Geolocation Fields/Latitude{end}"] = lat.astype(np.float32)
        swath[f"Geolocation Fields/Longitude{end}"] = lon.astype(np.float32)
        file.attrs["Product_ID"] = np.bytes_(f"PRS_{level}_STD")
        file.attrs["Product_StartTime"] = np.bytes_("2024-04-02T10:28:37.932000")
        file.attrs["Sun_zenith_angle"] = np.float32(49.5)
        file.attrs["Sun_azimuth_angle"] = np.float32(161.25)
        if level == "L2D":
            (east, north), (right, down) = UTM32, (30 * (cols - 1), 30 * (rows - 1))
            file.attrs["Epsg_Code"] = np.uint32(32632)
            for corner, x, y in (("UL", 0, 0), ("UR", right, 0), ("LL", 0, down)):
                file.attrs[f"Product_{corner}corner_easting"] = np.float32(east + x)
                file.attrs[f"Product_{corner}corner_northing"] = np.float32(north - y)
            file.attrs["Product_LRcorner_easting"] = np.float32(east + right)
            file.attrs["Product_LRcorner_northing"] = np.float32(north - down)
    return vnir, swir


def swath_of(rows: int, cols: int) -> Any:
    return swath(rows, cols, at=(9.9, 53.6), step=0.0004, turn=11)


def write_neon(path: Path, *, rows: int = 9, cols: int = 12, bands: int = 10) -> Any:
    """A tile of NEON.DP3.30006, with names, attributes, Map_Info; returns (rows, cols, bands)."""
    import h5py

    numbers = np.random.default_rng(2).integers(0, 9000, (rows, cols, bands)).astype(np.int16)
    numbers[0, 0] = -9999
    with h5py.File(path, "w") as file:
        root = file.create_group("SJER/Reflectance")
        root.attrs["Band_Window_1_Nanometers"] = [1340, 1445]
        root.attrs["Band_Window_2_Nanometers"] = [1790, 1955]
        data = root.create_dataset("Reflectance_Data", data=numbers, chunks=(5, 4, bands))
        data.attrs["Scale_Factor"], data.attrs["Data_Ignore_Value"] = 10000.0, -9999.0
        metadata = root.create_group("Metadata")
        metadata["Spectral_Data/Wavelength"] = np.linspace(383.9, 2511.9, bands)
        metadata["Spectral_Data/FWHM"] = np.full(bands, 5.9)
        metadata["Coordinate_System/EPSG Code"] = "32611"
        metadata["Coordinate_System/Map_Info"] = (
            "UTM,  1.000,  1.000,       257000.00,       4112000.0,       1.0000000,       "
            "1.0000000,  11,  North,  WGS-84,  units=Meters, 0"
        )
        metadata["Logs/Solar_Azimuth_Angle"] = 163.5
        metadata["Logs/Solar_Zenith_Angle"] = 31.25
    return numbers


def write_tanager(path: Path, *, ortho: bool = True, rows: int = 8, cols: int = 10) -> Cube:
    """A file as in the Tanager Product Specification (November 2025), 3.6; returns its cube."""
    import json

    import h5py

    cube = spectra(6, rows, cols)
    cube[:, 0, 0] = -9999
    group = "HDFEOS/GRIDS/HYP" if ortho else "HDFEOS/SWATHS/HYP"
    with h5py.File(path, "w") as file:
        fields = file.create_group(f"{group}/Data Fields")
        data = fields.create_dataset("surface_reflectance", data=cube, fillvalue=-9999)
        data.attrs["wavelengths"] = np.linspace(376.4, 2499.0, 6, dtype=np.float32)
        data.attrs["fwhm"] = np.full(6, 5.5, np.float32)
        data.attrs["good_wavelengths"] = np.array([1, 1, 0, 1, 0, 1], np.uint8)
        data.attrs["_FillValue"] = np.float32(-9999)
        fields["nodata_pixels"] = np.uint8(cube[0] == -9999)
        fields["sun_zenith"] = np.full((rows, cols), 40.5, np.float32)
        fields["sun_azimuth"] = np.full((rows, cols), 120.25, np.float32)
        framing = json.dumps(
            {
                "epsg_code": 32613,
                "rows": rows,
                "cols": cols,
                "geotransform": [503220.0, 30.0, 0.0, 4410990.0, 0.0, -30.0],
            }
        )
        if ortho:
            file[group].attrs["epsg_code"] = 32613
            file[group].attrs["Planet_Ortho_Framing"] = framing
            fields["time"] = np.full((rows, cols), 1_746_350_992.5)
        else:
            place = file.create_group(f"{group}/Geolocation Fields")
            place.attrs["Planet_Ortho_Framing"] = framing
            place["Longitude"], place["Latitude"] = swath_of(rows, cols)
            place["Time"] = 1_746_350_992.5 + np.arange(rows) * 0.004
    return cube


def write_aviris(path: Path, *, rows: int = 7, cols: int = 9, turned: bool = False) -> Cube:
    """A `_RFL_ORT.nc` as in the AVIRIS-3 L2A user guide (ORNL DAAC); returns its cube."""
    import netCDF4
    from rasterio.crs import CRS

    cube = spectra(5, rows, cols)
    cube[:, -1, -1] = -9999
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"title": "AVIRIS-3 L2A Surface Reflectance", "Conventions": "CF-1.6"})
        file.createDimension("northing", rows)
        file.createDimension("easting", cols)
        _variable(file, "northing", ("northing",), 3_778_002.5 - 5 * np.arange(rows), units="m")
        _variable(file, "easting", ("easting",), 395_002.5 + 5 * np.arange(cols), units="m")
        place = file.createVariable("transverse_mercator", "S1")
        place.crs_wkt = CRS.from_epsg(32611).to_wkt()
        turn = (4.9, 1.0, 1.0, -4.9) if turned else (5.0, 0.0, 0.0, -5.0)
        place.GeoTransform = f"395000.0 {turn[0]} {turn[1]} 3778005.0 {turn[2]} {turn[3]}"
        group = file.createGroup("reflectance")
        group.createDimension("wavelength", 5)
        _variable(group, "wavelength", ("wavelength",), np.linspace(390, 2490, 5), units="nm")
        _variable(group, "fwhm", ("wavelength",), np.full(5, 7.5), units="nm")
        _variable(
            group,
            "reflectance",
            ("wavelength", "northing", "easting"),
            cube,
            fill=-9999.0,
            grid_mapping="transverse_mercator",
        )
    return cube


def write_pace(path: Path, *, level: str = "L2", rows: int = 10, cols: int = 8) -> Any:
    """A `PACE_OCI.*.L2.SFREFL.nc` as in OB.DAAC's notebooks; returns (rows, cols, bands)."""
    import netCDF4

    numbers = np.random.default_rng(3).integers(0, 20_000, (rows, cols, 6)).astype(np.int16)
    numbers[2, 3] = -32767
    lon, lat = swath(rows, cols, at=(-75.0, 38.0), step=0.011, turn=8)
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts(
            {
                "title": f"OCI {level} Data",
                "instrument": "OCI",
                "platform": "PACE",
                "processing_level": level,
                "time_coverage_start": "2024-07-01T17:51:12.345Z",
            }
        )
        sizes = {"number_of_lines": rows, "pixels_per_line": cols, "wavelength_3d": 6}
        for name, size in sizes.items():
            file.createDimension(name, size)
        bands = file.createGroup("sensor_band_parameters")
        centres = np.array([346, 442, 555, 670, 865, 2258], np.float32)
        _variable(bands, "wavelength_3d", ("wavelength_3d",), centres, units="nm")
        data = file.createGroup("geophysical_data")
        made = data.createVariable("rhos", "i2", tuple(sizes), fill_value=-32767)
        made.set_auto_maskandscale(False)
        made[:] = numbers
        made.setncatts({"scale_factor": np.float32(2e-5), "add_offset": np.float32(0.5)})
        place = file.createGroup("navigation_data")
        two = "number_of_lines", "pixels_per_line"
        _variable(place, "longitude", two, np.float32(lon), fill=-32767.0)
        _variable(place, "latitude", two, np.float32(lat), fill=-32767.0)
    return numbers


def write_dlr(folder: Path, *, sensor: str = "EnMAP", level: str = "L2A", bands: int = 5) -> Path:
    """An EnMAP (schema 00.02.00) or DESIS product of 8 x 9 pixels; returns its METADATA.XML."""
    import rasterio

    split = level == "L1B" and sensor == "EnMAP"
    day = {"EnMAP": "_20170626T102020Z_001_V000204", "DESIS": "_001-20170626T102020-V0210"}[sensor]
    stem = {"EnMAP": "ENMAP01-____", "DESIS": "DESIS-HSI-"}[sensor]
    stem = f"{stem}{level}-DT0000326721{day}"
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(4).integers(1, 9000, (bands, 8, 9)).astype(np.int16)
    numbers[:, 0, 0] = 0
    profile: dict[str, Any] = {"driver": "GTiff", "width": 9, "height": 8, "dtype": "int16"}
    if level != "L1B":
        profile |= {"crs": "EPSG:32632", "transform": Affine(30, 0, 6e5, 0, -30, 5.3e6)}
    parts = {"_VNIR": slice(0, 3), "_SWIR": slice(3, bands)} if split else {"": slice(0, bands)}
    for part, own in parts.items():
        end = ".TIF" if sensor == "EnMAP" else ".tif"
        path = folder / f"{stem}-SPECTRAL_IMAGE{part}{end}"
        with rasterio.open(path, "w", count=len(numbers[own]), **profile) as image:
            image.write(numbers[own])
    xml = folder / f"{stem}-METADATA.{'XML' if sensor == 'EnMAP' else 'xml'}"
    xml.write_text(_xml(sensor, level, bands, split=split), encoding="utf-8")
    return xml


def _xml(sensor: str, level: str, bands: int, *, split: bool) -> str:
    gain, offset, width = {
        "EnMAP": ("GainOfBand", "OffsetOfBand", "FWHMOfBand"),
        "DESIS": ("gainOfBand", "offsetOfBand", "wavelengthWidthOfBand"),
    }[sensor]
    item = {"EnMAP": "bandID", "DESIS": "band"}[sensor]
    each = "".join(
        f'<{item} number="{n + 1}"><wavelengthCenterOfBand>{423.03 + 20 * n:.2f}'
        f"</wavelengthCenterOfBand><{width}>6.93</{width}><{gain}>0.0001</{gain}>"
        f"<{offset}>{0.001 * n:g}</{offset}></{item}>"
        for n in range(bands)
    )
    sun = {
        "EnMAP": "<sunElevationAngle><center>63.04</center></sunElevationAngle>"
        "<sunAzimuthAngle><center>149.11</center></sunAzimuthAngle>",
        "DESIS": "<sunZenithAngle>26.96</sunZenithAngle><sunAzimuthAngle>149.11</sunAzimuthAngle>",
    }[sensor]
    terms = "".join(
        f"<{side}_{what}_{n:02}>{n / 7:.3f}</{side}_{what}_{n:02}>"
        for side in ("ROW", "COL")
        for what in ("NUM", "DEN")
        for n in range(1, 21)
    )
    scales = "".join(
        f"<{name}_OFF>{value}</{name}_OFF><{name}_SCALE>{value}</{name}_SCALE>"
        for name, value in (("ROW", 4), ("COL", 4.5), ("LAT", 47.6), ("LONG", 10.9), ("HEIGHT", 9))
    )
    rpcs = f"<RPC>{f'<bandID>{scales}{terms}</bandID>' * bands}</RPC>" if split else ""
    channels = "<vnir><channels>3</channels></vnir>" if split else ""
    return (
        f"<level_X><metadata><schema><processingLevel>{level}</processingLevel></schema></metadata>"
        "<base><temporalCoverage><startTime>2017-06-26T10:20:20.999936Z</startTime>"
        f"</temporalCoverage><level>{level}</level></base><specific>"
        "<vnirProductQuality><expectedChannelsList>1,2,3</expectedChannelsList>"
        "<missingChannelsList>2</missingChannelsList></vnirProductQuality>"
        f"<backgroundValue>0</backgroundValue>{sun}"
        f"<bandCharacterisation>{each}</bandCharacterisation></specific><product><image>{channels}"
        f"</image><navigation>{rpcs}</navigation></product></level_X>"
    )


def write_all(here: Path) -> None:
    """One of each, by the names that archives give them."""
    write_emit(here / "EMIT_L2A_RFL_001_20220827T060753_2223904_013.nc", every=24)
    write_prisma(here / "PRS_L2D_STD_20240402102837_20240402102842_0001.he5")
    write_neon(here / "NEON_D17_SJER_DP3_257000_4112000_reflectance.h5")
    write_tanager(here / "20250504_092952_87_4001_ortho_sr_hdf5.h5")
    write_aviris(here / "AV320240905t181848_000_L2A_OE_f576f24d_RFL_ORT.nc")
    write_pace(here / "PACE_OCI.20240701T175112.L2.SFREFL.V3_1.nc")
    write_dlr(here / "ENMAP01-____L2A-DT0000326721_20170626T102020Z_001_V000204")
    write_dlr(here / "DESIS-HSI-L2A-DT0000326721_001-20170626T102020-V0210", sensor="DESIS")


if __name__ == "__main__":
    Path("products").mkdir(exist_ok=True)
    write_all(Path("products"))
