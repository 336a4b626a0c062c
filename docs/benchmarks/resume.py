"""What it costs to keep finished strips, so that a broken run can go on.

The same scene is upscaled with its strips kept and without, in turns, in one process; the ratio is
taken pair by pair.

    python docs/benchmarks/resume.py --size 256x256 --bands 64 --scale 2 4 --pairs 5
"""

import tempfile
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from unittest.mock import patch

from scenes import write_scene
from turns import in_turns, medians_and_ratio, options_of_pairs, print_machine

from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions


def seconds_of(scene: Path, output: Path, scale: int, *, kept: bool) -> float:
    """Wall-clock seconds of one upscaling."""
    way = nullcontext() if kept else patch("hsisr.commands.upscale._journal", return_value=None)
    with way:
        started = time.monotonic()
        upscale(scene, output, UpscaleOptions(scale=scale, overwrite=True))
        return time.monotonic() - started


def main() -> None:
    parser = options_of_pairs(__doc__, size="256x256", bands=64, pairs=5)
    parser.add_argument("--scale", type=int, nargs="+", default=[2, 4])
    arguments = parser.parse_args()
    rows, cols = arguments.size
    print_machine()
    print("| scene | scale | strips kept, s | not kept, s | ratio (median, min to max) |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        scene, output = Path(folder) / "scene.tif", Path(folder) / "out.tif"
        write_scene(scene, rows, cols, arguments.bands)
        for scale in arguments.scale:
            seconds_of(scene, output, scale, kept=True)  # the first run loads and warms
            kept, not_kept = (
                partial(seconds_of, scene, output, scale, kept=keeps) for keeps in (True, False)
            )
            cells = medians_and_ratio(in_turns(kept, not_kept, arguments.pairs), digits=3)
            size = f"{rows} x {cols} x {arguments.bands} uint16"
            print(f"| {size} | {scale} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
