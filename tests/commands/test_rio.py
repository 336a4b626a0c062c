"""The plug-in of rasterio's command line, as `pyproject.toml` names it."""

import tomllib
from importlib import import_module
from pathlib import Path

from click.testing import CliRunner
from rasterio.rio.main import main_group

import hsisr
from tests.commands.files import counts, write_tif


def test_rio_runs_the_program_and_gives_its_exit_code(tmp_path: Path) -> None:
    table = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    module, name = table["project"]["entry-points"]["rasterio.rio_plugins"]["hsisr"].split(":")
    main_group.add_command(getattr(import_module(module), name))
    scene = write_tif(tmp_path / "scene.tif", counts(3, 8, 8))
    call = ["hsisr", "upscale", str(scene), "-o", str(tmp_path / "x2.tif"), "--scale", "2"]
    assert CliRunner().invoke(main_group, [*call, "--model", "bicubic"]).exit_code == 0
    assert hsisr.info(tmp_path / "x2.tif").metadata.shape == (3, 16, 16)
    assert CliRunner().invoke(main_group, [*call, "--model", "none"]).exit_code in (1, 4)
