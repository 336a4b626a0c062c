"""Whatever is wrong: one clear line, the right exit code, nothing left behind."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.broken import ZOO, Exhibit
from tests.program import hsisr, refusal
from tests.scenes import numbered, write_geotiff


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    return inside, outside


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("exhibit", ZOO, ids=lambda exhibit: exhibit.name)
def test_the_zoo(exhibit: Exhibit, folders: tuple[Path, Path]) -> None:
    inside, outside = folders
    arguments = exhibit.make(inside)
    if "-m" not in arguments and "--model" not in arguments:
        arguments += ["--model", "bicubic"]
    before = contents(inside)
    target = outside / exhibit.output
    done = hsisr("upscale", *arguments, "-o", target)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert done.exit_code == exhibit.code, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert exhibit.words in lines[0]
    assert done.stdout == ""
    assert contents(inside) == before
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_no_room_for_the_output(name: str, folders: tuple[Path, Path]) -> None:
    inside, outside = folders
    scene = write_geotiff(inside / "scene.tif", numbered(bands=8, rows=32, cols=32))
    call = ("upscale", scene, "-s", "8", "-m", "bicubic", "-o", outside / name)
    done = subprocess.run(
        [sys.executable, "-m", "hsisr", *map(str, call)],
        capture_output=True,
        text=True,
        check=False,
        # as a full disk or a quota would limit files; no threads here
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        timeout=120,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 5, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert list(outside.iterdir()) == []


def test_a_folder_that_takes_no_files(folders: tuple[Path, Path]) -> None:
    scene = write_geotiff(folders[0] / "scene.tif", numbered())
    refusal(hsisr("upscale", scene, "-m", "bicubic", "-o", "/proc/hsisr/out.tif"), 5)


def test_several_scenes_into_a_file(folders: tuple[Path, Path]) -> None:
    inside, outside = folders
    scenes = [str(write_geotiff(inside / f"{n}.tif", numbered())) for n in "ab"]
    target = outside / "one.tif"
    target.write_text("precious")
    done = hsisr("upscale", *scenes, "-m", "bicubic", "-o", target)
    assert "several scenes need a folder" in refusal(done, 2)
    assert target.read_text() == "precious"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_leaves_nothing(
    number: signal.Signals, code: int, folders: tuple[Path, Path]
) -> None:
    inside, outside = folders
    scene = write_geotiff(inside / "scene.tif", numbered(bands=40, rows=300, cols=300))
    command = ["upscale", str(scene), "-s", "8", "-m", "lanczos", "-o", str(outside / "out.tif")]
    # shells start background jobs with SIGINT ignored, and children would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-m", "hsisr", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not any(outside.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert out == ""
    assert err.endswith("no half-made output was left behind\n")
    assert list(outside.iterdir()) == []
