"""Results on stdout, talk on stderr, verdict in the exit code."""

import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Final

import pytest
import typer

from hsisr.cli.console import QUIET, expected_errors
from hsisr.errors import (
    HsisrError,
    HsisrWarning,
    InputDataError,
    OutputExistsError,
    ResourceError,
    UsageError,
    WeightsError,
)
from tests.scenes import numbered, write_geotiff

MOST_FILES: Final = 66
"""Of the package, loaded for a GeoTIFF and the default network; may only shrink, 40 is the aim."""


def ended(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a program in a process of its own has printed, and its exit code."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HsisrError("x"), 1),
        (OutputExistsError("x"), 1),
        (UsageError("x"), 2),
        (InputDataError("x"), 3),
        (WeightsError("x"), 4),
        (ResourceError("x"), 5),
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
def test_warnings_are_lines_unless_quiet(
    level: int, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with expected_errors(level):
        warnings.warn("careful", HsisrWarning, stacklevel=1)
        warnings.warn("of a library", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == ("warning: careful\n" if shown else "")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_waits_until_a_library_is_loaded(name: str, code: int, tmp_path: Path) -> None:
    library = (
        "import os, signal, time\n"
        "try:\n"
        f"    os.kill(os.getpid(), signal.{name})\n"
        "    time.sleep(0.2)\n"
        "    print('loaded')\n"
        "except BaseException:\n"
        "    print('broken off')\n"
    )
    (tmp_path / "library.py").write_text(library)
    program = (
        "import signal, sys, time\n"
        "from hsisr.cli.console import expected_errors\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import typer\n"
        "try:\n"
        "    with expected_errors():\n"
        "        import library\n"
        "        time.sleep(30)\n"
        "except typer.Exit as ending:\n"
        "    sys.exit(ending.exit_code)\n"
    )
    done = ended(program)
    assert (done.returncode, done.stdout) == (code, "loaded\n")
    assert len(done.stderr.splitlines()) == 1


def test_help_loads_neither_torch_nor_rasterio() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['hsisr', '--help']\n"
        "from hsisr.cli.main import app\n"
        "try:\n"
        "    app()\n"
        "finally:\n"
        "    heavy = {'torch', 'rasterio', 'scipy', 'h5py', 'numpy'} & sys.modules.keys()\n"
        "    print('loaded:', sorted(heavy))\n"
    )
    done = ended(program, COLUMNS="100")
    assert done.returncode == 0
    assert "upscale" in done.stdout
    assert done.stdout.endswith("loaded: []\n")


def test_an_upscaled_geotiff_loads_few_files_of_the_package(tmp_path: Path) -> None:
    scene, out = write_geotiff(tmp_path / "scene.tif", numbered()), tmp_path / "out.tif"
    done = ended(
        "import os, sys\n"
        f"sys.argv = ['hsisr', 'upscale', {str(scene)!r}, '-o', {str(out)!r}, '-q']\n"
        "from hsisr.cli.main import program\n"
        "try:\n"
        "    program()\n"
        "finally:\n"
        "    own = [m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'hsisr']\n"
        "    print(sum(os.path.getsize(path) > 0 for path in own if path))\n"
    )
    assert out.exists(), done.stderr
    assert int(done.stdout.split()[-1]) <= MOST_FILES
