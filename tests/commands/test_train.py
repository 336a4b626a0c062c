"""`train` as a Python function: what it reads, what it leaves behind, what it refuses."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from hsisr.commands.train import TrainOptions, TrainResult, train
from hsisr.commands.training_options import chosen_recipe
from hsisr.datasets import catalogue
from hsisr.errors import (
    HsisrWarning,
    InputDataError,
    OutputExistsError,
    UsageError,
    WeightsError,
)
from hsisr.models.dacn import Dacn
from hsisr.training.feed import Tensors
from hsisr.training.loop import Trainer
from hsisr.weights import load_weights
from tests.commands.files import counts, write_tif
from tests.datasets.serving import mat_file, served
from tests.training.small import texture

SMALL = (
    "network.width=8",
    "network.blocks=1",
    "network.heads=2",
    "steps=4",
    "validate_every=2",
    "batch_size=2",
    "crop_lr_px=8",
    "precision=float32",
)


# four steps are no training
pytestmark = pytest.mark.filterwarnings("ignore:the weights lose:hsisr.errors.HsisrWarning")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_tif(tmp_path / "scene.tif", smooth(36, 48, 40), bad=(3,))


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


def test_a_run_leaves_weights_card_state_curve_and_record(scene: Path) -> None:
    result = train(options(scene, command="hsisr train scene.tif"))
    names = {path.name for path in result.out.iterdir()} - {"tensorboard"}
    expected = {"dacn-any-x2.safetensors", "dacn-any-x2.md"}
    assert names == expected | {"state.safetensors", "run.json", "curve.png"}
    loaded = load_weights(result.out / "dacn-any-x2.safetensors")
    assert loaded.descriptor.wavelengths_nm == (400.0, 750.0)
    assert loaded.card["scenes"] == "scene.tif"
    card = (result.out / "dacn-any-x2.md").read_text()
    assert "`hsisr train scene.tif`" in card
    assert "| scene.tif | 35 | 48 | 40 |" in card  # one band of 36 is marked bad
    record = run_json(result)
    assert record["weights_sha256"] == loaded.sha256
    assert (record["ending"], record["steps"], record["seed"]) == ("finished", 4, 0)
    assert (result.out / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_run_needs_overwrite_or_resume(scene: Path) -> None:
    first = train(options(scene))
    with pytest.raises(OutputExistsError, match="is there already; continue that run with --r"):
        train(options(scene))
    assert train(options(scene, resume=True)).steps == 4
    again = train(options(scene, overwrite=True))
    assert again.score == first.score
    with pytest.raises(InputDataError, match="belongs to another run: its seed is 0, found 1"):
        train(options(scene, resume=True, seed=1))


@pytest.mark.parametrize(("slow", "taken"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_auto_takes_the_faster_precision_and_a_resumed_run_keeps_it(
    scene: Path, slow: str, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slower = [slow]
    optimise = Trainer.optimise

    def delayed(trainer: Trainer, batch: Tensors) -> float:
        time.sleep(0.2 * (trainer.plan.recipe.precision in slower))
        return optimise(trainer, batch)

    monkeypatch.setattr(Trainer, "optimise", delayed)
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


def test_resume_without_a_state_begins_and_says_so(scene: Path) -> None:
    with pytest.warns(HsisrWarning, match="is not there, so training starts from the beginning"):
        assert train(options(scene, resume=True)).steps == 4


def test_a_recipe_may_ask_for_groups_of_another_size(scene: Path) -> None:
    result = train(options(scene, settings=(*SMALL, "group_size=12")))
    found = load_weights(result.out / "dacn-any-x2.safetensors").descriptor
    assert (found.group_size, found.group_overlap) == (12, 6)
    with pytest.raises(UsageError, match=r"wants group_size = 16, but .* has 12"):
        train(options(scene, "again", init=str(result.weights), settings=("group_size=16",)))


def test_nothing_may_be_held_out_on_purpose(scene: Path) -> None:
    result = train(options(scene, settings=(*SMALL, "split=whole")))
    record = run_json(result)
    assert (result.score, result.best_step, record["validations"]) == (None, 4, [])
    (taught,) = record["scenes"]  # type: ignore[misc]
    assert taught["training_px"] == 48 * 40  # type: ignore[has-type]


def test_validation_scenes_judge_and_do_not_teach(scene: Path) -> None:
    other = write_tif(scene.parent / "other.tif", smooth(33, 32, 32, seed=5))
    result = train(options(scene, val=(other,)))
    record = run_json(result)
    assert [judge[0] for judge in record["judges"]] == ["other.tif"]  # type: ignore[attr-defined]
    assert [s["validation_px"] for s in record["scenes"]] == [0]  # type: ignore[attr-defined]


def test_tensorboard_gets_scalars_and_pictures(scene: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result = train(options(scene))
    events = accumulator.EventAccumulator(str(result.out / "tensorboard"))
    events.Reload()
    shown = events.Images("truth, bicubic, network")
    assert [image.step for image in shown] == [0, 2, 4]
    assert shown[0].width % 3 == 0


def test_adapting_starts_from_the_weights_and_keeps_them_if_nothing_is_better(scene: Path) -> None:
    first = train(options(scene)).out / "dacn-any-x2.safetensors"
    useless = ("steps=1", "validate_every=1", "learning_rate=1e-30", "weight_decay=0.0")
    own = options(scene, "adapted", init=str(first), settings=(*SMALL, *useless))
    with pytest.warns(HsisrWarning, match="no step improved on .* so these are kept"):
        result = train(own)
    assert (result.best_step, result.start) == (0, result.score)
    before, after = (load_weights(p) for p in (first, result.out / first.name))
    old, new = before.network.state_dict(), after.network.state_dict()
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert run_json(result)["init_sha256"] == before.sha256


def test_released_weights_of_another_scale_lend_too(scene: Path) -> None:
    own = options(scene, init="dacn-any-x4", settings=SMALL[3:])
    assert train(own).weights == own.out / "dacn-any-x2.safetensors"


def test_what_is_of_no_use_in_a_folder_is_left_out_and_said(scene: Path) -> None:
    folder = scene.parent / "scenes"
    folder.mkdir()
    scene.rename(folder / scene.name)
    (folder / "broken.tif").write_bytes(b"II*\0 and nothing more")
    with pytest.warns(HsisrWarning, match=r"left out: .*broken.tif"):
        result = train(options(folder))
    assert [s["name"] for s in run_json(result)["scenes"]] == ["scene.tif"]  # type: ignore[attr-defined]


def test_axes_are_for_the_files_that_take_them(scene: Path) -> None:
    cube = smooth(36, 48, 40, seed=2).transpose(1, 2, 0)
    np.save(scene.parent / "cube.npy", cube)
    own = options(scene, scenes=(scene, scene.parent / "cube.npy"), axes="rcb")
    with pytest.warns(HsisrWarning, match="degrees against bicubic"):  # after four steps
        found = run_json(train(own))["scenes"]
    assert [s["live_bands"] for s in found] == [35, 36]  # type: ignore[attr-defined]


def test_weights_of_another_scale_lend_all_but_their_upsampling(scene: Path) -> None:
    first = train(options(scene)).out / "dacn-any-x2.safetensors"
    still = ("steps=1", "validate_every=1", "learning_rate=1e-30", "weight_decay=0.0")
    with pytest.warns(HsisrWarning, match="no step improved"):
        result = train(options(scene, "x4", init=str(first), scale=4, settings=(*SMALL, *still)))
    before, after = (load_weights(p) for p in (first, result.out / "dacn-any-x4.safetensors"))
    assert after.descriptor.scale == 4
    old, new = before.network.state_dict(), after.network.state_dict()
    lent = {name for name in old if torch.equal(old[name], new.get(name, torch.empty(0)))}
    assert {name for name in old if not name.startswith("upsampling.")} <= lent
    assert run_json(result)["init_sha256"] == before.sha256


@pytest.mark.filterwarnings("ignore::hsisr.errors.HsisrWarning")
def test_patterns_belong_to_one_scale(scene: Path) -> None:
    few = (*SMALL, "network.basis=5", "steps=1", "validate_every=1")
    first = train(options(scene, settings=few)).out / "dacn-any-x2.safetensors"
    lent = train(options(scene, "x4", init=str(first), scale=4, settings=SMALL))
    asked = train(options(scene, "again", init=str(first), scale=4, settings=few))
    assert load_weights(first).descriptor.hparams["basis"] == 5
    found = [load_weights(run.out / "dacn-any-x4.safetensors") for run in (lent, asked)]
    assert [weights.descriptor.hparams.get("basis", 0) for weights in found] == [0, 5]
    with pytest.raises(UsageError, match=r"wants basis = 4, but .* has 5"):
        train(options(scene, "b", init=str(first), settings=(*SMALL, "network.basis=4")))


def test_weights_and_options_that_do_not_fit_are_refused(scene: Path) -> None:
    first = str(train(options(scene)).out / "dacn-any-x2.safetensors")
    with pytest.raises(WeightsError, match="is a dacn-any, found --model dacn"):
        train(options(scene, "b", init=first, model="dacn"))
    with pytest.raises(UsageError, match=r"wants width = 16, but .* has 8; leave width out"):
        train(options(scene, "b", init=first, settings=(*SMALL, "network.width=16")))
    with pytest.raises(UsageError, match="wants normalisation = 'none', but"):
        train(options(scene, "b", init=first, settings=(*SMALL, "normalisation=none")))


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
    """Pavia University's entry, its file of the true shape put into the data folder."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PaviaU.mat").write_bytes(mat_file("paviaU", 610, 340, 103))
    entry = catalogue.DATASETS["paviau"]
    stand_in = replace(entry, file=replace(entry.file, git_blob=None))
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
    assert result.steps == 5  # 7 patches, 3 groups, 2 of 21 samples validate, 19 in batches of 4
    (facts,) = record["scenes"]  # type: ignore[misc]
    assert facts["test_px_also_trained_on"] == 0  # type: ignore[has-type]
    assert len(record["judges"]) == 2  # type: ignore[arg-type]
    card = (result.out / "dacn-any-x8.md").read_text()
    assert "HySens" in card
    (test,) = record["test"]  # type: ignore[misc]
    assert test["window"] == [0, 0, 144, 144]  # type: ignore[has-type]
    assert test["scores"]["mpsnr"] != test["bicubic"]["mpsnr"]  # type: ignore[has-type]
    assert f"| PaviaU.mat | bicubic | {test['bicubic']['mpsnr']:.4f} |" in card  # type: ignore[has-type]
    assert "Rows 0 to 143, columns 0 to 143" in card


