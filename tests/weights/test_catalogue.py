"""Names of released weights, and the files they stand for."""

import re
from pathlib import Path

import pytest

from hsisr.benchmark.splits import cut_part
from hsisr.commands.evaluation.wald import evaluate_by_wald
from hsisr.commands.options import WaldOptions
from hsisr.errors import WeightsError
from hsisr.tiling import Window
from hsisr.weights import (
    CatalogueEntry,
    default_for,
    load_weights,
    released,
    released_folder,
    resolve,
)
from tests.networks import write_catalogue

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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("hsisr.weights.released_folder", lambda: tmp_path)
    return write_catalogue(tmp_path, ROW, SECOND, THIRD)


def test_entries_keep_their_order_and_point_beside_the_catalogue(folder: Path) -> None:
    entries = released(folder)
    assert [e.name for e in entries] == ["dacn-any-x4", "dacn-pavia-x4", "dacn-any-x2"]
    assert entries[0].path == folder / "dacn-any-x4.safetensors"
    assert entries[0].card == folder / "dacn-any-x4.md"


def test_a_name_without_version_stands_for_the_newest(folder: Path) -> None:
    newest = ROW | {"name": "dacn-any-x4-2", "alias": "dacn-any-x4"}
    first = ROW | {"name": "dacn-any-x4-1", "default": False}
    write_catalogue(folder, newest, first)
    assert resolve("dacn-any-x4", 4) == resolve("dacn-any-x4-2", 4)
    assert resolve("dacn-any-x4-1", 4) == released()[1]
    with pytest.raises(WeightsError, match="2 networks named 'dacn-any-x4'"):
        released(write_catalogue(folder, newest, ROW | {"default": False}))


@pytest.mark.parametrize(
    ("name", "scale", "words"),
    [
        ("", None, "no weights named ''"),
        ("dacn-any-x4", 2, "is for scale 4, found --scale 2; did you mean .dacn-any-x2"),
        ("dacn-any-x4", 8, "found --scale 8; 'hsisr weights list' names those"),
        ("dacn-any-4x", 4, r"no weights named 'dacn-any-4x'; did you mean 'dacn-any-x4'\? 'hsisr"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_misfits_are_answered_with_fitting_names(name: str, scale: int | None, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        resolve(name, scale)


def test_of_several_runs_of_another_scale_the_newest_is_named() -> None:
    with pytest.raises(WeightsError, match="did you mean 'dacn-equivariant-x4-8'"):
        resolve("dacn-equivariant-x2-3", 4)


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
        ({"file": "../secret"}, r"beside the catalogue, got .* - at `\$\.weights\[0\]\.file`"),
        ({"card": "/etc/card.md"}, r"beside the catalogue, .* - at `\$\.weights\[0\]\.card`"),
    ],
)
def test_impossible_rows_refused(change: dict[str, object], complaint: str, tmp_path: Path) -> None:
    folder = write_catalogue(tmp_path, ROW | change)
    with pytest.raises(WeightsError, match=rf"catalogue\.toml: .*{complaint}"):
        released(folder)


def test_incomplete_installations_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsisr.weights.files", lambda _: tmp_path / "hsisr")
    with pytest.raises(WeightsError, match="this installation is incomplete"):
        released_folder()


ENTRIES = released()
SCENES = (
    *("abu-airport-1.mat", "abu-urban-3.mat", "enmap-potsdam.tif", "hydice-urban.mat"),
    *("cave-flowers.tif", "cave-jelly-beans.tif", "cave-superballs.tif", "cave-thread-spools.tif"),
    "pavia-centre-crop.mat",
)
QUICK = (("hydice-urban.mat", 2, 32), ("enmap-potsdam.tif", 4, 48), ("abu-airport-1.mat", 8, 64))
"""Name, scale, side of a corner."""
MOST_DB_LOST = 0.02
"""In one scene: abu-urban-3 at x8 is 0.005 dB below the baseline."""


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_it_loads_and_its_card_tells_what_a_user_must_know(entry: CatalogueEntry) -> None:
    loaded = load_weights(entry)
    assert (loaded.name, loaded.descriptor.scale, loaded.trained) == (entry.name, entry.scale, True)
    card = entry.card.read_text(encoding="utf-8")
    for needed in ("not trained on", "Training scenes", "terms", "recipe", "command", "Limits"):
        assert needed in card, needed
    scores = re.findall(r"^\| \S+ \| [\w ]+( \| \d+\.\d\d){2,3} \| [+-]\d", card, re.MULTILINE)
    assert len(scores) in (9, 2 * 9)  # cards with the baseline have two blurs
    assert not re.search(r"[ `]/(home|work|tmp|root)/", card)


def test_every_scale_has_a_default_and_all_are_small() -> None:
    defaults = [default_for(scale) for scale in (2, 4, 8)]
    assert [entry and entry.scale for entry in defaults] == [2, 4, 8]
    assert sum(entry.path.stat().st_size for entry in defaults if entry) < 12e6


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "scale", "side"),
    [
        *QUICK,
        *(pytest.param(n, s, None, marks=pytest.mark.slow) for n in SCENES for s in (2, 4, 8)),
    ],
)
def test_it_beats_the_baseline(
    name: str, scale: int, side: int | None, shared_data: Path, tmp_path: Path
) -> None:
    scene = shared_data / "dev" / name
    if side is not None:
        scene = cut_part(scene, Window(0, 0, side, side), tmp_path / "part.tif")
    report = evaluate_by_wald(scene, WaldOptions(scale=scale))
    assert report.gain["mpsnr"] > -MOST_DB_LOST
    assert report.gain["sam"] < 0
