"""Many small scenes in one call of `hsisr upscale`, of this checkout against another one.

Both are whole processes with one processor thread; they take turns, and the ratio is taken pair by
pair. Run it on a machine that does nothing else.

    python docs/benchmarks/many.py OTHER_CHECKOUT --size 60x60 --bands 32 --scenes 20 --pairs 3
"""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from scenes import write_scene
from turns import in_turns, medians_and_ratio, options_of_pairs, print_machine, seconds_of

HERE = Path(__file__).parents[2]


def seconds_with(checkout: Path, scenes: Path, outputs: Path, options: list[str]) -> float:
    command = [sys.executable, "-m", "hsisr", "upscale", str(scenes), "-q", "--overwrite"]
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    return seconds_of([*command, *options, "-o", str(outputs), "--threads", "1"], environment)


def main() -> None:
    parser = options_of_pairs(__doc__, size="60x60", bands=32, pairs=3)
    parser.add_argument("other", type=Path, help="another checkout, to compare with")
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--model", default=None, help="the released network without it")
    arguments = parser.parse_args()
    rows, cols = arguments.size
    options = ["--model", arguments.model] if arguments.model else []
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        scenes = Path(folder, "scenes")
        scenes.mkdir()
        for number in range(arguments.scenes):
            write_scene(scenes / f"{number:03d}.tif", rows, cols, arguments.bands)
        other, here = (
            partial(seconds_with, checkout, scenes, Path(folder, "finer"), options)
            for checkout in (arguments.other, HERE)
        )
        pairs = in_turns(other, here, arguments.pairs)
    print("| scenes | other checkout, s | this one, s | ratio (median, min to max) |")
    print("| --- | --- | --- | --- |")
    print(
        f"| {arguments.scenes} of {rows} x {cols} x {arguments.bands} uint16 "
        f"| {medians_and_ratio(pairs)} |"
    )


if __name__ == "__main__":
    main()
