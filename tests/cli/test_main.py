"""How the program ends."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hsisr.io.open import open_scene
from tests.program import hsisr
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
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert (done.returncode, done.stdout) == (-signal.SIGINT, f"{out}\n")
    assert [path.name for path in out.parent.iterdir()] == ["a.tif"]
    with open_scene(out) as hr:
        np.testing.assert_array_equal(hr.read().values[:, ::2, ::2], numbered())


@pytest.mark.parametrize(
    ("arguments", "found", "see"),
    [
        (("upscale", "--scal", "4", "x.tif"), "no such option: --scal", "'hsisr upscale -h'"),
        (("degrade", "x.tif"), "missing option '--output' / '-o'", "'hsisr degrade -h'"),
        (("upscale", "x.tif", "--scale"), "option '--scale' requires an argument", ""),
        (("info", "x.tif", "--bandz"), "no such option: --bandz", "'hsisr info -h'"),
        (("scale",), "no such command 'scale'", "'hsisr -h'"),
        (("weights", "shw"), "no such command 'shw'", "'hsisr weights -h'"),
        (("upscale", "--a\nb"), "no such option: --a", "'hsisr upscale -h'"),
        (("--frob",), "no such option: --frob", "'hsisr -h'"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_2(
    arguments: tuple[str, ...], found: str, see: str
) -> None:
    done = hsisr(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {found}")
    assert done.stderr.endswith(f"; see {see}\n" if see else "argument\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("weights",)])
def test_without_a_command_help_is_shown(arguments: tuple[str, ...]) -> None:
    done = hsisr(*arguments)
    assert done.exit_code == 2
    assert "Commands" in done.stderr + done.stdout
