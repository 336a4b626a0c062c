"""What it gains beside a busy program, and costs beside none, that waiting threads sleep soon.

`hsisr upscale` of one scene, whole processes in turns: as libgomp waits by itself, and with
GOMP_SPINCOUNT=1000; first beside a program that keeps one core busy, then on a quiet machine.

    python docs/benchmarks/busy.py --size 200x340 --bands 103 --scale 4 --pairs 3
"""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from scenes import write_scene
from turns import in_turns, medians_and_ratio, options_of_pairs, print_machine, seconds_of

_BY_ITSELF = {**os.environ, "GOMP_SPINCOUNT": "300000"}
"""What libgomp takes where no more threads than cores are asked for."""
_SOON = {**os.environ, "GOMP_SPINCOUNT": "1000"}


def main() -> None:
    parser = options_of_pairs(__doc__, size="200x340", bands=103, pairs=3)
    parser.add_argument("--scale", type=int, default=4)
    arguments = parser.parse_args()
    rows, cols = arguments.size
    print_machine()
    print("| beside | libgomp by itself, s | sleeping soon, s | ratio (median, min to max) |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        scene, output = Path(folder) / "scene.tif", Path(folder) / "out.tif"
        write_scene(scene, rows, cols, arguments.bands)
        command = [sys.executable, "-m", "hsisr", "upscale", str(scene), "-o", str(output)]
        command += ["--scale", str(arguments.scale), "-q", "--overwrite"]
        by_itself = partial(seconds_of, command, _BY_ITSELF)
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            pairs = in_turns(by_itself, partial(seconds_of, command, _SOON), arguments.pairs)
        finally:
            busy.kill()
            busy.wait()
        print(f"| a busy program | {medians_and_ratio(pairs)} |", flush=True)
        pairs = in_turns(by_itself, partial(seconds_of, command, _SOON), arguments.pairs)
        print(f"| nothing | {medians_and_ratio(pairs)} |")


if __name__ == "__main__":
    main()
