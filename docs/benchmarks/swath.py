"""Peak memory of `hsisr upscale` on an EMIT scene of full size, in sensor geometry and as a map.

    python docs/benchmarks/swath.py 320x1242 1280x1242 --folder /scratch

Every size (rows x columns, 285 bands, float32, 1.8 GB at 1280 x 1242) is written as a fixture in
EMIT's layout and upscaled by 2 in a process of its own: to netCDF in sensor geometry, and to
GeoTIFF with `--ortho`. Run from the top of the repository.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from memory import measured
from rasterio.crs import CRS

BANDS = 285


def write_scene(path: Path, rows: int, cols: int) -> None:
    """Made-up numbers on an even, unturned swath; the lookup table names every pixel once."""
    step = 0.000542232520256367
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "EMIT L2A Estimated Surface Reflectance 60 m V001"
        file.attrs["spatial_ref"] = CRS.from_epsg(4326).to_wkt()
        file.attrs["geotransform"] = [60.0, step, 0, 36.0, 0, -step]
        file["downtrack"] = np.zeros(rows, np.float32)
        chunks = min(16, rows), min(64, cols), BANDS
        shape = rows, cols, BANDS
        packing = {"compression": "gzip", "compression_opts": 1}
        cube = file.create_dataset("reflectance", shape, "f4", chunks=chunks, **packing)
        cube.attrs["_FillValue"] = np.float32(-9999)
        block = np.random.default_rng(0).random((16, cols, BANDS), np.float32).round(2)
        for row in range(0, rows, 16):
            cube[row : row + 16] = block[: rows - row]
        file["sensor_band_parameters/wavelengths"] = np.linspace(381, 2493, BANDS)
        file["sensor_band_parameters/fwhm"] = np.full(BANDS, 8.5)
        file["sensor_band_parameters/good_wavelengths"] = np.ones(BANDS, np.uint8)
        r, c = np.mgrid[:rows, :cols]
        file["location/lon"], file["location/lat"] = 60 + step * (c + 0.5), 36 - step * (r + 0.5)
        file["location/glt_x"], file["location/glt_y"] = np.int32(c + 1), np.int32(r + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="+", metavar="ROWSxCOLS")
    parser.add_argument("--model", default="bicubic")
    parser.add_argument("--co", default="COMPRESS=NONE", help="creation option of the outputs")
    parser.add_argument("--folder", default=None, help="where scenes go; needs the space")
    arguments = parser.parse_args()
    print("| EMIT scene | output | seconds | peak memory |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for size in arguments.sizes:
            rows, cols = map(int, size.split("x"))
            scene = Path(folder, "EMIT.nc")
            write_scene(scene, rows, cols)
            for what, more in (("x2.nc", []), ("x2_map.tif", ["--ortho"])):
                output = Path(folder, what)
                command = [sys.executable, "-m", "hsisr", "upscale", str(scene), "-q", *more]
                command += ["--scale", "2", "--model", arguments.model, "-o", str(output)]
                command += ["--co", arguments.co]
                seconds, peak = measured(command)
                row = f"{rows} x {cols} x {BANDS} | {what} | {seconds:.0f} | {peak:.2f} GB"
                print(f"| {row} |", flush=True)
                output.unlink()


if __name__ == "__main__":
    main()
