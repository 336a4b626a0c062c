"""Which scenes a run does: lists, shards, names of outputs."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsisr.commands.archive.select import (
    Failure,
    Selection,
    Shard,
    _name,
    read_list,
    select,
    shard_named,
    shard_of_job,
)
from hsisr.engine.options import SelectOptions, UpscaleOptions
from hsisr.errors import InputDataError, UsageError
from hsisr.resume.record import Work
from tests.program import succeed
from tests.scenes import numbered, write_envi, write_geotiff, write_image_folder

X4 = UpscaleOptions(model="bicubic")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with three scenes in `in`."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in "abc":
        write_geotiff(Path(f"in/{name}.tif"), numbered(2, 5, 4), photometric="minisblack")
    return tmp_path


def chosen(
    *sources: str, shard: str | None = None, options: UpscaleOptions = X4, listed: str | None = None
) -> Selection:
    how: dict[str, Any] = {"sources": [Path(source) for source in sources], "shard": shard}
    if listed is not None:
        Path("l").write_text(listed)
        how["list"] = Path("l")
    return select(SelectOptions(output=Path("out"), **how), options)


def outputs(selection: Selection) -> list[str]:
    return [e.output.name if isinstance(e, Work) else "-" for e in selection.entries]


def test_a_list_has_blank_lines_comments_and_spaces() -> None:
    Path("l").write_bytes(
        b"\xef\xbb\xbf# scenes\r\n\r\n  in/a.tif \r\nin/b.tif\n  # no\nin/\xe9.tif"
    )
    found = read_list(Path("l"))
    assert found[:2] == [Path("in/a.tif"), Path("in/b.tif")]
    assert os.fsencode(found[2]) == b"in/\xe9.tif"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "the list l: cannot be read"),
        (b"in/a.tif\0in/b.tif", "the list l: found a zero byte, expected text, one path a line"),
        (b"# none\n\n", "the list l names no scene, expected one path a line"),
    ],
)
def test_a_list_that_is_none_is_refused(content: bytes | None, words: str) -> None:
    if content is not None:
        Path("l").write_bytes(content)
    with pytest.raises(InputDataError, match=words):
        select(SelectOptions(list=Path("l"), output=Path("out")), X4)


def test_listed_scenes_and_named_ones_are_done_once_each() -> None:
    selection = chosen("in/b.tif", listed="in/a.tif\n./in/b.tif\nin\n")
    assert outputs(selection) == ["b_x4.tif", "a_x4.tif", "c_x4.tif"]
    assert (selection.total, selection.in_folder, selection.shard) == (3, True, None)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("in/nothing.tif", "there is no such file or folder"),
        ("empty", "found no scene in this folder"),
        ("x" * 300, "cannot be looked at"),
        ("in/a.tif/b", "there is no such file or folder"),
        ("broken.json", "found no JSON"),
    ],
)
def test_a_path_that_stands_for_no_scene_is_a_failure_of_its_own(source: str, words: str) -> None:
    Path("empty").mkdir()
    Path("broken.json").write_text("{")
    selection = chosen(listed=f"in/a.tif\n{source}\nin/b.tif\n")
    first, failed, last = selection.entries
    assert isinstance(failed, Failure)
    assert words in str(failed.error)
    assert isinstance(first, Work)
    assert isinstance(last, Work)


def test_outputs_are_named_after_their_scenes_in_their_own_formats() -> None:
    write_envi(Path("in/d.hdr"), numbered())
    for name in ("cave.v1", "cave"):
        write_image_folder(Path(name), numbered())
    assert outputs(chosen("in", "cave.v1", "cave")) == [
        *("a_x4.tif", "b_x4.tif", "c_x4.tif", "d_x4.hdr", "cave.v1_x4.tif", "cave_x4.tif")
    ]
    for name in ("e", "f.fla", "g.dat"):
        write_envi(Path(name).with_suffix(".hdr"), numbered())
        Path(name).with_suffix(".img").rename(name)
    assert outputs(chosen("e", "f.fla", "g.dat")) == ["e_x4.hdr", "f_x4.hdr", "g_x4.hdr"]
    envi = UpscaleOptions(scale=2, model="bicubic", format="envi")
    assert outputs(chosen("in/a.tif", "in/d.hdr", options=envi)) == ["a_x2.hdr", "d_x2.hdr"]


@pytest.mark.parametrize("shard", [None, "1/3", "2/3", "3/3"])
def test_two_scenes_with_one_output_fail_in_every_shard(shard: str | None) -> None:
    Path("too").mkdir()
    Path("in/a.tif").rename("too/c.tif")
    entries = chosen("in", "too", shard=shard).entries
    failed = {entry.source for entry in entries if isinstance(entry, Failure)}
    twins = {Path("in/c.tif"), Path("too/c.tif")}
    assert failed == {entry.source for entry in entries} & twins
    for one in (entry.error for entry in entries if isinstance(entry, Failure)):
        assert str(one).startswith("in/c.tif and too/c.tif would become out/c_x4.tif; upscale ")


@pytest.mark.parametrize("option", ["quicklook", "report", "uncertainty"])
def test_scenes_whose_companions_have_one_name_fail(option: str) -> None:
    write_envi(Path("in/a.hdr"), numbered(2, 5, 4))
    asked: dict[str, Any] = {option: Path("out")}
    for entry in chosen("in/a.tif", "in/a.hdr", options=UpscaleOptions(**asked)).entries:
        assert isinstance(entry, Failure)
        assert str(entry.error).startswith("in/a.tif and in/a.hdr would become out/a_x4")


def test_an_output_that_is_an_input_of_the_run_is_refused() -> None:
    Path("out").mkdir()
    Path("in/c.tif").rename("out/a_x4.tif")
    first, second = chosen("in/a.tif", str(Path("out/a_x4.tif").absolute())).entries
    assert isinstance(first, Failure)
    assert str(first.error).startswith("in/a.tif would become out/a_x4.tif; that is an input of")
    assert isinstance(second, Work)


def test_one_pair_of_envi_is_never_two_outputs() -> None:
    write_geotiff(Path("in/p.img"), numbered(2, 5, 4), driver="HFA")
    write_envi(Path("in/q.hdr"), numbered(2, 5, 4))
    Path("in/q.img").rename("in/p.dat")
    Path("in/q.hdr").rename("in/p.hdr")
    for entry in chosen("in/p.img", "in/p.hdr").entries:
        assert isinstance(entry, Failure)
        assert "in/p.img and in/p.hdr would become out/p_x4." in str(entry.error)


@given(names=st.lists(st.integers(0, 999), unique=True, max_size=30), of=st.integers(1, 12))
def test_every_entry_is_in_exactly_one_shard(names: list[int], of: int) -> None:
    shares = [Shard(number, of).of_all(names) for number in range(1, of + 1)]
    assert sorted(name for share in shares for name in share) == sorted(names)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    "text",
    ["0/4", "5/4", "1/0", "1", "1/", "/4", "a/b", "-1/4", "1/4/2", "1.0/4", "", "²/4", "9" * 30],
)
def test_a_shard_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected I/N with I from 1 to N"):
        shard_named(text)


def job(**variables: object) -> dict[str, str]:
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in variables.items()}


@pytest.mark.parametrize(
    ("tasks", "first", "step"), [(range(8), 0, 1), (range(1, 9), 1, 1), (range(20, 60, 5), 20, 5)]
)
def test_every_task_of_a_job_array_has_a_shard(tasks: Sequence[int], first: int, step: int) -> None:
    shards = [
        shard_of_job(job(ID=task, COUNT=8, MIN=first, MAX=tasks[-1], STEP=step)) for task in tasks
    ]
    assert shards == [Shard(number, 8) for number in range(1, 9)]


def test_outputs_never_go_to_a_folder_of_inputs() -> None:
    with pytest.raises(UsageError, match="in is also the folder of the input scenes"):
        select(SelectOptions(sources=[Path("in")], output=Path("in/../in")), X4)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (job(ID="two", COUNT=4, MIN=1), "SLURM_ARRAY_TASK_ID is 'two', expected a whole number"),
        (job(ID=9, COUNT=3, MIN=1), "whose numbers are not 1, 2"),
        (job(ID=1, COUNT=3, MIN=1, MAX=9), "name the share with --shard I/N"),
        (job(ID=1, COUNT=3, MIN=2), "SLURM_ARRAY_TASK_ID is 1 in an array of 3 tasks"),
        (job(ID=3, COUNT=3, MIN=0, MAX=4, STEP=2), "whose numbers are not 0, 2"),
        (job(ID=0, COUNT=0, MIN=0), "in an array of 0 tasks"),
    ],
)
def test_a_job_array_with_gaps_is_refused(variables: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        select(SelectOptions(sources=[Path("in")], output=Path("out")), X4, variables)


@pytest.mark.parametrize("name", ["..", "../..", "a/..", "a/../../b.tif", "x/\n../y.hdr", "-x.tif"])
def test_outputs_of_many_scenes_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    output = tmp_path / _name(Path(name), Path(name), None, UpscaleOptions(scale=2))
    assert output.resolve().parent == tmp_path.resolve()


def test_the_folder_one_stands_in_is_a_scene_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    write_image_folder(Path("cave"), numbered())
    monkeypatch.chdir("cave")
    succeed("upscale", ".", "-s", 2, "-m", "bicubic")
    assert Path("../cave_x2.tif").exists()
