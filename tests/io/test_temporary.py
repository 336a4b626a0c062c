"""Whole or nothing, on whatever file system."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsisr.errors import OutputExistsError, ResourceError
from hsisr.io.atomic import TemporaryPlace, recover, require_room


def grown_in(place: TemporaryPlace, name: str = "new", text: str = "new") -> Path:
    file = place.file(name)
    file.write_text(text)
    return file


def no_links(*_: object) -> None:
    """In place of `os.link`, on a file system that has none."""
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("links", [False, True])
def test_files_appear_with_hard_links_or_without_and_the_folder_goes(
    links: bool, overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr("os.link", no_links)
    place = TemporaryPlace(tmp_path / "a", overwrite=overwrite)
    one, two = grown_in(place, "1", "one"), grown_in(place, "2", "two")
    place.commit([(one, tmp_path / "b"), (two, tmp_path / "a")])
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a": "two", "b": "one"}


@pytest.mark.parametrize("seen", [True, False], ids=["before the look", "after it"])
def test_without_hard_links_whoever_came_before_keeps_the_name(
    seen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = TemporaryPlace(tmp_path / "c", overwrite=False)
    grown = grown_in(late)
    (tmp_path / "c").write_text("precious")
    monkeypatch.setattr("os.link", no_links)
    if not seen:
        monkeypatch.setattr("os.path.lexists", lambda _: False)
    with pytest.raises(OutputExistsError, match="appeared while it was being made"):
        late.commit([(grown, tmp_path / "c")])
    assert (tmp_path / "c").read_text() == "precious"


def test_more_than_is_free_is_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=rf"{2**60} bytes needed and \d+ free"):
        require_room(tmp_path, tmp_path / "a", 2**60)


def replacing_a_pair(folder: Path) -> tuple[TemporaryPlace, list[tuple[Path, Path]]]:
    """An old pair, the place of what will replace it, and what to commit."""
    header, data = folder / "a.hdr", folder / "a.img"
    header.write_text("old h")
    data.write_text("old data")
    place = TemporaryPlace(header, overwrite=True)
    grown = grown_in(place, "data", "new data"), grown_in(place, "h", "new h")
    return place, [(grown[0], data), (grown[1], header)]


def left_by_a_kill(folder: Path, moment: str) -> Path:
    """A pair that was being replaced when the process was killed."""
    place, pair = replacing_a_pair(folder)
    if moment != "before":
        place._set_aside([target for _, target in pair])
    for grown, target in pair[: {"one placed": 1, "both placed": 2}.get(moment, 0)]:
        os.link(grown, target)
    return place.target


@pytest.mark.parametrize(
    ("moment", "there"),
    [("before", "old"), ("set aside", "old"), ("one placed", "old"), ("both placed", "new")],
)
def test_after_a_kill_one_whole_pair_is_there(tmp_path: Path, moment: str, there: str) -> None:
    target = left_by_a_kill(tmp_path, moment)
    other = TemporaryPlace(tmp_path / "b.hdr", overwrite=False)
    recover(target)
    assert target.read_text() == f"{there} h"
    assert target.with_suffix(".img").read_text() == f"{there} data"
    assert {p.name for p in tmp_path.iterdir()} == {other.folder.name, "a.hdr", "a.img"}


class Interrupting:
    """Raises an error just before or just after the n-th rename or link."""

    error: BaseException = KeyboardInterrupt()

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool) -> None:
        self.left, self.after = number, after
        for owner, name in ((os, "link"), (Path, "replace"), (Path, "rename")):
            monkeypatch.setattr(owner, name, self.around(getattr(owner, name)))

    def around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise self.error
            done = real(*words)
            if self.left == 0:
                raise self.error
            return done

        return call


OLD = {"a.hdr": "old h", "a.img": "old data"}


def written(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("links", [False, True])
def test_an_interrupt_at_any_rename_leaves_the_old_pair(
    number: int, after: bool, links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, pair = replacing_a_pair(tmp_path)
    Interrupting(monkeypatch, number, after=after)
    if not links:
        monkeypatch.setattr("os.link", no_links)
    with pytest.raises(KeyboardInterrupt):
        place.commit(pair)
    assert written(tmp_path) == OLD


@pytest.mark.parametrize("after", [False, True, None])
@pytest.mark.parametrize("number", [1, 2])
def test_an_interrupt_or_refusal_at_any_rename_leaves_the_old_folder(
    number: int, after: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.zarr"
    target.mkdir()
    (target / "x").write_text("old")
    place = TemporaryPlace(target, overwrite=True, replaceable=Path.is_dir)
    grown = place.file("a.zarr")
    grown.mkdir()
    (grown / "x").write_text("new")
    call = Interrupting(monkeypatch, number, after=bool(after))
    if after is None:
        call.error = PermissionError(13, "Permission denied")
    with pytest.raises((KeyboardInterrupt, PermissionError, ResourceError)):
        place.commit([(grown, target)])
    assert written(tmp_path) == {"x": "old"}


def test_leftovers_are_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, pair = replacing_a_pair(tmp_path)
    target = place.target
    with monkeypatch.context() as patch:
        Interrupting(patch, 2, after=False)
        patch.setattr(TemporaryPlace, "_is_main", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.commit(pair)
    assert not target.exists()
    recover(target)
    assert written(tmp_path) == OLD
    assert len(list(tmp_path.iterdir())) == 2


def test_parts_of_another_output_whose_name_begins_alike_stay(tmp_path: Path) -> None:
    own, other = (tmp_path / f".{name}.abcd1234.part" for name in ("x.tif", "x.tif.tif"))
    for part in (own, other):
        part.mkdir()
    recover(tmp_path / "x.tif")
    assert list(tmp_path.iterdir()) == [other]


def _interrupted(*_: object) -> bool:
    raise KeyboardInterrupt
