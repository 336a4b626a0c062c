"""From a scene to a page that a browser shows: three commands, each in a process of its own.

    python docs/benchmarks/first_page.py [SCENE]

SCENE is the sample scene unless one is given. Prints the seconds of each command and, where there
is chromium, of the browser until the page is drawn; and how busy the machine was.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

import hsisr

BROWSER = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=600000")


def main(scene: Annotated[Path | None, typer.Argument()] = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = (sys.executable, "-m", "hsisr")
        own = str((scene or Path(folder, "indian-pines.hdr")).resolve())
        if scene is None:
            subprocess.run([*program, "sample"], cwd=folder, check=True, capture_output=True)
        calls = (
            ("info", own),
            ("upscale", own, "-o", "finer.tif"),
            ("view", own, "finer.tif", "-o", "page.html"),
        )
        began, shape = time.perf_counter(), hsisr.info(own).metadata.shape
        print(f"{Path(own).name}: {' x '.join(map(str, shape))} (bands, rows, columns)")
        total = 0.0
        for call in calls:
            total += timed(f"hsisr {call[0]}", [*program, *call], folder)
        if chromium := shutil.which("chromium"):
            page = Path(folder, "page.html").as_uri()
            shows = [chromium, *BROWSER, f"--user-data-dir={folder}/browser", "--dump-dom", page]
            total += timed("chromium, until the page is drawn", shows, folder, says="data-ready")
        print(f"together {total:.0f} s")
        load = os.getloadavg()[0]
        busy = f"{load:.1f} processes wanted {os.cpu_count()} processors on average at the end"
        print(f"{busy}; begun {time.perf_counter() - began:.0f} s before")


def timed(what: str, call: list[str], folder: str, says: str = "") -> float:
    """Seconds that a command takes; it must end well, and say that."""
    began = time.perf_counter()
    done = subprocess.run(call, cwd=folder, check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode or says not in done.stdout:
        raise SystemExit(f"{what} failed: {done.stderr}")
    print(f"{what}: {seconds:.1f} s", flush=True)
    return seconds


if __name__ == "__main__":
    typer.run(main)