@pytest.mark.parametrize("recipe", ["dacn-paper", "dacn-published"])
def test_the_papers_recipes_train_the_papers_network(recipe: str, tmp_path: Path) -> None:
    own = TrainOptions(scenes=(tmp_path,), recipe=recipe)
    assert chosen_recipe(own).model == "dacn"


def test_the_leak_of_the_published_split_is_said_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pavia.mat").write_bytes(mat_file("pavia", 1096, 715, 5))
    entry = replace(catalogue.DATASETS["paviac"], shape=(5, 1096, 715))
    monkeypatch.setitem(catalogue.DATASETS, "paviac", entry)
    own = TrainOptions(
        dataset="paviac",
        scale=8,
        model="dacn-any",
        recipe="dacn-published",
        settings=(*SMALL[:3], "epochs=1", "batch_size=50"),
        out=tmp_path / "run",
        data_dir=tmp_path,
        offline=True,
        device="cpu",
    )
    leak = r"8064 of 20736 test pixels \(39 %\) are also trained"
    with (
        pytest.warns(HsisrWarning, match="degrees against"),
        pytest.warns(HsisrWarning, match=leak),
    ):
        result = train(own)
    assert "8064 pixels of the test window" in (result.out / "dacn-any-x8.md").read_text()


def test_a_dataset_of_another_shape_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = catalogue.DATASETS["indianpines"]
    content = mat_file("indian_pines_corrected", 20, 20, 5)
    with served({"/a.mat": content}) as site:
        file = replace(entry.file, urls=(f"{site.url}/a.mat",))
        monkeypatch.setitem(catalogue.DATASETS, "indianpines", replace(entry, file=file))
        own = TrainOptions(dataset="indianpines", out=tmp_path / "run", data_dir=tmp_path / "d")
        with pytest.raises(InputDataError, match=r"found \(bands, rows, cols\) \(5, 20, 20\), exp"):
            train(own)


