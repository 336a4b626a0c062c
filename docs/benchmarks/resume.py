"""What it costs to keep finished strips, so that a broken run can go on.

The same scene is upscaled with its strips kept and without, in turns, in one process; the ratio is
taken pair by pair.

    python docs/benchmarks/resume.py --size 256x256 --bands 64 --scale 2 4 --pairs 5
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from scenes import write_scene

from hsisr.commands.options import UpscaleOptions
from hsisr.commands.upscale import upscale
from hsisr.inference.stitcher import Stitched, stitch


def without_journal(*words: Any, journal: object = None, **names: Any) -> Stitched:  # noqa: ARG001
    """`stitch`, keeping nothing."""
    return stitch(*words, **names)


def seconds_of(scene: Path, output: Path, scale: int, stitcher: Any) -> float:
    """Wall-clock seconds of one upscaling."""
    started = time.monotonic()
    upscale(scene, output, UpscaleOptions(scale=scale, overwrite=True), stitcher=stitcher)
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="256x256", metavar="ROWSxCOLS")
    parser.add_argument("--bands", type=int, default=64)
    parser.add_argument("--scale", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    rows, cols = map(int, arguments.size.split("x"))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"Python {platform.python_version()}\n")
    print("| scene | scale | strips kept, s | not kept, s | ratio (median, min to max) |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        scene, output = Path(folder) / "scene.tif", Path(folder) / "out.tif"
        write_scene(scene, rows, cols, arguments.bands)
        for scale in arguments.scale:
            pairs = []
            seconds_of(scene, output, scale, stitch)  # the first run loads and warms
            for _ in range(arguments.pairs):
                kept = seconds_of(scene, output, scale, stitch)
                pairs.append((kept, seconds_of(scene, output, scale, without_journal)))
            ratios = sorted(kept / bare for kept, bare in pairs)
            kept, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
            spread = f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
            size = f"{rows} x {cols} x {arguments.bands} uint16"
            print(f"| {size} | {scale} | {kept:.1f} | {bare:.1f} | {spread} |", flush=True)


if __name__ == "__main__":
    main()
