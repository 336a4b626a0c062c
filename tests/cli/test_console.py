"""Results on stdout, talk on stderr, verdict in the exit code."""

import errno
import io
import logging
import signal
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from hsisr import errors
from hsisr.cli.console import QUIET, expected_errors, fact_table
from hsisr.cli.main import app
from tests.conftest import PROJECT
from tests.nursery import forked
from tests.program import ran, values_of
from tests.scenes import counts, numbered, write_geotiff, write_tif


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.HsisrError("x"), 1),
        (errors.OutputExistsError("x"), 1),
        (errors.UsageError("x"), 2),
        (errors.InputDataError("x"), 3),
        (errors.WeightsError("x"), 4),
        (errors.ResourceError("x"), 5),
        (KeyboardInterrupt(), 130),
        (MemoryError(), 5),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), 5),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), 5),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 5),
        (ZeroDivisionError("oh"), 1),
    ],
)
def test_every_error_is_one_line_and_its_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught, expected_errors():
        raise error
    assert caught.value.exit_code == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("level", "shown"), [(0, True), (QUIET, False)])
def test_warnings_unless_quiet(level: int, shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with expected_errors(level):
        warnings.warn("careful", errors.HsisrWarning, stacklevel=1)
        warnings.warn("of a library", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == ("warning: careful\n" if shown else "")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_waits_until_a_library_is_loaded(
    name: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    lines = f"import signal, time\nsignal.raise_signal(signal.{name})\ntime.sleep(0.2)\n"
    (tmp_path / f"loads_at_{name}.py").write_text(f"{lines}loaded = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    # shells start background jobs with SIGINT ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    found: list[bool] = []

    def load() -> None:
        found.append(import_module(f"loads_at_{name}").loaded)
        time.sleep(30)

    with pytest.raises((typer.Exit, SystemExit)) as caught, expected_errors():
        load()
    assert code in (getattr(caught.value, name, None) for name in ("exit_code", "code"))
    assert found == [True]
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_facts_break_between_words_where_a_terminal_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "40")
    rows = [("agreement", "block averages are within 0 of the observed pixels")]
    title, *lines = fact_table("scene", rows, 15, Terminal()).splitlines()
    assert (title, len(lines)) == ("scene", 2)
    assert all(len(line) <= 40 and line[15] != " " for line in lines)
    assert fact_table("scene", rows, 15, io.StringIO()).count("\n") == 1


def test_lines_of_libraries_do_not_reach_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with expected_errors():
        for name in ("tifffile", "rasterio._err", "some.library"):
            logging.getLogger(name).error("nodata -3.4028234663852886e+38 is out of range")
    sys.stderr.flush()
    assert capfd.readouterr().err == ""


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
    done = forked(_INTERRUPTED, *words)
    assert done.stderr == ""
    assert (done.returncode, done.stdout) == (-signal.SIGINT, f"{out}\n")
    assert [path.name for path in out.parent.iterdir()] == ["a.tif"]
    np.testing.assert_array_equal(values_of(out)[:, ::2, ::2], numbered())


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


def test_the_program_calls_itself_hsisr_however_it_was_started() -> None:
    done = ran("from hsisr.cli.main import program; program()", "info", "--help")
    assert "Usage: hsisr info [OPTIONS]" in done.stdout


LIBRARIES = ("torch", "rasterio", "scipy", "h5py", "numpy", "fsspec", "zarr")
LOADED = f"""
import sys
def loaded():
    return [name for name in {LIBRARIES} if name in sys.modules]
"""
TALK = """
import hsisr
from typer.testing import CliRunner
from hsisr.cli.main import app
from hsisr.engine.options import models
assert "dacn-any-x4" in [*models()]
for words in ([], ["weights"]):
    assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0
assert loaded() == [], loaded()
"""
SCORES = """
from hsisr.commands.degrade import degrade
from hsisr.commands.evaluation.evaluate import evaluate
evaluate("x.tif", "x.tif")
degrade("x.tif", "lr.tif")
assert "rasterio" in loaded()
assert "torch" not in loaded()
"""
FILES = """
import os, sys
sys.argv = ["hsisr", "upscale", "x.tif", "-o", "out.tif", "-q"]
from hsisr.cli.main import program
try:
    program()
finally:
    own = [m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "hsisr"]
    print(*(path for path in own if path and os.path.getsize(path)), sep="\\n")
"""
MOST_FILES: Final = 45
"""Of the package, loaded for a GeoTIFF and the default network; may only shrink, 40 is the aim."""


def test_nothing_needless_is_loaded(tmp_path: Path) -> None:
    """By import, names and help next to nothing; by evaluate and degrade no torch."""
    write_tif(tmp_path / "x.tif", counts(3, 24, 16))
    done = ran(LOADED + TALK + SCORES, cwd=tmp_path, env={"PYTHONPATH": str(PROJECT)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_upscaled_geotiff_loads_few_files_and_one_network(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "x.tif", numbered())
    done = ran(FILES, cwd=tmp_path)
    assert (tmp_path / "out.tif").exists(), done.stderr
    loaded = [Path(line) for line in done.stdout.splitlines() if line.endswith(".py")]
    assert len(loaded) <= MOST_FILES
    assert not [path for path in loaded if path.parent.name == "literature"]
    assert not {"dacn.py", "dacn_any.py"} & {path.name for path in loaded}
