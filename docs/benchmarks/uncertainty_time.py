"""What `--uncertainty` adds to the time of `hsisr upscale`.

Whole processes that upscale the same scene with standard errors and without, in turns; the ratio is
taken pair by pair.

    python docs/benchmarks/uncertainty_time.py --size 192x192 --bands 103 --scale 4 --pairs 5
"""

import sys
import tempfile
from pathlib import Path

from scenes import write_scene
from turns import cells_of_commands, options_of_pairs, print_machine


def main() -> None:
    parser = options_of_pairs(__doc__, size="192x192", bands=103, pairs=5)
    parser.add_argument("--scale", type=int, nargs="+", default=[4])
    arguments = parser.parse_args()
    rows, cols = arguments.size
    print_machine()
    print("| scene | scale | with standard errors, s | without, s | ratio (median, min to max) |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        scene, output, errors = (Path(folder, f"{name}.tif") for name in ("lr", "hr", "errors"))
        write_scene(scene, rows, cols, arguments.bands)
        for scale in arguments.scale:
            plain = [sys.executable, "-m", "hsisr", "upscale", str(scene), "-q", "--overwrite"]
            plain += ["--scale", str(scale), "-o", str(output)]
            full = [*plain, "--uncertainty", str(errors)]
            cells = cells_of_commands(full, plain, arguments.pairs, digits=3)
            size = f"{rows} x {cols} x {arguments.bands} uint16"
            print(f"| {size} | {scale} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
