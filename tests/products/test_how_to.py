"""The commands of the pages on products, run on fixtures; with bicubic, which is quick."""

import shlex
from pathlib import Path

import pytest

from tests.products.fixtures import write_all
from tests.program import succeed

PAGES = Path(__file__).parents[2] / "docs/src/how-to/products"
NAMES = sorted(page.stem for page in PAGES.glob("*.md") if page.stem != "netcdf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("products")
    write_all(place)
    return place


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
@pytest.mark.parametrize("name", NAMES)
def test_three_commands_lead_to_qgis(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    block = (PAGES / f"{name}.md").read_text(encoding="utf-8").split("```")[1]
    info, upscale, qgis = (shlex.split(line) for line in block.splitlines()[1:])
    assert (info[0], upscale[0], qgis[0]) == ("hsisr", "hsisr", "qgis")
    succeed(*info[1:])
    succeed(*upscale[1:], "-m", "bicubic")
    assert Path(qgis[1]).is_file()
