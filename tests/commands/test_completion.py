"""What `--skip-existing` does about an output: a test for each row of the table in the docs."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import rasterio

from hsisr.commands.archive.run import Done, Outcome, Skipped, upscale_all
from hsisr.commands.archive.select import Failure, select
from hsisr.engine.options import SelectOptions, UpscaleOptions
from hsisr.errors import HsisrWarning, OutputExistsError
from hsisr.option import declared
from hsisr.resume.record import read_record, record_path
from tests.commands.files import counts, write_tif

BICUBIC = UpscaleOptions(scale=2, model="bicubic")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    path = write_tif(tmp_path / "in" / "a.tif", counts(3, 20, 16))
    age(path, seconds=60)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def shorten(path: Path, keep: float = 0.6) -> None:
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * keep))


def forget(output: Path) -> None:
    record_path(output).unlink()


def once(scene: Path, out: Path, options: UpscaleOptions = BICUBIC) -> Outcome:
    """One run with --skip-existing; a warning that hsisr says is kept for the caller."""
    selection = select(SelectOptions(sources=[scene], output=out), options)
    (outcome,) = upscale_all(selection, options, skip_existing=True)
    return outcome


def made(scene: Path, out: Path, options: UpscaleOptions = BICUBIC) -> Path:
    outcome = once(scene, out, options)
    assert isinstance(outcome, Done)
    return outcome.result.output


def assert_left_out(outcome: Outcome, reason: str) -> None:
    assert isinstance(outcome, Skipped)
    assert outcome.reason == reason


def assert_kept(outcome: Outcome, output: Path, before: bytes, reason: str) -> None:
    assert isinstance(outcome, Failure)
    assert isinstance(outcome.error, OutputExistsError)
    assert f"{output} {reason}, and is kept; --overwrite replaces it" == str(outcome.error)
    assert output.read_bytes() == before


def test_what_is_not_there_is_made_and_recorded(scene: Path, out: Path) -> None:
    output = made(scene, out)
    record = read_record(output)
    assert record is not None
    assert record.source[0].bytes == scene.stat().st_size
    assert record.output[0].mtime_ns == output.stat().st_mtime_ns
    assert record.making.model == "bicubic"
    assert record.making.options["scale"] == 2
    assert json.loads(record_path(output).read_text())["record"] == 1


def test_what_the_record_confirms_is_left_out(scene: Path, out: Path) -> None:
    before = made(scene, out).stat()
    assert_left_out(once(scene, out), "recorded as complete")
    assert (out / "a_x2.tif").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("name", "keep"),
    [
        (name, keep)
        for name in ("a_x2.tif", "a_x2.img", "a_x2.hdr", "a_x2.mat")
        for keep in (0.0, 0.001, 0.3, 0.99)
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
    output = made(scene, out)
    before = output.read_bytes()
    write_tif(scene, counts(3, 20, 16, seed=1))
    reason = "was made from another input, or the input has changed"
    assert_kept(once(scene, out), output, before, reason)
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
    before = output.read_bytes()
    asked = replace(BICUBIC, **change)
    assert_kept(once(scene, out, asked), output, before, f"was made {reason}")


def test_every_option_is_known_to_matter_or_not() -> None:
    others = {"item_bands"}  # of a STAC Item, not of the command line
    names = {field.name for field in fields(UpscaleOptions)} - others
    assert declared(UpscaleOptions).keys() == names


@pytest.mark.parametrize("file_format", ["GTiff", "COG", "ENVI", "MAT"])
def test_without_a_record_the_tags_of_a_whole_output_are_believed(
    scene: Path, out: Path, file_format: str
) -> None:
    options = replace(BICUBIC, format=file_format)
    forget(made(scene, out, options))
    assert_left_out(once(scene, out, options), "complete by its own tags")


def test_without_a_record_an_input_that_is_newer_or_lies_elsewhere_is_another(
    scene: Path, out: Path
) -> None:
    output = made(scene, out)
    forget(output)
    before = output.read_bytes()
    reason = "was made from another input, or the input has changed"
    age(scene, seconds=-60)
    assert_kept(once(scene, out), output, before, reason)
    write_tif(scene, counts(3, 20, 16), transform=rasterio.Affine(30, 0, 0, 0, -30, 0))
    age(scene, seconds=60)
    assert_kept(once(scene, out), output, before, reason)
    write_tif(scene, counts(3, 20, 17))
    age(scene, seconds=60)
    assert_kept(once(scene, out), output, before, reason)


@pytest.mark.parametrize("overviews", [False, True])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.97])
def test_without_a_record_what_cannot_be_read_to_its_end_is_kept(
    tmp_path: Path, out: Path, keep: float, overviews: bool
) -> None:
    wide = write_tif(tmp_path / "wide.tif", counts(1, 150, 150))
    options = replace(BICUBIC, overviews=overviews)
    output = made(wide, out, options)
    forget(output)
    shorten(output, keep)
    before = output.read_bytes()
    reason = "has no record and cannot be read to its end"
    assert_kept(once(wide, out, options), output, before, reason)
    assert isinstance(once(wide, out, replace(options, overwrite=True)), Done)


def _touch(output: Path) -> None:
    os.utime(output, (1e9, 1e9))


def _lengthen(output: Path) -> None:
    output.write_bytes(output.read_bytes() + b"more")


def _replace_by_own_work(output: Path) -> None:
    write_tif(output, counts(1, 2, 2))


def _replace_by_notes(output: Path) -> None:
    output.write_text("precious")


@pytest.mark.parametrize("change", [_touch, _lengthen, _replace_by_own_work, _replace_by_notes])
def test_what_was_changed_since_is_kept(
    scene: Path, out: Path, change: Callable[[Path], None]
) -> None:
    output = made(scene, out)
    change(output)
    before = output.read_bytes()
    assert_kept(once(scene, out), output, before, "has changed since it was made")


def test_what_hsisr_did_not_make_is_kept(scene: Path, out: Path) -> None:
    output = write_tif(out / "a_x2.tif", counts(3, 40, 32))
    before = output.read_bytes()
    assert_kept(once(scene, out), output, before, "was not made by hsisr upscale")
    assert isinstance(once(scene, out, replace(BICUBIC, overwrite=True)), Done)
