"""One small job, done by the real program in a process of its own, and a judge of what is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio

from hsisr.io.open import open_scene
from hsisr.tiling import Window
from tests.networks import tiny_weights
from tests.scenes import write_geotiff

BANDS, SIDE, SCALE = 12, 120, 2
TILE = 16
"""LR pixels; so the job has ten strips, and most moments of its life lie between two of them."""


@dataclass(slots=True)
class Tally:
    """What came of one fault, tried several times."""

    fault: str
    tried: int = 0
    finished: int = 0
    """Times that the program had its result all the same."""
    losses: list[str] = field(default_factory=list)
    """What was wrong, if anything was."""
    skipped: str = ""
    """Why it could not be tried here."""

    def judge(self, complaints: Sequence[str], *, finished: bool) -> None:
        self.tried += 1
        self.finished += finished
        self.losses += complaints


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    stderr: str


class Trial:
    """An empty folder that gets a scene, a small network, and the result as it should be."""

    def __init__(self, folder: Path, name: str = "out.tif") -> None:
        self.folder, self.name = folder, name
        self.scene = folder / "scene.tif"
        rng = np.random.default_rng(5)
        cube = rng.integers(100, 4000, (BANDS, SIDE, SIDE)).astype(np.uint16)
        write_geotiff(self.scene, cube)
        self.weights = tiny_weights(folder, SCALE)
        self.output = self.fresh("reference") / name
        self.seconds = float("inf")
        """What an unbroken run takes: the shortest seen."""
        for _ in range(2):  # the first finds nothing in the system's cache
            if (whole := self.run("--overwrite")).code != 0:
                raise RuntimeError(whole.stderr)
        self.right = pixels(self.output)

    def fresh(self, name: str) -> Path:
        place = self.folder / name
        place.mkdir()
        return place

    def aim(self, place: Path) -> None:
        """Let the next runs write into a folder."""
        self.output = place / self.name

    def command(self, *more: str) -> list[str]:
        words = ["upscale", str(self.scene), "-s", str(SCALE), "-m", str(self.weights)]
        words += ["--tile", str(TILE), "--threads", "1", "-q", "-o", str(self.output)]
        return [sys.executable, "-m", "hsisr", *words, *more]

    def start(
        self, *more: str, limits: Callable[[], None] | None = None
    ) -> "subprocess.Popen[str]":
        def begin() -> None:
            # shells start background jobs with SIGINT ignored, and children would inherit that
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if limits is not None:
                limits()

        return subprocess.Popen(
            self.command(*more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=begin,  # noqa: PLW1509 - no threads here
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def run(self, *more: str, limits: Callable[[], None] | None = None) -> Ended:
        return self.ended(self.start(*more, limits=limits), time.monotonic())

    def ended(self, process: "subprocess.Popen[str]", started: float) -> Ended:
        done = ended(process)
        if done.code == 0:
            self.seconds = min(self.seconds, time.monotonic() - started)
        return done

    def wait_for_strips(self, process: "subprocess.Popen[str]", count: int) -> None:
        """Until that many strips are finished, or the process is."""
        kept = self.output.parent / f".{self.name}.unfinished"
        while process.poll() is None and len(list(kept.glob("strips*/[0-9]*.npz"))) < count:
            time.sleep(0.005)

    def complaints(self, old: "np.ndarray | None" = None) -> list[str]:
        """What is wrong with what can be seen: not the right file, not the old one, not nothing."""
        own = {self.name, f"{Path(self.name).stem}.img", f"{self.name}.aux.xml"}
        seen = {path.name for path in self.output.parent.iterdir() if path.name[0] != "."}
        if strays := seen - own:
            return [f"{sorted(strays)} beside the output"]
        if not seen and old is None:
            return []
        try:
            found = pixels(self.output)
        except (OSError, ValueError, rasterio.errors.RasterioError) as error:
            return [f"the output cannot be read: {error}"]
        same = np.array_equal(found, self.right)
        if not same and (old is None or not np.array_equal(found, old)):
            return ["the output is neither the right one nor the old one"]
        return []

    def resumed(self, *more: str) -> list[str]:
        """Go on; what is wrong afterwards."""
        done = self.run("--resume", *more)
        if done.code != 0:
            return [f"resuming failed: {done.stderr}"]
        wrong = self.complaints()
        if not np.array_equal(pixels(self.output), self.right):
            wrong.append("the resumed output differs")
        hidden = [path.name for path in self.output.parent.iterdir() if path.name[0] == "."]
        return [*wrong, *(f"{name} is left" for name in hidden)]


def ended(process: "subprocess.Popen[str]") -> Ended:
    _, stderr = process.communicate(timeout=300)
    return Ended(process.returncode, stderr)


def pixels(path: Path) -> "np.ndarray":
    """All numbers of an output; ValueError if it cannot be read."""
    if path.suffix == ".zarr":
        with open_scene(path) as scene:
            rows, cols = scene.metadata.rows, scene.metadata.cols
            return scene.read_stored(Window(0, 0, rows, cols), range(scene.metadata.bands))
    data = path.with_suffix(".img") if path.suffix == ".hdr" else path
    with rasterio.open(data) as file:
        numbers: np.ndarray = file.read()
    return numbers


def one_line(done: Ended, codes: Sequence[int]) -> list[str]:
    """Complaints about the last words of a run that failed."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    wrong = []
    if done.code not in codes:
        wrong.append(f"exit code {done.code}, expected one of {list(codes)}: {done.stderr}")
    if done.code > 0 and (len(lines) != 1 or not lines[0].startswith("error: ")):
        wrong.append(f"not one line: {done.stderr}")
    return wrong
