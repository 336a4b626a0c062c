"""What `--skip-existing` does about outputs that are not on this machine."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hsisr.commands.archive.run import Done, Skipped
from hsisr.commands.archive.select import Failure
from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.errors import HsisrWarning, OutputExistsError
from hsisr.io.open import open_scene
from hsisr.io.paths import RemotePath, scene_path
from hsisr.resume.record import record_path
from tests.commands.runs import BICUBIC, assert_left_out, made, old_scene, once
from tests.io.serving_ranges import serving

FORMATS = ("GTiff", "ENVI", "Zarr")
OUT = scene_path("memory://bucket/out")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return old_scene(tmp_path / "a.tif")


@pytest.fixture
def system() -> Iterator[Any]:
    """The memory of this process; nothing is left of it."""
    found = fsspec.filesystem("memory")
    yield found
    found.store.clear()
    found.pseudo_dirs[:] = [""]


def assert_whole(output: Path) -> None:
    with open_scene(output) as hr:
        assert hr.read().values.shape == (3, 40, 32)


@pytest.mark.parametrize("name", FORMATS)
def test_a_finished_remote_output_is_left_out(name: str, scene: Path, system: Any) -> None:
    options = replace(BICUBIC, format=name)
    output = made(scene, OUT, options)
    assert isinstance(record_path(output), RemotePath)
    before = system.find("/bucket", detail=True)
    again = once(scene, OUT, options)
    assert_left_out(again, "recorded as complete")
    assert system.find("/bucket", detail=True) == before
    records = [key for key in before if "/.hsisr/" in key]
    assert records == [f"/bucket/out/.hsisr/{output.name}.json"]


@pytest.mark.parametrize(
    ("name", "part"), [("ENVI", "a_x2.hdr"), ("ENVI", "a_x2.img"), ("Zarr", "a_x2.zarr/data/0.0.0")]
)
def test_a_recorded_output_of_which_a_part_is_gone_is_made_anew(
    name: str, part: str, scene: Path, system: Any
) -> None:
    options = replace(BICUBIC, format=name)
    output = made(scene, OUT, options)
    system.rm_file(f"/bucket/out/{part}")
    with pytest.warns(HsisrWarning, match=r"memory://bucket/out/a_x2.* is broken off, \d+ of \d+"):
        again = once(scene, OUT, options)
    assert isinstance(again, Done)
    assert_whole(output)


class Killed(BaseException):
    """Nothing after it happens, as if the process were gone."""


def sent_until(end: str, scene: Path, options: UpscaleOptions, patch: pytest.MonkeyPatch) -> None:
    """A run that is killed when it comes to a part."""
    put = MemoryFileSystem.put_file

    def breaking(self: Any, local: str, place: str, **more: Any) -> None:
        if place.endswith(end):
            raise Killed
        put(self, local, place, **more)

    def nothing(*_: Any) -> None:
        raise Killed

    with patch.context() as within:
        within.setattr(MemoryFileSystem, "put_file", breaking)
        within.setattr(MemoryFileSystem, "rm_file", nothing)
        with pytest.raises(Killed):
            once(scene, OUT, options)


@pytest.mark.parametrize(
    ("name", "end"), [("ENVI", ".hdr"), ("Zarr", "data/.zarray"), ("Zarr", ".zmetadata")]
)
def test_what_a_killed_run_sent_in_part_is_made_anew(
    name: str, end: str, scene: Path, system: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(BICUBIC, format=name)
    sent_until(end, scene, options, monkeypatch)
    assert any("a_x2" in key for key in system.find("/bucket") if "/.hsisr/" not in key)
    with pytest.warns(HsisrWarning, match="was sent in part only; it is made anew"):
        again = once(scene, OUT, options)
    assert isinstance(again, Done)
    assert_whole(again.result.output)
    assert not [key for key in system.find("/bucket") if key.endswith(".sending")]


def test_an_old_header_never_describes_new_data(
    scene: Path, system: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(BICUBIC, format="ENVI")
    output = made(scene, OUT, options)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", _no_connection)
        with pytest.raises(OSError, match="cannot be sent: no connection"):
            upscale(scene, output, replace(options, overwrite=True))
    assert not system.exists("/bucket/out/a_x2.hdr")


def _no_connection(*_: Any, **__: Any) -> None:
    raise ConnectionResetError("reset")


def test_a_remote_scene_and_a_remote_output_are_recognised(scene: Path, system: Any) -> None:  # noqa: ARG001
    with serving(scene.parent) as address:
        remote = scene_path(f"{address}/a.tif")
        made(remote, OUT)
        assert isinstance(once(remote, OUT), Skipped)


def test_a_remote_input_that_has_changed_keeps_the_output(scene: Path, system: Any) -> None:
    source = scene_path("memory://bucket/in/a.tif")
    system.put_file(str(scene), "/bucket/in/a.tif")
    output = made(source, OUT)
    assert isinstance(once(source, OUT), Skipped)
    system.put_file(str(scene), "/bucket/in/a.tif")  # at a later time
    kept = once(source, OUT)
    assert isinstance(kept, Failure)
    assert "was made from another input, or the input has changed, and is kept" in str(kept.error)
    before = system.cat_file(f"/bucket/out/.hsisr/{output.name}.json")
    record = json.loads(before)
    del record["remote_source"]  # as hsisr once wrote them
    system.pipe_file(f"/bucket/out/.hsisr/{output.name}.json", json.dumps(record).encode())
    assert isinstance(once(source, OUT), Skipped)


def test_somebody_elses_object_is_kept(scene: Path, system: Any) -> None:
    made(scene, OUT)
    system.pipe_file("/bucket/out/a_x2.tif", b"precious")
    for reason in ("has changed since it was made", "has no record and cannot be read to its end"):
        kept = once(scene, OUT)
        assert isinstance(kept, Failure)
        assert isinstance(kept.error, OutputExistsError)
        assert reason in str(kept.error)
        assert system.cat_file("/bucket/out/a_x2.tif") == b"precious"
        system.rm("/bucket/out/.hsisr", recursive=True) if "changed" in reason else None
