"""`hsisr weights` as its user meets it."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import Result

from hsisr.models.dacn import build_dacn, dacn_descriptor
from hsisr.weights import load_weights, save_weights
from hsisr.weights.store import file_sha256
from tests.program import hsisr
from tests.weights.keras_files import archive, arrays_of, hdf5


def weights(*arguments: object) -> Result:
    return hsisr("weights", *arguments)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    descriptor = dacn_descriptor(2)
    card = {"licence": "CC0"}
    return save_weights(
        tmp_path / "mine-x2.safetensors", build_dacn(descriptor), descriptor, card=card
    )


@pytest.fixture
def catalogue(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue with one sound network, and one whose file was replaced."""
    folder = file.parent
    row = (
        '[[weights]]\nname = "{}"\nfile = "mine-x2.safetensors"\nsha256 = "{}"\nscale = 2\n'
        'card = "mine.md"\ndefault = {}\n'
    )
    text = row.format("sound-x2", file_sha256(file), "true")
    text += row.format("replaced-x2", "0" * 64, "false")
    (folder / "catalogue.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr("hsisr.weights.catalogue.released_folder", lambda: folder)
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "catalogue.toml").touch()
    monkeypatch.setattr("hsisr.weights.catalogue.released_folder", lambda: tmp_path)


@pytest.mark.usefixtures("catalogue")
def test_list_names_each_network_its_scale_and_the_default() -> None:
    done = weights("list")
    assert (done.exit_code, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["sound-x2", "x2", "default"],
        ["replaced-x2", "x2"],
    ]


def test_list_is_one_object_in_json(catalogue: Path) -> None:
    found = json.loads(weights("list", "--json").stdout)["weights"]
    assert found[0]["path"] == str(catalogue / "mine-x2.safetensors")
    assert [(entry["name"], entry["default"]) for entry in found] == [
        ("sound-x2", True),
        ("replaced-x2", False),
    ]


@pytest.mark.usefixtures("empty")
def test_an_empty_catalogue_is_talked_about_on_stderr() -> None:
    done = weights("list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no weights are released yet" in done.stderr
    assert json.loads(weights("list", "--json").stdout) == {"weights": []}
    assert weights("verify").exit_code == 0


def test_show_says_what_is_in_a_file(file: Path) -> None:
    done = weights("show", file)
    assert done.exit_code == 0
    for fact in ("mine-x2", "dacn, 2,570,800 parameters", "72 LR pixels", "CC0", file_sha256(file)):
        assert fact in done.stdout


@pytest.mark.usefixtures("catalogue")
def test_show_says_the_same_in_json_of_a_name() -> None:
    found = json.loads(weights("show", "sound-x2", "--json").stdout)
    assert found["name"] == "sound-x2"
    assert found["descriptor"]["hparams"] == {"pooling": "paper"}
    assert found["card"] == {"licence": "CC0"}


def test_show_prints_the_card_of_released_weights() -> None:
    done = weights("show", "dacn-any-x4")
    assert done.exit_code == 0
    assert "## Training scenes" in done.stdout
    assert "abu-airport-1.mat" in done.stdout


@pytest.mark.usefixtures("catalogue")
def test_show_refuses_what_is_not_there() -> None:
    done = weights("show", "sound-2x")
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr.startswith("error: no weights named 'sound-2x'; did you mean 'sound-x2'?")
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("catalogue")
def test_verify_looks_at_all_and_exits_4_if_one_is_unsound() -> None:
    done = weights("verify")
    assert done.exit_code == 4
    sound, replaced = done.stdout.splitlines()
    assert sound.startswith("sound-x2: sound, ")
    assert "but the catalogue has 000000000000" in replaced
    assert done.stderr == "error: 1 of 2 weights cannot be used: replaced-x2\n"


def test_verify_takes_files_and_names(catalogue: Path, file: Path) -> None:
    done = weights("verify", file, "sound-x2", "--json")
    assert done.exit_code == 0
    assert [v["sound"] for v in json.loads(done.stdout)["weights"]] == [True, True]
    missing = weights("verify", catalogue / "none.safetensors", "nobody")
    assert missing.exit_code == 4
    assert "no such weights file" in missing.stdout
    assert "no weights named 'nobody'" in missing.stdout


def test_import_makes_a_file_that_loads(tmp_path: Path) -> None:
    source = archive(tmp_path / "model.keras", hdf5(arrays_of(2)))
    output = tmp_path / "model.safetensors"
    done = weights("import", source, "-o", output)
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{output}\n", "")
    loaded = load_weights(output)
    assert loaded.descriptor == dacn_descriptor(2, "notebook")
    assert loaded.card == {"imported_from": "model.keras", "imported_sha256": file_sha256(source)}
    again = weights("import", source, "-o", output)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr
    assert weights("import", source, "-o", output, "--overwrite").exit_code == 0


def test_import_refuses_other_files_and_leaves_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "odd.keras", "w") as other:
        other.writestr("data.pkl", b"")
    done = weights("import", tmp_path / "odd.keras", "-o", tmp_path / "x.safetensors")
    assert done.exit_code == 4
    assert "no config.json in the archive" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["odd.keras"]


def test_import_wants_the_suffix_that_upscale_knows(tmp_path: Path) -> None:
    done = weights("import", tmp_path / "a.keras", "-o", tmp_path / "a.pt")
    assert done.exit_code == 2
    assert "name the output *.safetensors" in done.stderr


def test_help_loads_neither_torch_nor_hdf5() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from hsisr.cli.main import app;"
        "done = CliRunner().invoke(app, ['weights', '--help']);"
        "print(done.exit_code, sorted({'torch', 'h5py', 'rasterio'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 []\n"
