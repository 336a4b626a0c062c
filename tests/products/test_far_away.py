"""Products on servers, on workers, resumed, with pictures and STAC Items, as every other scene."""

import json
import zipfile
from pathlib import Path

import fsspec
import pytest

from hsisr.io.base import FileWriter
from hsisr.io.open import find_scenes, open_scene
from tests.networks import tiny_weights
from tests.products import fixtures
from tests.program import assert_holds, hsisr, succeed, values_of
from tests.scenes import write_item

pytestmark = [
    pytest.mark.filterwarnings("ignore:Dataset has no geotransform"),
    # a network that learnt nothing may leave the data type
    pytest.mark.filterwarnings("ignore::hsisr.errors.MovedValuesWarning"),
]
NAMES = ("EMIT", "PRS", "NEON", "2025", "AV32", "PACE", "ENMAP", "DESIS")
each_product = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("EMIT", "ENMAP") else pytest.mark.slow)
        for name in NAMES
    ],
)
"""A file in sensor geometry and a folder on a map grid; the others the long way round."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    fixtures.write_all(folder)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("weights"))


def in_memory(path: Path) -> str:
    """The URL of a product in a file system that is not this machine's; folders become ZIPs."""
    system = fsspec.filesystem("memory")
    if path.is_dir():
        with system.open(f"/{path.name}.zip", "wb") as file, zipfile.ZipFile(file, "w") as packed:
            for part in path.iterdir():
                packed.write(part, f"{path.name}/{part.name}")
        return f"memory://{path.name}.zip"
    system.put_file(str(path), f"/{path.name}")
    return f"memory://{path.name}"


@each_product
def test_a_run_of_a_product_on_a_server_is_resumed(
    name: str, archive: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(archive.glob(f"{name}*"))
    out, picture, url = tmp_path / "out.tif", tmp_path / "picture.png", in_memory(path)
    options = ["-s", 2, "-m", network, "--tile", 4, "--overlap", 0, "--device", "cpu"]
    commit = FileWriter.commit

    def interrupted(writer: FileWriter) -> Path:
        if writer.path == out:
            raise KeyboardInterrupt
        return commit(writer)

    with monkeypatch.context() as late:
        late.setattr(FileWriter, "commit", interrupted)
        broken = hsisr("upscale", url, "-o", out, *options)
    assert (broken.exit_code, out.exists()) == (130, False), broken.stderr
    assert "finished so far; the same command with --resume goes on" in broken.stderr
    succeed("upscale", url, "-o", out, *options, "--quicklook", picture, "--resume")
    whole = hsisr("upscale", path, "-o", tmp_path / "whole.tif", *options)
    assert whole.exit_code == 0, whole.stderr
    assert_holds(out, values_of(tmp_path / "whole.tif"))
    assert picture.read_bytes().startswith(b"\x89PNG")


@each_product
def test_items_of_products_become_outputs(name: str, archive: Path, tmp_path: Path) -> None:
    path = next(archive.glob(f"{name}*"))
    named = next(path.glob("*METADATA*")) if path.is_dir() else path
    asset = {"href": str(named), "roles": ["data"]}
    item = write_item(tmp_path / "in", {"product": asset})
    succeed("upscale", item, "-o", tmp_path / "out.tif", "-s", 2, "-m", "nearest", "--stac")
    made = json.loads((tmp_path / "out.json").read_text())
    assert next(a["href"] for a in made["assets"].values()).endswith("out.tif")
    assert made["properties"]["gsd"] == 15
    with open_scene(tmp_path / "out.tif") as output, open_scene(path) as observed:
        assert output.metadata.rows == 2 * observed.metadata.rows
        assert output.metadata.header["product"] == observed.metadata.header["product"]


def test_workers_make_what_one_process_makes_of_products(archive: Path, tmp_path: Path) -> None:
    scenes = [next(archive.glob(f"{name}*")) for name in ("EMIT", "ENMAP")]
    common = ["upscale", *scenes, "-s", 2, "-m", "bicubic", "-o"]
    for folder, more in (("one", []), ("two", ["--scheduler", "local:1"])):
        succeed(*common, tmp_path / folder, *more)
    made = find_scenes(tmp_path / "one")
    assert len(made) == 2
    for path in made:
        assert_holds(path, values_of(tmp_path / "two" / path.name))
