"""What it gains beside a busy program that waiting threads sleep soon (`hsisr.cli.neighbours`).

`hsisr upscale` of one scene, whole processes in turns: as libgomp waits by itself, and as hsisr has
it wait; first beside a program that keeps one core busy, then on a quiet machine, where hsisr
leaves libgomp alone and what it would cost is shown.

    python docs/benchmarks/busy.py --size 200x340 --bands 103 --scale 4 --pairs 3
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from scenes import write_scene
from turns import in_turns, medians_and_ratio, print_machine

_BY_ITSELF = {"GOMP_SPINCOUNT": "300000"}
"""What libgomp takes where no more threads than cores are asked for."""
_OTHERS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
_SOON = {"GOMP_SPINCOUNT": "1000"}


def seconds(command: list[str], settings: dict[str, str]) -> float:
    """Wall-clock seconds of a run that must succeed."""
    own = {key: text for key, text in os.environ.items() if key not in _OTHERS}
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**own, **settings})
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="200x340", metavar="ROWSxCOLS")
    parser.add_argument("--bands", type=int, default=103)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    rows, cols = map(int, arguments.size.split("x"))
    print_machine()
    print("| beside | libgomp by itself, s | sleeping soon, s | ratio (median, min to max) |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        scene, output = Path(folder) / "scene.tif", Path(folder) / "out.tif"
        write_scene(scene, rows, cols, arguments.bands)
        command = [sys.executable, "-m", "hsisr", "upscale", str(scene), "-o", str(output)]
        command += ["--scale", str(arguments.scale), "-q", "--overwrite"]
        by_itself = partial(seconds, command, _BY_ITSELF)
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            pairs = in_turns(by_itself, partial(seconds, command, {}), arguments.pairs)
        finally:
            busy.kill()
            busy.wait()
        print(f"| a busy program | {medians_and_ratio(pairs)} |", flush=True)
        pairs = in_turns(by_itself, partial(seconds, command, _SOON), arguments.pairs)
        print(f"| nothing | {medians_and_ratio(pairs)} |")


if __name__ == "__main__":
    main()
