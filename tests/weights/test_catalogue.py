"""Names of released weights, and the files they stand for."""

from pathlib import Path

import pytest

from hsisr.errors import WeightsError
from hsisr.weights.catalogue import released, released_folder, resolve

ROW = {
    "name": "dacn-any-x4",
    "file": "dacn-any-x4.safetensors",
    "sha256": "0" * 64,
    "scale": 4,
    "card": "dacn-any-x4.md",
    "default": True,
}
SECOND = ROW | {"name": "dacn-pavia-x4", "default": False}
THIRD = ROW | {"name": "dacn-any-x2", "scale": 2}


def toml(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)


def write(folder: Path, *rows: dict[str, object]) -> Path:
    tables = ["[[weights]]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in r.items()) for r in rows]
    (folder / "catalogue.toml").write_text("\n".join(tables), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("hsisr.weights.catalogue.released_folder", lambda: tmp_path)
    return write(tmp_path, ROW, SECOND, THIRD)


def test_entries_keep_their_order_and_point_beside_the_catalogue(folder: Path) -> None:
    first, second, third = released(folder)
    assert [e.name for e in (first, second, third)] == [
        "dacn-any-x4",
        "dacn-pavia-x4",
        "dacn-any-x2",
    ]
    assert first.path == folder / "dacn-any-x4.safetensors"
    assert first.card == folder / "dacn-any-x4.md"


def test_a_name_without_version_stands_for_the_newest(folder: Path) -> None:
    newest = ROW | {"name": "dacn-any-x4-2", "alias": "dacn-any-x4"}
    first = ROW | {"name": "dacn-any-x4-1", "default": False}
    write(folder, newest, first)
    assert resolve("dacn-any-x4", 4) == resolve("dacn-any-x4-2", 4)
    assert resolve("dacn-any-x4-1", 4) == released()[1]
    with pytest.raises(WeightsError, match="2 networks named 'dacn-any-x4'"):
        released(write(folder, newest, ROW | {"default": False}))


@pytest.mark.usefixtures("folder")
def test_no_name_is_the_name_of_none() -> None:
    with pytest.raises(WeightsError, match="no weights named ''"):
        resolve("")


@pytest.mark.usefixtures("folder")
def test_a_name_of_another_scale_is_refused_with_the_fitting_ones() -> None:
    with pytest.raises(
        WeightsError,
        match=r"dacn-any-x4 is for scale 4, found --scale 2; did you mean .dacn-any-x2",
    ):
        resolve("dacn-any-x4", 2)
    with pytest.raises(WeightsError, match="found --scale 8; 'hsisr weights list' names those"):
        resolve("dacn-any-x4", 8)


def test_of_several_runs_of_another_scale_the_newest_is_named() -> None:
    with pytest.raises(WeightsError, match="did you mean 'dacn-equivariant-x4-7'"):
        resolve("dacn-equivariant-x2-3", 4)


@pytest.mark.usefixtures("folder")
def test_a_mistyped_name_is_answered_with_the_near_one() -> None:
    with pytest.raises(
        WeightsError, match=r"no weights named 'dacn-any-4x'; did you mean 'dacn-any-x4'\? 'hsisr"
    ):
        resolve("dacn-any-4x", 4)


@pytest.mark.parametrize(
    "text", ["weights.safetensors", "a/b", "./dacn-any-x4", "../x", "/abs", "x.PT", "~nobody-/x"]
)
@pytest.mark.usefixtures("folder")
def test_what_looks_like_a_path_is_one(text: str) -> None:
    found = resolve(text, 4)
    assert isinstance(found, Path)
    assert found.name == Path(text).name


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"colour": "red"}, r"unknown field `colour` - at `\$\.weights\[0\]`"),
        ({"scale": "4"}, r"Expected `int`, got `str` - at `\$\.weights\[0\]\.scale`"),
        ({"scale": 3}, "scale 3, expected one of"),
        ({"sha256": "ABC"}, r"regex '\^\[0-9a-f\]\{64\}\$' - at `\$\.weights\[0\]\.sha256`"),
        ({"file": "../secret"}, r"matching regex .* - at `\$\.weights\[0\]\.file`"),
        ({"card": "/etc/card.md"}, r"matching regex .* - at `\$\.weights\[0\]\.card`"),
    ],
)
def test_impossible_entries_are_refused(
    change: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    folder = write(tmp_path, ROW | change)
    with pytest.raises(WeightsError, match=rf"catalogue\.toml: .*{complaint}"):
        released(folder)


def test_an_incomplete_installation_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsisr.weights.catalogue.files", lambda _: tmp_path / "hsisr")
    with pytest.raises(WeightsError, match="this installation is incomplete"):
        released_folder()
