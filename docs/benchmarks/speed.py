"""`hsisr upscale --model bicubic` against GDAL's own cubic warp, side by side.

Both are whole processes that read the same scene and write the same tiled, compressed GeoTIFF with
two threads; they take turns, and the ratio is taken pair by pair.

    python docs/benchmarks/speed.py --size 1000x1000 --bands 100 --scale 2 --pairs 5
"""

import sys
import tempfile
from pathlib import Path

from scenes import write_scene
from turns import cells_of_commands, options_of_pairs, print_machine

WARP = """
import sys
import rasterio
from rasterio.warp import Resampling, reproject
from affine import Affine

source, target, scale = sys.argv[1], sys.argv[2], int(sys.argv[3])
with rasterio.Env(GDAL_CACHEMAX=64), rasterio.open(source) as lr:
    profile = dict(
        driver="GTiff", height=lr.height * scale, width=lr.width * scale, count=lr.count,
        dtype=lr.dtypes[0], crs=lr.crs, transform=lr.transform @ Affine.scale(1 / scale),
        tiled=True, blockxsize=256, blockysize=256, interleave="band", compress="zstd",
        zstd_level=3, predictor=2, num_threads=2, bigtiff="if_safer",
    )
    bands = list(range(1, lr.count + 1))
    with rasterio.open(target, "w", **profile) as hr:
        reproject(
            rasterio.band(lr, bands), rasterio.band(hr, bands), resampling=Resampling.cubic,
            num_threads=2, warp_mem_limit=256,
        )
"""


def main() -> None:
    parser = options_of_pairs(__doc__, size="1000x1000", bands=100, pairs=5)
    parser.add_argument("--scale", type=int, nargs="+", default=[2, 4])
    arguments = parser.parse_args()
    rows, cols = arguments.size
    print_machine()
    print("| scene | scale | hsisr bicubic, s | GDAL cubic warp, s | ratio (median, min to max) |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        scene, ours, theirs = (Path(folder, name) for name in ("lr.tif", "ours.tif", "gdal.tif"))
        write_scene(scene, rows, cols, arguments.bands)
        for scale in arguments.scale:
            hsisr = [sys.executable, "-m", "hsisr", "upscale", str(scene), "-q", "--overwrite"]
            hsisr += ["--model", "bicubic", "--scale", str(scale), "-o", str(ours)]
            gdal = [sys.executable, "-c", WARP, str(scene), str(theirs), str(scale)]
            cells = cells_of_commands(hsisr, gdal, arguments.pairs)
            size = f"{rows} x {cols} x {arguments.bands} uint16"
            print(f"| {size} | {scale} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
