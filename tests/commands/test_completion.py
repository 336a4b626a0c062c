"""What `--skip-existing` does about an output: a test for each row of the table in the docs."""

import json
import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import rasterio

from hsisr.commands.archive.run import Done
from hsisr.engine.options import UpscaleOptions
from hsisr.errors import HsisrWarning
from hsisr.option import declared
from hsisr.resume.record import read_record, record_path
from tests.commands.files import counts, write_tif
from tests.commands.runs import BICUBIC, age, assert_kept, assert_left_out, made, old_scene, once


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
