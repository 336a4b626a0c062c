"""One scene on two Dask workers against one, side by side.

Both are whole processes that start their own workers (`--scheduler local:N`, one processor thread
each); they take turns, and the ratio is taken pair by pair. Run it on a machine that does nothing
else and has at least four cores: two for the workers, the rest for scheduler, writer and system.

    python docs/benchmarks/cluster.py --size 600x600 --bands 64 --scale 4 --pairs 3

The time to start workers, in which each loads torch, is a part of both; it is printed apart, as
the time of a scene of 8 x 8 pixels.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

from scenes import write_scene
from turns import in_turns, medians_and_ratio, options_of_pairs, print_machine, seconds_of


def seconds_on(workers: int, scene: Path, output: Path, options: list[str]) -> float:
    """Wall-clock seconds of a run that must succeed."""
    command = [sys.executable, "-m", "hsisr", "upscale", str(scene), "-q", "--overwrite"]
    command += [*options, "--scheduler", f"local:{workers}", "-o", str(output)]
    return seconds_of(command)


def main() -> None:
    parser = options_of_pairs(__doc__, size="600x600", bands=64, pairs=3)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--model", default=None, help="the released network without it")
    parser.add_argument("--folder", default=None, help="where scenes go; needs the space")
    arguments = parser.parse_args()
    rows, cols = arguments.size
    options = ["--scale", str(arguments.scale)]
    options += ["--model", arguments.model] if arguments.model else []
    print_machine()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        scene, small, output = (Path(folder, name) for name in ("lr.tif", "small.tif", "hr.tif"))
        write_scene(scene, rows, cols, arguments.bands)
        write_scene(small, 8, 8, arguments.bands)
        starts = [seconds_on(workers, small, output, options) for workers in (1, 2)]
        one, two = (partial(seconds_on, n, scene, output, options) for n in (1, 2))
        pairs = in_turns(one, two, arguments.pairs)
    print(
        "| scene | scale | one worker, s | two workers, s | ratio (median, min to max) | starts |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    print(
        f"| {rows} x {cols} x {arguments.bands} uint16 | {arguments.scale} "
        f"| {medians_and_ratio(pairs)} | {starts[0]:.1f} s, {starts[1]:.1f} s |"
    )


if __name__ == "__main__":
    main()
