"""What the default network takes, from file to file and by itself, against another checkout.

Both upscale the same generated scene in whole processes that take turns; the network's own time is
that of its passes over the scene's band groups (or pseudo-bands), one tile of 64 x 64 LR pixels
each, on one thread, also in turns; and the same for tiles as the weights have them, for every
10,000 LR pixels that such tiles add to a large scene. Run it on a machine that does nothing else.

    python docs/benchmarks/versions.py OTHER_CHECKOUT --size 256x256 --scale 4 --pairs 3
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from functools import partial
from pathlib import Path

from scenes import write_scene
from starts import seconds_with
from turns import in_turns, medians_and_ratio, options_of_pairs, print_machine

HERE = Path(__file__).parents[2]
BANDS = (103, 205)
NETWORK = """
import sys, time
from pathlib import Path
import torch
from hsisr.models.registry import for_inference
from hsisr.weights import load_weights, resolve

bands, file, own = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "own"
torch.set_num_threads(1)
loaded = load_weights(file)
tiles = loaded.descriptor
side = tiles.tile_lr_px + 2 * tiles.margin_lr_px if own else 64
share = 10000 / (tiles.tile_lr_px - tiles.overlap_lr_px) ** 2 if own else 1
size = loaded.descriptor.group_size
step, seen = size - loaded.descriptor.group_overlap, bands
if loaded.descriptor.arch == "dacn-equivariant" and (size < 64 or bands > 2 * size):
    seen = 64  # pseudo-bands, as on most scenes
passes = 1 + -(-(seen - size) // step)
network, tile = for_inference(loaded.network.eval()), torch.randn(1, size, side, side)
with torch.inference_mode():
    network(tile), network(tile)
    times = []
    for _ in range(7):
        started = time.process_time()
        for _ in range(passes):
            network(tile)
        times.append(time.process_time() - started)
print(sorted(times)[3] * share)
"""


def network_seconds(checkout: Path, bands: int, scale: int, tiles: str) -> float:
    """Processor seconds of the default network's passes over one tile, or 10,000 new LR pixels."""
    table = tomllib.loads((checkout / "weights" / "catalogue.toml").read_text(encoding="utf-8"))
    default = next(r for r in table["weights"] if r["scale"] == scale and r.get("default"))
    file = checkout / "weights" / default["file"]
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    command = [sys.executable, "-P", "-c", NETWORK, str(bands), str(file), tiles]
    said = subprocess.run(command, check=True, capture_output=True, env=environment, text=True)
    return float(said.stdout)


def main() -> None:
    parser = options_of_pairs(__doc__, size="256x256", bands=0, pairs=3)
    parser.add_argument("other", type=Path, help="another checkout, to compare with")
    parser.add_argument("--scale", type=int, default=4)
    own = parser.parse_args()
    print_machine()
    print("| bands | what | this checkout, s | other one, s | ratio (median, min to max) |")
    print("| --- | --- | --- | --- | --- |")
    for bands in BANDS:
        for tiles, what in (("alike", "one tile of 64 x 64"), ("own", "10,000 LR pixels in tiles")):
            here, there = (
                partial(network_seconds, place, bands, own.scale, tiles)
                for place in (HERE, own.other)
            )
            cells = medians_and_ratio(in_turns(here, there, own.pairs), 3)
            print(f"| {bands} | network, {what} | {cells} |", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            scene, out = Path(folder, "scene.tif"), Path(folder, "out.tif")
            rows, cols = own.size
            write_scene(scene, rows, cols, bands)
            call = ["-m", "hsisr", "upscale", str(scene), "--scale", str(own.scale)]
            call += ["-o", str(out), "--overwrite", "--quiet"]
            here, there = (partial(seconds_with, place, call) for place in (HERE, own.other))
            cells = medians_and_ratio(in_turns(here, there, own.pairs), 3)
            print(f"| {bands} | file to file | {cells} |", flush=True)


if __name__ == "__main__":
    main()
