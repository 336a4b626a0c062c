"""A scene on a server that changes while it is read, or before its run goes on."""

import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from hsisr.commands.upscale import Progress, upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.errors import InputDataError, UsageError
from hsisr.io.paths import scene_path
from hsisr.io.write import refuse_same_file
from hsisr.resume.record import has_changed, scene_identity
from tests.commands.runs import break_off
from tests.io.serving_ranges import serving
from tests.io.written import rich_metadata, write_scene
from tests.networks import tiny_weights
from tests.program import assert_holds, values_of
from tests.scenes import numbered, write_geotiff

# a network that learnt nothing may leave the data type
pytestmark = pytest.mark.filterwarnings("ignore::hsisr.errors.MovedValuesWarning")
VALUES = numbered(3, 40, 16)
MOMENT = 10**9
TOLD = pytest.mark.parametrize("kind", ["etag", "dated"])


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    for name in ("etag", "dated", "plain"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture
def url(served: Path) -> Iterator[str]:
    with serving(served) as address:
        yield address


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> UpscaleOptions:
    """Options of a run with a small network, of five strips."""
    path = tiny_weights(tmp_path_factory.mktemp("weights"))
    return UpscaleOptions(scale=2, model=str(path), tile=8, overlap=0, threads=1)


def written(path: Path, factor: int, moment: int) -> Path:
    """A scene of as many bytes whatever it holds, changed at a moment in seconds."""
    write_geotiff(path, VALUES * factor)
    os.utime(path, (moment, moment))
    return path


def changing(path: Path) -> Progress:
    """Writes the scene anew as soon as the first tile is finished."""

    def change(done: int, every: int) -> None:  # noqa: ARG001 - as it is called
        if path.stat().st_mtime != MOMENT + 60:
            written(path, 2, MOMENT + 60)

    return change


@TOLD
def test_a_scene_that_changes_on_the_server_while_it_is_read_makes_no_output(
    kind: str, served: Path, url: str, tmp_path: Path, network: UpscaleOptions
) -> None:
    path, out = written(served / kind / "a.tif", 1, MOMENT), tmp_path / "out"
    out.mkdir()
    for options in (network, UpscaleOptions(scale=2, model="bicubic")):
        written(path, 1, MOMENT)
        with pytest.raises(InputDataError, match=r"a\.tif: changed while it was read"):
            upscale(f"{url}/{kind}/a.tif", out / "a.tif", options, progress=changing(path))
        assert list(out.iterdir()) == []


@TOLD
@pytest.mark.parametrize("changed", [False, True])
def test_a_broken_run_goes_on_only_if_the_scene_on_the_server_is_the_same(
    kind: str, changed: bool, served: Path, url: str, tmp_path: Path, network: UpscaleOptions
) -> None:
    path = written(served / kind / "a.tif", 1, MOMENT)
    source, out = f"{url}/{kind}/a.tif", tmp_path / "a.tif"
    break_off(source, out, network, after=5)
    written(path, 1 + changed, MOMENT + changed)
    again = replace(network, resume=True)
    if changed:
        with pytest.raises(InputDataError, match=r"the input of .* has changed since its run"):
            upscale(source, out, again)
        assert not out.exists()
    else:
        upscale(source, out, again)
        upscale(source, tmp_path / "unbroken.tif", network)
        assert_holds(out, values_of(tmp_path / "unbroken.tif"))


def test_every_chunk_of_a_zarr_store_counts_where_folders_can_be_listed(tmp_path: Path) -> None:
    system, source = fsspec.filesystem("memory"), scene_path("memory://bucket/a.zarr")
    write_scene(tmp_path / "a.zarr", rich_metadata())
    system.put(str(tmp_path / "a.zarr"), "/bucket/", recursive=True)
    then = scene_identity(source)
    assert not has_changed(then, scene_identity(source))
    chunk = next(key for key in system.find("/bucket") if key.endswith("0.0.0"))
    system.pipe_file(chunk, system.cat_file(chunk)[::-1])
    assert has_changed(then, scene_identity(source))
    system.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    ("source", "output", "same"),
    [
        ("s3://b/a.hdr", "s3://b/a.hdr", True),
        ("s3://b/a.hdr", "s3://b/a.img", True),
        ("s3://b/a.hdr", "s3://b/finer/a.hdr", False),
        ("s3://b/a.hdr", "s3://b/c.hdr", False),
        ("s3://b/a.hdr", "a.hdr", False),
        ("s3://b/a.tif", "s3://b/a.tif", True),
        ("s3://b/a.tif", "s3://b/c.tif", False),
    ],
)
def test_remote_inputs_and_outputs_are_told_apart(source: str, output: str, *, same: bool) -> None:
    told = pytest.raises(UsageError, match="is an input of this run") if same else nullcontext()
    with told:
        refuse_same_file(scene_path(source), scene_path(output))
