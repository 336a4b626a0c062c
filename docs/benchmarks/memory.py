"""Peak memory of `hsisr upscale` on scenes of growing size.

Run it with the sizes wanted; every size is upscaled in a process of its own, and the highest
resident memory of that process, as the operating system counts it, is printed as a table row.

    python docs/benchmarks/memory.py --model bicubic --scale 2 --bands 200 2000x2000 4000x4000
    python docs/benchmarks/memory.py --model dacn --scale 4 --bands 34 100x800 200x1600 400x3200

`dacn` is the network of the paper with random weights: memory does not depend on them.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scenes import write_scene

RANDOM_DACN = """
import sys
from hsisr.models.registry import build, descriptor_for
from hsisr.weights import save_weights
descriptor = descriptor_for("dacn", int(sys.argv[2]))
save_weights(sys.argv[1], build(descriptor).eval(), descriptor)
"""


def model_at(folder: str, name: str, scale: int) -> str:
    """The model to name to `upscale`; made in a process of its own, whose memory does not count."""
    if name != "dacn":
        return name
    path = str(Path(folder, "dacn.safetensors"))
    subprocess.run([sys.executable, "-c", RANDOM_DACN, path, str(scale)], check=True)
    return path


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds, and peak resident memory in GB, of a command that must succeed."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"failed: {' '.join(command)}")
    unit = 1 if platform.system() == "Darwin" else 1024
    return time.monotonic() - started, usage.ru_maxrss * unit / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="+", metavar="ROWSxCOLS")
    parser.add_argument("--bands", type=int, default=200)
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--model", default="bicubic")
    parser.add_argument("--folder", default=None, help="where scenes go; needs the space")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"Python {platform.python_version()}\n")
    print(f"| scene (uint16) | input | x{arguments.scale} output | seconds | peak memory |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        model = model_at(folder, arguments.model, arguments.scale)
        for size in arguments.sizes:
            rows, cols = map(int, size.split("x"))
            scene, output = Path(folder, "scene.tif"), Path(folder, "finer.tif")
            write_scene(scene, rows, cols, arguments.bands)
            command = [sys.executable, "-m", "hsisr", "upscale", str(scene), "-q"]
            command += ["--scale", str(arguments.scale), "--model", model]
            seconds, peak = measured([*command, "-o", str(output), "--overwrite"])
            raw = rows * cols * arguments.bands * 2 / 1e9
            print(
                f"| {rows} x {cols} x {arguments.bands} | {raw:.3g} GB "
                f"| {raw * arguments.scale**2:.3g} GB | {seconds:.0f} | {peak:.2f} GB |",
                flush=True,
            )
            output.unlink()


if __name__ == "__main__":
    main()
