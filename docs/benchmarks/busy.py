"""What a program beside it costs `hsisr upscale`, against another checkout.

One scene, whole processes in turns, beside a program that keeps one core busy and beside none.

    python docs/benchmarks/busy.py OTHER_CHECKOUT --size 200x340 --bands 103 --scale 4 --pairs 3
"""

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from scenes import write_scene
from starts import seconds_with
from turns import in_turns, medians_and_ratio, options_of_pairs, print_machine

HERE = Path(__file__).parents[2]


def main() -> None:
    parser = options_of_pairs(__doc__, size="200x340", bands=103, pairs=3)
    parser.add_argument("other", type=Path, help="another checkout, to compare with")
    parser.add_argument("--scale", type=int, default=4)
    own = parser.parse_args()
    print_machine()
    print("| beside | this checkout, s | other one, s | ratio (median, min to max) |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        scene, out = Path(folder, "scene.tif"), Path(folder, "out.tif")
        rows, cols = own.size
        write_scene(scene, rows, cols, own.bands)
        call = ["-m", "hsisr", "upscale", str(scene), "--scale", str(own.scale)]
        call += ["-o", str(out), "--overwrite", "--quiet"]
        here, there = (partial(seconds_with, place, call) for place in (HERE, own.other))
        for what in ("a busy program", "nothing"):
            with ExitStack() as beside:
                if what != "nothing":
                    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
                    beside.callback(busy.wait)
                    beside.callback(busy.kill)
                pairs = in_turns(here, there, own.pairs)
            print(f"| {what} | {medians_and_ratio(pairs)} |", flush=True)


if __name__ == "__main__":
    main()
