"""How the program ends."""

import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hsisr.cli.main import app
from hsisr.engine.options import PANELS
from hsisr.io.open import open_scene
from tests.program import ran
from tests.scenes import numbered, write_geotiff

_INTERRUPTED = """
import atexit, os, signal, sys
from hsisr.cli.main import program
# shells start background jobs with SIGINT ignored, and children would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)
atexit.register(os.kill, os.getpid(), signal.SIGINT)
program()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT from one process to another there")
def test_ctrl_c_at_the_very_end_leaves_a_whole_output_and_says_nothing(tmp_path: Path) -> None:
    scene, out = write_geotiff(tmp_path / "scene.tif", numbered()), tmp_path / "out" / "a.tif"
    out.parent.mkdir()
    words = ["upscale", str(scene), "-s", "2", "-m", "nearest", "-q", "-o", str(out)]
    done = ran(_INTERRUPTED, *words)
    assert done.stderr == ""
    assert (done.returncode, done.stdout) == (-signal.SIGINT, f"{out}\n")
    assert [path.name for path in out.parent.iterdir()] == ["a.tif"]
    with open_scene(out) as hr:
        np.testing.assert_array_equal(hr.read().values[:, ::2, ::2], numbered())


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [
        ("hsisr ups", "upscale"),
        ("hsisr upscale --scale ", "2 4 8"),
        ("hsisr upscale -m dacn-any-", "dacn-any-x2 dacn-any-x4 dacn-any-x8"),
        ("hsisr upscale --format ", "COG ENVI GTiff MAT netCDF Zarr"),
        ("hsisr upscale --device ", "auto cpu cuda mps"),
        ("hsisr evaluate --convention dacn", "dacn dacn-whole"),
        ("hsisr train --init dacn-p", "dacn-paper-x4"),
        ("hsisr weights show dacn-p", "dacn-paper-x4"),
        ("hsisr weights verify dacn-p", "dacn-paper-x4"),
    ],
)
def test_a_shell_completes_values(typed: str, proposed: str) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    asked = {"_HSISR_COMPLETE": "complete_bash", **words}
    done = CliRunner().invoke(app, env=asked, prog_name="hsisr")
    assert done.stdout.split() == proposed.split()


@pytest.mark.parametrize("command", ["upscale", "view", "evaluate", "degrade", "train", "info"])
def test_options_stand_in_panels_and_main_comes_first(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"]).stdout
    panels = re.split(r"╭─ (\w[\w ]*\w) ─+", shown)[1:]
    found = dict(zip(panels[::2], panels[1::2], strict=True))
    assert re.findall(r"--[\w-]+", found.pop("Options")) == ["--help"]
    assert [name for name in PANELS if name in found] == [n for n in found if n != "Arguments"]


def test_the_program_calls_itself_hsisr_however_it_was_started() -> None:
    done = ran("from hsisr.cli.main import program; program()", "info", "--help")
    assert "Usage: hsisr info [OPTIONS]" in done.stdout
