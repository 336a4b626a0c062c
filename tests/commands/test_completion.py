"""What `--skip-existing` does about an output: a test for each row of the table in the docs."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
import rasterio
from fsspec.implementations.memory import MemoryFileSystem

from hsisr.commands.archive.run import Done, Skipped
from hsisr.commands.archive.select import Failure
from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.errors import HsisrWarning, OutputExistsError
from hsisr.io.open import open_scene
from hsisr.io.paths import RemotePath, scene_path
from hsisr.option import declared
from hsisr.resume.record import (
    output_spec,
    output_spec_of,
    plain_options,
    provenance_tags,
    read_record,
    record_path,
)
from tests.commands.runs import BICUBIC, age, assert_kept, assert_left_out, made, old_scene, once
from tests.io.serving_ranges import serving
from tests.scenes import counts, write_tif


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return old_scene(tmp_path / "in" / "a.tif")


def shorten(path: Path, keep: float = 0.6) -> None:
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * keep))


def forget(output: Path) -> None:
    record_path(output).unlink()


def test_what_is_not_there_is_made_and_recorded(scene: Path, out: Path) -> None:
    output = made(scene, out)
    record = read_record(output)
    assert record is not None
    assert record.source[0].bytes == scene.stat().st_size
    assert record.output[0].mtime_ns == output.stat().st_mtime_ns
    assert record.making.model == "bicubic"
    assert record.making.options["scale"] == 2
    assert json.loads(record_path(output).read_text())["record"] == 1


@pytest.mark.parametrize(
    ("name", "keep"),
    [
        (name, keep)
        for name in ("a_x2.tif", "a_x2.img", "a_x2.hdr", "a_x2.mat")
        for keep in (0.0, 0.3, 0.99)
        if (name, keep) != ("a_x2.hdr", 0.99)  # what is missing there is no number
    ],
)
def test_a_recorded_output_that_is_broken_off_is_made_anew_and_that_is_said(
    scene: Path, out: Path, name: str, keep: float
) -> None:
    by_suffix = {".tif": None, ".img": "ENVI", ".hdr": "ENVI", ".mat": "MAT"}
    options = replace(BICUBIC, format=by_suffix[Path(name).suffix])
    output = made(scene, out, options)
    size = (out / name).stat().st_size
    shorten(out / name, keep)
    with pytest.warns(HsisrWarning, match="is broken off, [0-9]+ of [0-9]+ bytes are there; it"):
        assert isinstance(once(scene, out, options), Done)
    assert (out / name).stat().st_size == pytest.approx(size, abs=64)
    assert_left_out(once(scene, out, options), "recorded as complete")
    assert output.exists()


def test_the_output_of_another_input_is_kept(scene: Path, out: Path) -> None:
    made(scene, out)
    write_tif(scene, counts(3, 20, 16, seed=1))
    reason = "was made from another input, or the input has changed"
    assert_kept(reason, scene, out)
    assert isinstance(once(scene, out, replace(BICUBIC, overwrite=True)), Done)
    assert_left_out(once(scene, out), "recorded as complete")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dtype": "float32"}, "with other options (dtype)"),
        ({"consistency": False, "overviews": True}, "with other options (consistency, overviews)"),
        ({"model": "nearest"}, "with bicubic"),
        ({"model": None}, "with other weights (bicubic)"),
    ],
)
@pytest.mark.parametrize("recorded", [True, False])
def test_what_other_options_or_weights_made_is_kept(
    scene: Path, out: Path, change: dict[str, Any], reason: str, recorded: bool
) -> None:
    output = made(scene, out)
    if not recorded:
        forget(output)
    asked = replace(BICUBIC, **change)
    assert_kept(f"was made {reason}", scene, out, asked)


def test_statistics_of_a_scene_that_has_changed_are_another_making(scene: Path) -> None:
    options = replace(BICUBIC, statistics_from=scene)
    there = output_spec_of(options, scene, "n", "0")
    said = provenance_tags(source="s", model="n", weights_sha256="0", options=options)
    tags = output_spec(json.loads(said["HSISR_OPTIONS"]), scene, "n", "0")
    earlier = output_spec(plain_options(options), scene, "n", "0")
    age(scene, seconds=600)
    now = output_spec_of(options, scene, "n", "0")
    assert now.difference(there) == "with other options (statistics_scene)"
    assert now.difference(tags) == "with other options (statistics_scene)"
    assert now.difference(earlier) is None
    scene.unlink()  # what nobody can look at is not held against an output
    assert output_spec_of(options, scene, "n", "0").difference(there) is None


def test_every_option_is_known_to_matter_or_not() -> None:
    others = {"item_bands"}  # of a STAC Item, not of the command line
    names = {field.name for field in fields(UpscaleOptions)} - others
    assert declared(UpscaleOptions).keys() == names


@pytest.mark.parametrize("file_format", ["GTiff", "COG", "ENVI", "MAT"])
def test_without_a_record_its_tags_are_believed(scene: Path, out: Path, file_format: str) -> None:
    options = replace(BICUBIC, format=file_format)
    forget(made(scene, out, options))
    assert_left_out(once(scene, out, options), "complete by its own tags")


def test_without_a_record_newer_or_moved_inputs_are_others(scene: Path, out: Path) -> None:
    output = made(scene, out)
    forget(output)
    reason = "was made from another input, or the input has changed"
    age(scene, seconds=-60)
    assert_kept(reason, scene, out)
    write_tif(scene, counts(3, 20, 16), transform=rasterio.Affine(30, 0, 0, 0, -30, 0))
    age(scene, seconds=60)
    assert_kept(reason, scene, out)
    write_tif(scene, counts(3, 20, 17))
    age(scene, seconds=60)
    assert_kept(reason, scene, out)


@pytest.mark.parametrize("overviews", [False, True])
@pytest.mark.parametrize("keep", [0.0, 0.97])
def test_without_a_record_what_cannot_be_read_to_its_end_is_kept(
    tmp_path: Path, out: Path, keep: float, overviews: bool
) -> None:
    wide = write_tif(tmp_path / "wide.tif", counts(1, 150, 150))
    options = replace(BICUBIC, overviews=overviews)
    output = made(wide, out, options)
    forget(output)
    shorten(output, keep)
    reason = "has no record and cannot be read to its end"
    assert_kept(reason, wide, out, options)
    assert isinstance(once(wide, out, replace(options, overwrite=True)), Done)


CHANGES: dict[str, Callable[[Path], object]] = {
    "touched": lambda output: os.utime(output, (1e9, 1e9)),
    "longer": lambda output: output.write_bytes(output.read_bytes() + b"more"),
    "another image": lambda output: write_tif(output, counts(1, 2, 2)),
    "notes": lambda output: output.write_text("precious"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_since_is_kept(scene: Path, out: Path, change: str) -> None:
    output = made(scene, out)
    CHANGES[change](output)
    assert_kept("has changed since it was made", scene, out)


def test_what_hsisr_did_not_make_is_kept(scene: Path, out: Path) -> None:
    write_tif(out / "a_x2.tif", counts(3, 40, 32))
    assert_kept("was not made by hsisr upscale", scene, out)
    assert isinstance(once(scene, out, replace(BICUBIC, overwrite=True)), Done)


FORMATS = ("GTiff", "ENVI", "Zarr")
OUT = scene_path("memory://bucket/out")


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


def test_no_old_header_stays(scene: Path, system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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
