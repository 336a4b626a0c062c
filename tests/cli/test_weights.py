"""`hsisr weights` as its user meets it."""

from pathlib import Path

import pytest
from typer.testing import Result

from hsisr.models.dacn import Dacn
from hsisr.weights import load_weights, save_weights
from hsisr.weights.store import file_sha256
from tests.models.formulas import archive, arrays_of, hdf5
from tests.networks import write_catalogue
from tests.program import hsisr


def weights(*arguments: object) -> Result:
    return hsisr("weights", *arguments)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    descriptor = Dacn.descriptor(2)
    card = {"licence": "CC0"}
    return save_weights(
        tmp_path / "mine-x2.safetensors", Dacn.of(descriptor), descriptor, card=card
    )


@pytest.fixture
def catalogue(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue with one sound network, and one whose file was replaced."""
    row = {"file": file.name, "sha256": file_sha256(file), "scale": 2, "card": "mine.md"}
    sound = {"name": "sound-x2", **row, "default": True}
    replaced = {"name": "replaced-x2", **row, "default": False, "sha256": "0" * 64}
    folder = write_catalogue(file.parent, sound, replaced)
    monkeypatch.setattr("hsisr.weights.released_folder", lambda: folder)
    return folder


@pytest.mark.usefixtures("catalogue")
def test_list_names_each_network_its_scale_and_the_default() -> None:
    done = weights("list")
    assert (done.exit_code, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["sound-x2", "x2", "default"],
        ["replaced-x2", "x2"],
    ]


def test_show_says_what_is_in_a_file(file: Path) -> None:
    done = weights("show", file)
    assert done.exit_code == 0
    for fact in ("mine-x2", "dacn, 2,570,800 parameters", "72 LR pixels", "CC0", file_sha256(file)):
        assert fact in done.stdout


@pytest.mark.usefixtures("catalogue")
def test_verify_looks_at_all_and_exits_4_if_one_is_unsound() -> None:
    done = weights("verify")
    assert done.exit_code == 4
    sound, replaced = done.stdout.splitlines()
    assert sound.startswith("sound-x2: sound, ")
    assert "but the catalogue has 000000000000" in replaced
    assert done.stderr == "error: 1 of 2 weights cannot be used: replaced-x2\n"


def test_import_makes_a_file_that_loads(tmp_path: Path) -> None:
    source = archive(tmp_path / "model.keras", hdf5(arrays_of(2)))
    output = tmp_path / "model.safetensors"
    done = weights("import", source, "-o", output)
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{output}\n", "")
    loaded = load_weights(output)
    assert loaded.descriptor == Dacn.descriptor(2, "notebook")
    assert loaded.card == {"imported_from": "model.keras", "imported_sha256": file_sha256(source)}
    again = weights("import", source, "-o", output)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr
    assert weights("import", source, "-o", output, "--overwrite").exit_code == 0
