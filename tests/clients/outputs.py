"""What other programs see in outputs, for clients.md; needs gdal-bin, python3-qgis, octave."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
import spectral
import xarray as xr
from rasterio.crs import CRS

from tests.program import succeed
from tests.scenes import NORTH_UP

NM: Final = (450.0, 480.0, 550.0, 600.0, 660.0, 850.0)
OUTPUTS: Final = ("a.tif", "cog.tif", "a.hdr", "a.zarr", "a.nc", "a.mat")
PROGRAMS: Final = ("gdalinfo", "octave-cli", "/usr/bin/python3")
_QGIS: Final = """
import json, sys
from qgis.core import Qgis, QgsApplication, QgsRasterLayer
app = QgsApplication([], False)
app.initQgis()
print(Qgis.version())
for name in sys.argv[1:]:
    layer = QgsRasterLayer(name, "x")
    provider, shown, box = layer.dataProvider(), layer.renderer(), layer.extent()
    valid = layer.isValid()
    colours = [shown.redBand(), shown.greenBand(), shown.blueBand()] if valid and hasattr(
        shown, "redBand") else []
    print(json.dumps({
        "crs": layer.crs().authid(),
        "extent": [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()],
        "nodata": provider.sourceNoDataValue(1) if provider.sourceHasNoDataValue(1) else None,
        "colours": colours,
        "names": [layer.bandName(n + 1) for n in range(layer.bandCount())],
    } if valid else None))
