"""Products on servers, on workers, resumed, with pictures and STAC Items, as every other scene."""

import json
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import rasterio
import torch
from rasterio.warp import transform_bounds

from hsisr.io.base import FileWriter
from hsisr.models.dacn_any import AnySize, build_dacn_any, dacn_any_descriptor
from hsisr.weights import save_weights
from tests.products import fixtures
from tests.program import hsisr

pytestmark = [
    pytest.mark.filterwarnings("ignore:Dataset has no geotransform"),
    # a network that learnt nothing may leave the data type
    pytest.mark.filterwarnings("ignore::hsisr.errors.MovedValuesWarning"),
]
NAMES = ("EMIT", "PRS", "NEON", "2025", "AV32", "PACE", "ENMAP", "DESIS")
ACQUIRED = {"EMIT": "2022-08-27", "PRS": "2024-04-02", "AV32": "2024-09-05", "PACE": "2024-07-01"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    fixtures.write_all(folder)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network, of several strips a scene."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    torch.manual_seed(1)
    descriptor = dacn_any_descriptor(2, AnySize(width=8, blocks=1, heads=2, window=4))
    save_weights(path, build_dacn_any(descriptor), descriptor, card={"by": "a test"})
    return path


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


def pixels(path: Path) -> Any:
    with rasterio.open(path) as image:
        return image.read()


def bounds(path: Path) -> Any:
    """West, south, east and north of the centres of pixels, or of the map."""
    beside = path.with_suffix(".lonlat.tif")
    if beside.exists():
        longitude, latitude = pixels(beside)
        return longitude.min(), latitude.min(), longitude.max(), latitude.max()
    with rasterio.open(path) as image:
        return transform_bounds(image.crs, "EPSG:4326", *image.bounds)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_on_a_server_is_resumed_with_a_picture_and_an_item(
    name: str, archive: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(archive.glob(f"{name}*"))
    out, picture = tmp_path / "out.tif", tmp_path / "picture.png"
    options = ["-s", 2, "-m", network, "--tile", 8, "--device", "cpu"]
    more = ["--quicklook", picture, "--stac"]

    def interrupted(_: FileWriter) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as late:
        late.setattr(FileWriter, "commit", interrupted)
        broken = hsisr("upscale", in_memory(path), "-o", out, *options, *more)
    assert (broken.exit_code, out.exists()) == (130, False), broken.stderr
    done = hsisr("upscale", in_memory(path), "-o", out, *options, *more, "--resume")
    assert done.exit_code == 0, done.stderr
    assert "going on" in done.stderr
    whole = hsisr("upscale", path, "-o", tmp_path / "whole.tif", *options)
    assert whole.exit_code == 0, whole.stderr
    np.testing.assert_array_equal(pixels(out), pixels(tmp_path / "whole.tif"))
    assert picture.read_bytes().startswith(b"\x89PNG")
    item = json.loads(out.with_suffix(".json").read_text())
    assert item["properties"]["datetime"].startswith(ACQUIRED.get(name, "20"))
    np.testing.assert_allclose(item["bbox"], bounds(out), atol=0.02)


def test_workers_make_what_one_process_makes_of_every_product(
    archive: Path, tmp_path: Path
) -> None:
    common = ["upscale", archive, "-s", 2, "-m", "bicubic", "-o"]
    one = hsisr(*common, tmp_path / "one")
    assert one.exit_code == 0, one.stderr
    two = hsisr(*common, tmp_path / "two", "--scheduler", "local:1")
    assert two.exit_code == 0, two.stderr
    made = sorted(path.name for path in (tmp_path / "one").glob("*.tif"))
    assert len([name for name in made if "lonlat" not in name]) == len(NAMES)
    for name in made:
        np.testing.assert_array_equal(
            pixels(tmp_path / "one" / name), pixels(tmp_path / "two" / name)
        )