def test_scenes_that_cannot_teach_are_refused(tmp_path: Path) -> None:
    flat = write_tif(tmp_path / "flat.tif", np.full((3, 20, 20), 7, np.uint16))
    with pytest.raises(InputDataError, match=r"flat\.tif: found no band with data that varies"):
        train(options(flat))
    tiny = write_tif(tmp_path / "tiny.tif", counts(3, 1, 20))
    with pytest.raises(InputDataError, match=r"tiny\.tif: found 1 x 20 pixels, expected at least"):
        train(options(tiny))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputDataError, match="empty: found no scene in this folder"):
        train(options(tmp_path / "empty"))
    small = write_tif(tmp_path / "small.tif", counts(3, 6, 20))
    with (
        pytest.warns(HsisrWarning, match="too small to hold anything out"),
        pytest.raises(InputDataError, match="no training window of at least 8 x 8 pixels"),
    ):
        train(options(small))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "found no scene to learn from: name scene files or --dataset"),
        ({"dataset": "cave", "scale": 3}, "scale 3: expected 2, 4 or 8"),
        ({"dataset": "cave", "model": "swin"}, "model 'swin': expected one of dacn, dacn-any"),
        ({"dataset": "cave", "max_minutes": 0.0}, "max-minutes 0: expected more than 0"),
        ({"dataset": "cave", "seed": -1}, "seed -1: expected 0 or more"),
    ],
)
def test_impossible_options_are_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainOptions(**table)  # type: ignore[arg-type]


def test_settings_change_the_recipe_and_unknown_ones_are_refused() -> None:
    def chosen(*settings: str) -> object:
        return chosen_recipe(TrainOptions(dataset="cave", settings=settings))

    recipe = chosen_recipe(TrainOptions(dataset="cave", settings=("steps=7", "coarser=[4]")))
    assert (recipe.name, recipe.steps, recipe.coarser) == ("any", 7, (4,))
    assert chosen_recipe(TrainOptions(dataset="cave", init="x")).name == "adapt"
    with pytest.raises(UsageError, match="--set: unknown key 'stepz'"):
        chosen("stepz=7")
    with pytest.raises(UsageError, match="--set steps: expected KEY=VALUE"):
        chosen("steps")
    with pytest.raises(UsageError, match="steps is 'many', expected a whole number"):
        chosen("steps=many")
