"""Outputs in other programs: GDAL's command line, QGIS, SPy, xarray, rioxarray, Octave."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rasterio

from tests.scenes import counts, write_tif

PAGE = Path(__file__).parents[2] / "docs/src/reference/clients.md"
pytestmark = pytest.mark.clients


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # rioxarray's use of affine
def test_other_programs_see_what_the_page_says(tmp_path: Path) -> None:
    for package in ("rioxarray", "spectral", "xarray"):
        pytest.importorskip(package)
    from tests.clients.outputs import missing, table, write_outputs

    if absent := missing():
        pytest.skip(f"not installed: {', '.join(absent)}")
    write_outputs(tmp_path)
    assert table(tmp_path) in PAGE.read_text(encoding="utf-8")


PLUGIN = Path(__file__).parents[2] / "docs/integrations/qgis"
PYTHON = "/usr/bin/python3"


def test_the_algorithms_do_in_qgis_what_the_transcript_says(tmp_path: Path) -> None:
    if subprocess.run([PYTHON, "-c", "import qgis"], check=False).returncode:
        pytest.skip("no QGIS for the system's Python")
    program = shutil.which("hsisr", path=str(Path(sys.executable).parent))
    assert program is not None
    write_tif(tmp_path / "scene.tif", counts(34, 24, 24))
    done = subprocess.run(
        [PYTHON, str(PLUGIN / "transcript.py"), program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert done.returncode == 0, done.stderr
    page = (PLUGIN.parents[1] / "src/how-to/qgis.md").read_text(encoding="utf-8")
    expected = page.split("```text\n")[1].split("```")[0].splitlines()
    said = done.stdout.splitlines()
    assert said[0].startswith("QGIS 3.")
    assert said[1:] == expected[1:]


RECIPES = Path(__file__).parents[2] / "docs/src/how-to/pipelines.md"


def recipe(language: str, beginning: str) -> str:
    """The block of the page in a language that begins with a text."""
    blocks: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```$", RECIPES.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return next(block for block in blocks if block.startswith(beginning))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three small scenes in `scenes/`, and `hsisr` on the path."""
    (tmp_path / "scenes").mkdir()
    for name in "abc":
        write_tif(tmp_path / f"scenes/{name}.tif", counts(5, 12, 12))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in sorted((folder / "finer").glob("*.tif")):
        with rasterio.open(path) as file:
            found[path.name] = file.shape
    return found


def test_make_does_what_is_missing_and_nothing_twice(folder: Path) -> None:
    (folder / "Makefile").write_text(recipe("make", "SCENES"))
    make = ("make", "-j2")
    subprocess.run(make, check=True)
    assert sizes(folder) == {f"{name}_x2.tif": (24, 24) for name in "abc"}
    again = subprocess.run(make, check=True, capture_output=True, text=True)
    assert "hsisr upscale" not in again.stdout
    os.utime(folder / "scenes/b.tif")
    again = subprocess.run(make, check=True, capture_output=True, text=True)
    assert re.findall(r"hsisr upscale (\S+)", again.stdout) == ["scenes/b.tif"]


def test_a_slurm_array_does_every_scene_once(folder: Path) -> None:
    sinfo = shutil.which("sinfo")
    if sinfo is None or subprocess.run([sinfo], check=False, capture_output=True).returncode:
        pytest.skip("no Slurm that answers")
    script = recipe("bash", "#!/bin/bash\n#SBATCH")
    script = script.replace("--array=0-9", "--array=0-1").replace("per-task=4", "per-task=1")
    (folder / "job.sh").write_text(script.replace("--threads 4", "--threads 1 --model bicubic"))
    subprocess.run(["sbatch", "--wait", "job.sh"], check=True, timeout=1200)
    time.sleep(1)
    assert sizes(folder) == {f"{name}_x4.tif": (48, 48) for name in "abc"}
    said = [path.read_text() for path in sorted(folder.glob("slurm-*.out"))]
    assert sorted(re.findall(r"shard (\d) of 2", " ".join(said))) == ["1", "2"]
