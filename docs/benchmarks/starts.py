"""Time that short commands take, of this checkout against another one.

`hsisr --help`, `hsisr info` and `hsisr upscale` on a small GeoTIFF and `import hsisr`, each a whole
process; the two checkouts take turns, and the ratio is taken pair by pair. Run it on a machine that
does nothing else.

    python docs/benchmarks/starts.py OTHER_CHECKOUT --pairs 9
"""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from scenes import write_scene
from turns import in_turns, medians_and_ratio, options_of_pairs, print_machine, seconds_of

HERE = Path(__file__).parents[2]


def seconds_with(checkout: Path, arguments: list[str]) -> float:
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    # -P: the package of that checkout, not the one in the folder that this runs in
    return seconds_of([sys.executable, "-P", *arguments], environment)


def main() -> None:
    parser = options_of_pairs(__doc__, size="60x60", bands=32, pairs=9)
    parser.add_argument("other", type=Path, help="another checkout, to compare with")
    arguments = parser.parse_args()
    print_machine()
    print("| call | other checkout, s | this one, s | ratio (median, min to max) |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder, "scene.tif")
        rows, cols = arguments.size
        write_scene(scene, rows, cols, arguments.bands)
        calls = {
            "hsisr --help": ["-m", "hsisr", "--help"],
            "hsisr info scene.tif": ["-m", "hsisr", "info", str(scene)],
            "import hsisr": ["-c", "import hsisr"],
            "hsisr upscale scene.tif -s 4": [
                *("-m", "hsisr", "upscale", str(scene), "-s", "4"),
                *("-o", str(Path(folder, "out.tif")), "--overwrite", "--quiet"),
            ],
        }
        for name, call in calls.items():
            other, here = (partial(seconds_with, place, call) for place in (arguments.other, HERE))
            print(f"| {name} | {medians_and_ratio(in_turns(other, here, arguments.pairs))} |")


if __name__ == "__main__":
    main()
