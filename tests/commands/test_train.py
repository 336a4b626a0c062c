"""`train` as a Python function: what it reads, what it leaves behind, what it refuses."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from hsisr.commands.options import TrainOptions
from hsisr.commands.training.train import TrainResult, train
from hsisr.datasets import catalogue
from hsisr.errors import HsisrWarning, InputDataError, UsageError, WeightsError
from hsisr.models.dacn import Dacn
from hsisr.training.feed import Tensors
from hsisr.training.loop import Trainer
from hsisr.weights import load_weights
from tests.datasets.serving import mat_file
from tests.scenes import counts, write_tif
from tests.training.small import SETTINGS as SMALL
from tests.training.small import texture

# four steps are no training
pytestmark = [
    pytest.mark.filterwarnings("ignore:the weights lose:hsisr.errors.HsisrWarning"),
    pytest.mark.usefixtures("no_curve"),  # but for `run`, which is made before that
]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_tif(tmp_path / "scene.tif", smooth(36, 48, 40), bad=(3,))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """On a scene of 36 bands, of which one is marked bad."""
    scene = tmp_path_factory.mktemp("first") / "scene.tif"
    write_tif(scene, smooth(36, 48, 40), bad=(3,))
    return train(options(scene, command="hsisr train scene.tif"))


@pytest.fixture(scope="module")
def first(run: TrainResult) -> Path:
    return run.out / "dacn-any-x2.safetensors"


def smooth(bands: int, rows: int, cols: int, seed: int = 0) -> npt.NDArray[np.uint16]:
    return np.asarray(np.rint(texture(bands, rows, cols, seed)), np.uint16)


def options(scene: Path, out: str = "run", **changes: object) -> TrainOptions:
    table: dict[str, object] = {
        "scenes": (scene,),
        "scale": 2,
        "settings": SMALL,
        "out": scene.parent / out,
        "device": "cpu",
    }
    return TrainOptions(**{**table, **changes})  # type: ignore[arg-type]


def run_json(result: TrainResult) -> dict[str, object]:
    found: dict[str, object] = json.loads((result.out / "run.json").read_text())
    return found


def test_a_run_leaves_weights_card_state_curve_and_record(run: TrainResult) -> None:
    names = {path.name for path in run.out.iterdir()} - {"tensorboard"}
    expected = {"dacn-any-x2.safetensors", "dacn-any-x2.md"}
    assert names == expected | {"state.safetensors", "run.json", "curve.png"}
    loaded = load_weights(run.out / "dacn-any-x2.safetensors")
    assert loaded.descriptor.wavelengths_nm == (400.0, 750.0)
    assert loaded.card["scenes"] == "scene.tif"
    card = (run.out / "dacn-any-x2.md").read_text()
    assert "`hsisr train scene.tif`" in card
    assert "| scene.tif | 35 | 48 | 40 |" in card  # one band of 36 is marked bad
    record = run_json(run)
    assert record["weights_sha256"] == loaded.sha256
    assert (record["ending"], record["steps"], record["seed"]) == ("finished", 4, 0)
    assert (run.out / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("slow", "taken"),
    [
        ("bfloat16", "float32"),
        pytest.param("float32", "bfloat16", marks=pytest.mark.slow),  # emulated on most processors
    ],
)
def test_auto_takes_the_faster_precision_and_a_resumed_run_keeps_it(
    scene: Path, slow: str, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slower, clock = [slow], [0.0]
    optimise = Trainer.optimise

    def timed(trainer: Trainer, batch: Tensors) -> float:
        clock[0] += 9.0 if trainer.plan.recipe.precision in slower else 1.0
        return optimise(trainer, batch)

    monkeypatch.setattr(Trainer, "optimise", timed)
    monkeypatch.setattr("hsisr.training.start.perf_counter", lambda: clock[0])
    auto = (*SMALL, "precision=auto")
    named = train(options(scene, "named", settings=(*SMALL, f"precision={taken}")))
    chosen = train(options(scene, settings=auto))
    record = run_json(chosen)
    assert record["recipe"]["precision"] == taken  # type: ignore[index]
    assert set(record["seconds_per_step"]) == {"float32", "bfloat16"}  # type: ignore[call-overload]
    assert chosen.score == named.score  # timing changes neither weights nor batches
    slower[:] = [taken]  # the other is faster now, and a state named its own precision
    for out in ("run", "named"):
        again = train(options(scene, out, settings=auto, resume=True))
        assert run_json(again)["recipe"]["precision"] == taken  # type: ignore[index]


def test_validation_scenes_judge_and_do_not_teach(scene: Path) -> None:
    other = write_tif(scene.parent / "other.tif", smooth(33, 32, 32, seed=5))
    result = train(options(scene, val=(other,)))
    record = run_json(result)
    assert [judge[0] for judge in record["judges"]] == ["other.tif"]  # type: ignore[attr-defined]
    assert [s["validation_px"] for s in record["scenes"]] == [0]  # type: ignore[attr-defined]
    with pytest.warns(HsisrWarning, match=r"scene\.tif is trained on and validated on"):
        train(options(scene, "same", val=(Path(os.path.relpath(scene)),)))
    copy = Path(shutil.copy(scene, scene.parent / "copy.tif"))
    with pytest.warns(HsisrWarning, match=r"copy\.tif is trained on and validated on"):
        train(options(scene, "copied", val=(copy,)))


def test_a_run_does_not_go_on_with_other_numbers(scene: Path) -> None:
    other = write_tif(scene.parent / "other.tif", smooth(33, 32, 32, seed=5))
    train(options(scene, val=(other,)))
    train(options(scene, val=(other,), resume=True))
    write_tif(other, smooth(33, 32, 32, seed=6))
    with pytest.raises(InputDataError, match=r"its judges: 1: 6 is '\w{8}', found '\w{8}'; give"):
        train(options(scene, val=(other,), resume=True))


@pytest.mark.parametrize("scale", [2, 4])
def test_adapting_begins_with_all_weights_that_fit_and_keeps_them_if_nothing_is_better(
    scale: int, scene: Path, first: Path
) -> None:
    useless = ("steps=1", "validate_every=1", "learning_rate=1e-30", "weight_decay=0.0")
    own = options(scene, "adapted", init=str(first), scale=scale, settings=(*SMALL, *useless))
    with pytest.warns(HsisrWarning, match="no step improved on .* so these are kept"):
        result = train(own)
    assert (result.best_step, result.start) == (0, result.score)
    before, after = (
        load_weights(p) for p in (first, result.out / f"dacn-any-x{scale}.safetensors")
    )
    assert after.descriptor.scale == scale
    old, new = before.network.state_dict(), after.network.state_dict()
    kept = {name for name in old if torch.equal(old[name], new.get(name, torch.empty(0)))}
    of_the_scale = ("upsampling.",) if scale == 4 else ()
    assert {name for name in old if not name.startswith(of_the_scale)} <= kept
    assert run_json(result)["init_sha256"] == before.sha256


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"model": "dacn"}, WeightsError, "is a dacn-any, found --model dacn"),
        (
            {"settings": (*SMALL, "network.width=16")},
            UsageError,
            r"wants width = 16, but .* has 8; leave width out",
        ),
        (
            {"settings": (*SMALL, "normalisation=none")},
            UsageError,
            "wants normalisation = 'none', but",
        ),
    ],
)
def test_weights_and_options_that_do_not_fit_are_refused(
    scene: Path, first: Path, changes: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        train(options(scene, init=str(first), **changes))


def test_the_papers_recipe_trains_the_exact_dacn_in_epochs(tmp_path: Path) -> None:
    scene = write_tif(tmp_path / "scene.tif", counts(36, 36, 24))
    own = TrainOptions(
        scenes=(scene,),
        scale=2,
        model="dacn",
        recipe="dacn-paper",
        settings=("epochs=1", "patch_hr_px=12", "batch_size=4"),
        out=tmp_path / "run",
        device="cpu",
    )
    with pytest.warns(HsisrWarning, match=r"the weights lose \d+\.\d\d dB and"):
        result = train(own)
    loaded = load_weights(result.out / "dacn-x2.safetensors")
    assert isinstance(loaded.network, Dacn)
    assert loaded.descriptor.normalisation == "none"
    # 6 patches, one kept to validate; groups of bands 1-32 and 5-36
    assert result.steps == int(np.ceil(5 * 2 / 4))


@pytest.fixture
def site_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Pavia University's entry, its file of the true size but few bands in the data folder."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PaviaU.mat").write_bytes(mat_file("paviaU", 610, 340, 56))
    entry = catalogue.DATASETS["paviau"]
    file = replace(entry.file, git_blob=None)
    stand_in = replace(entry, file=file, shape=(56, 610, 340))
    monkeypatch.setitem(catalogue.DATASETS, "paviau", stand_in)
    return "paviau"


def test_the_published_split_trains_on_seven_patches(site_scene: str, tmp_path: Path) -> None:
    own = TrainOptions(
        dataset=site_scene,
        scale=8,
        model="dacn-any",
        recipe="dacn-published",
        settings=(*SMALL[:3], "epochs=1"),
        out=tmp_path / "run",
        data_dir=tmp_path / "data",
        offline=True,
        device="cpu",
    )
    result = train(own)
    record = run_json(result)
    assert result.steps == 4  # 7 patches, 2 groups, 1 of 14 samples validates, 13 in batches of 4
    (facts,) = record["scenes"]  # type: ignore[misc]
    assert facts["test_px_also_trained_on"] == 0  # type: ignore[has-type]
    assert len(record["judges"]) == 1  # type: ignore[arg-type]
    card = (result.out / "dacn-any-x8.md").read_text()
    assert "HySens" in card
    (test,) = record["test"]  # type: ignore[misc]
    assert test["window"] == [0, 0, 144, 144]  # type: ignore[has-type]
    assert test["scores"]["mpsnr"] != test["bicubic"]["mpsnr"]  # type: ignore[has-type]
    assert f"| PaviaU.mat | bicubic | {test['bicubic']['mpsnr']:.4f} |" in card  # type: ignore[has-type]
    assert "Rows 0 to 143, columns 0 to 143" in card


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "found no scene to learn from: name scene files or --dataset"),
        ({"dataset": "cave", "model": "swin"}, "model 'swin': expected one of dacn, dacn-any"),
        ({"dataset": "cave", "max_minutes": 0.0}, "max-minutes 0: expected more than 0"),
    ],
)
def test_impossible_options_are_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainOptions(**table)  # type: ignore[arg-type]