"""
_OCTAVE: Final = """
s = load('{path}');
printf('%s|%s|', OCTAVE_VERSION, mat2str(size(s.data)));
printf('%g,', s.wavelengths); printf('|%g|', s.nodata);
printf('%s|', s.crs_wkt); printf('%.10g,', s.transform);
"""


@dataclass(frozen=True)
class Seen:
    """One row: what a program says of an output; a dash where it says nothing."""

    program: str
    output: str
    crs: str = "-"
    extent: str = "-"
    wavelengths: str = "-"
    nodata: str = "-"
    colours: str = "-"


def write_outputs(folder: Path) -> None:
    numbers = np.arange(6 * 8 * 10, dtype=np.int16).reshape(6, 8, 10) + 100
    numbers[:, 0, 0] = -9999
    kind = {"count": 6, "height": 8, "width": 10, "dtype": "int16", "nodata": -9999}
    place = {"crs": "EPSG:32633", "transform": NORTH_UP}
    with rasterio.open(folder / "in.tif", "w", driver="GTiff", **kind, **place) as file:
        file.write(numbers)
        for band, nm in enumerate(NM, start=1):
            file.update_tags(band, wavelength=str(nm), wavelength_units="Nanometers")
    for name in OUTPUTS:
        cog = ["--cog"] if name == "cog.tif" else []
        how = ("-s", 2, "-m", "bicubic", "-o", folder / name, *cog)
        succeed("upscale", folder / "in.tif", *how)


def table(folder: Path) -> str:
    """The table in Markdown, with the versions in front."""
    rows = [*_gdal(folder), *_qgis(folder), *_spy(folder), *_xarray(folder), *_octave(folder)]
    head = ("program", "output", "CRS", "extent", "wavelengths, nm", "nodata", "red, green, blue")
    lines = [head, ("---",) * len(head), *(tuple(vars(row).values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _said(*words: str, **more: Any) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True, **more)
    return str(done.stdout)


def _corners(left: float, bottom: float, right: float, top: float) -> str:
    return f"{left:.10g} {bottom:.10g} {right:.10g} {top:.10g}"


def _numbers(values: Any) -> str:
    found = [float(value) for value in values]
    return ", ".join(f"{value:g}" for value in found) or "-"


def _gdal(folder: Path) -> Iterator[Seen]:
    version = re.findall(r"GDAL ([\d.]+)", _said("gdalinfo", "--version"))[0]
    for output, name in _gdal_names(folder).items():
        info = json.loads(_said("gdalinfo", "-json", name, cwd=folder))
        bands, corners = info["bands"], info["cornerCoordinates"]
        tags = [band.get("metadata", {}) for band in bands]
        own = [tag.get("", {}) for tag in tags]
        nm = [tag.get("wavelength", tag.get("NETCDF_DIM_band")) for tag in own]
        hues = [band.get("colorInterpretation") for band in bands]
        found = [str(hues.index(h) + 1) for h in ("Red", "Green", "Blue") if h in hues]
        yield Seen(
            f"GDAL {version}",
            output,
            _code(info.get("coordinateSystem", {}).get("wkt", "")),
            _corners(*corners["lowerLeft"], *corners["upperRight"]),
            _numbers(nm) if all(nm) else "-",
            f"{bands[0]['noDataValue']:g}" if "noDataValue" in bands[0] else "-",
            ", ".join(found) or "-",
        )


def _gdal_names(folder: Path) -> dict[str, str]:
    """Names of outputs as GDAL takes them; before 3.8 it opens one band of a store at a time."""
    plain = {name: name for name in ("a.tif", "cog.tif", "a.img")}
    store = f'ZARR:"{folder}/a.zarr":/data:0'
    return {**plain, "a.nc": "NETCDF:a.nc:data", "a.zarr, band 1": store}


def _code(wkt: str) -> str:
    if not wkt:
        return "-"
    authority = CRS.from_wkt(wkt).to_authority()
    return ":".join(authority) if authority else "without a code"


def _qgis(folder: Path) -> Iterator[Seen]:
    names, quiet = _gdal_names(folder), {"QT_QPA_PLATFORM": "offscreen"}
    said = _said(PROGRAMS[2], "-c", _QGIS, *names.values(), cwd=folder, env=quiet).splitlines()
    for name, line in zip(names, said[1:], strict=True):
        seen = json.loads(line)
        if seen is None:
            yield Seen(f"QGIS {said[0].split('-')[0]}", name, "not opened")
            continue
        nm = [re.search(r"([\d.]+) Nanometers", band) for band in seen["names"]]
        yield Seen(
            f"QGIS {said[0].split('-')[0]}",
            name,
            seen["crs"] or "-",
            _corners(*seen["extent"]),
            _numbers(found[1] for found in nm if found),
            "-" if seen["nodata"] is None else f"{seen['nodata']:g}",
            ", ".join(map(str, seen["colours"])) or "-",
        )


def _spy(folder: Path) -> Iterator[Seen]:
    image = spectral.open_image(str(folder / "a.hdr"))
    told = image.metadata
    items = told["map info"]
    left, top, width, height = (float(items[n]) for n in (3, 4, 5, 6))
    yield Seen(
        f"SPy {spectral.__version__}",
        "a.hdr",
        _code(",".join(told["coordinate system string"])),
        _corners(left, top - image.nrows * height, left + image.ncols * width, top),
        _numbers(image.bands.centers),
        told["data ignore value"],
        ", ".join(told["default bands"]),
    )


def _xarray(folder: Path) -> Iterator[Seen]:
    import rioxarray

    for name in ("a.zarr", "a.nc"):
        engine = "zarr" if name == "a.zarr" else "h5netcdf"
        with xr.open_dataset(folder / name, decode_coords="all", engine=engine) as found:
            yield _by_rio(f"xarray {xr.__version__}", name, found["data"])
    for name in ("a.tif", "cog.tif", "a.img"):
        raster: Any = rioxarray.open_rasterio(folder / name)
        with raster:
            yield _by_rio(f"rioxarray {rioxarray.__version__}", name, raster)


def _by_rio(program: str, name: str, cube: Any) -> Seen:
    nodata = cube.rio.nodata if cube.rio.encoded_nodata is None else cube.rio.encoded_nodata
    nm = cube.coords.get("wavelength", cube.attrs.get("wavelength", ()))
    return Seen(
        program,
        name,
        f"EPSG:{cube.rio.crs.to_epsg()}",
        _corners(*cube.rio.bounds()),
        _numbers(np.atleast_1d(np.asarray(nm, float))),
        "-" if nodata is None else f"{float(nodata):g}",
    )


def _octave(folder: Path) -> Iterator[Seen]:
    said = _said("octave-cli", "--quiet", "--eval", _OCTAVE.format(path=folder / "a.mat"))
    version, size, nm, nodata, wkt, grid = said.split("|")
    a, _, left, _, e, top = (float(n) for n in grid.strip(",").split(",")[:6])
    rows, cols = (int(n) for n in size.strip("[]").split()[:2])
    yield Seen(
        f"Octave {version}",
        "a.mat",
        _code(wkt),
        _corners(left, top + rows * e, left + cols * a, top),
        nm.strip(",").replace(",", ", "),
        nodata,
    )


def missing() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program) is None]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        write_outputs(Path(made))
        sys.stdout.write(f"{table(Path(made))}\n")
