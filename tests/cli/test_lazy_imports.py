"""What a command does not need is not loaded: each in a process of its own."""

from pathlib import Path
from typing import Final

import pytest

from tests.conftest import PROJECT
from tests.program import ran
from tests.scenes import counts, numbered, write_geotiff, write_tif

LIBRARIES = ("torch", "rasterio", "scipy", "h5py", "numpy", "fsspec", "zarr")
TALK = """
import hsisr
from typer.testing import CliRunner
from hsisr.cli.main import app
from hsisr.engine.options import models
assert "dacn-any-x4" in [*models()]
for words in ([], ["weights"]):
    assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0
"""
SCORES = """
from hsisr.commands.degrade import degrade
from hsisr.commands.evaluation.evaluate import evaluate
evaluate("x.tif", "x.tif")
degrade("x.tif", "lr.tif")
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
MOST_FILES: Final = 60
"""Of the package, loaded for a GeoTIFF and the default network; may only shrink, 40 is the aim."""


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [(TALK, LIBRARIES), (SCORES, ("torch",))],
    ids=["import, names and help", "evaluate and degrade"],
)
def test_what_is_not_needed_is_not_loaded(
    code: str, forbidden: tuple[str, ...], tmp_path: Path
) -> None:
    write_tif(tmp_path / "x.tif", counts(3, 24, 16))
    look = f"import sys; print(*(n for n in {forbidden} if n in sys.modules))"
    done = ran(f"{code}\n{look}", cwd=tmp_path, env={"PYTHONPATH": str(PROJECT)})
    assert (done.stdout, done.stderr) == ("\n", "")


def test_an_upscaled_geotiff_loads_few_files_and_one_network(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "x.tif", numbered())
    done = ran(FILES, cwd=tmp_path)
    assert (tmp_path / "out.tif").exists(), done.stderr
    loaded = [Path(line) for line in done.stdout.splitlines() if line.endswith(".py")]
    assert len(loaded) <= MOST_FILES
    assert not [path for path in loaded if path.parent.name == "literature"]
    assert not {"dacn.py", "dacn_any.py"} & {path.name for path in loaded}
