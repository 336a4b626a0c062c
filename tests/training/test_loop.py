"""The loop: it learns, it ends four ways, and a broken run continues as if it were whole."""

import json
import math
import shutil
import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from hsisr.errors import HsisrError, InputDataError, ResourceError, UsageError
from hsisr.training.loop import Outcome, Plan, train
from hsisr.training.reporting import draw_curve
from hsisr.training.state import Progress, Record, TrainingState, load_state, save_state
from hsisr.training.validation import bicubic_scores, validation_windows
from tests.training.small import plan, recipe, scene


class Watch:
    """Notes what it hears; does something after a step."""

    def __init__(self, then: Callable[[Progress], None] = lambda _: None) -> None:
        self.losses: list[float] = []
        self.records: list[Record] = []
        self._then = then

    def stepped(self, progress: Progress, total: int, loss: float, rate: float) -> None:
        assert progress.step <= total
        assert rate > 0
        self.losses.append(loss)
        self._then(progress)

    def validated(self, record: Record, progress: Progress) -> None:
        assert progress.history[-1] == record
        self.records.append(record)


def equal(one: Outcome, other: Outcome) -> bool:
    same = [torch.equal(one.weights[name], other.weights[name]) for name in other.weights]
    return all(same) and len(one.weights) == len(other.weights)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What a run of `plan` that nothing stops comes to."""
    return train(plan(tmp_path_factory.mktemp("whole") / "state"))


def interrupted_at(step: int) -> Watch:
    def stop(progress: Progress) -> None:
        if progress.step == step:
            signal.raise_signal(signal.SIGINT)

    return Watch(stop)


def test_training_raises_the_score_and_keeps_the_best(tmp_path: Path) -> None:
    watch = Watch()
    own = plan(tmp_path / "state.safetensors", recipe(steps=60, validate_every=20))
    outcome = train(own, [watch])
    assert outcome.ending == "finished"
    assert [r.step for r in watch.records] == [0, 20, 40, 60]
    scores = [r.score for r in watch.records]
    assert outcome.progress.best_score == max(scores) > scores[0]
    assert watch.records[0].score > watch.records[0].bicubic  # back-projection alone gains
    assert watch.losses[-1] < watch.losses[0]


def test_bands_without_detail_where_a_scene_is_held_out_are_not_scored(tmp_path: Path) -> None:
    own = plan(tmp_path / "state")
    lake, still = scene(), scene()
    held = lake.split.validation[0]
    lake.values[1, held.row :, held.col :] = 0  # water in the short-wave infrared
    still.values[:, held.row :, held.col :] = 7
    (judge,) = validation_windows(lake, 2)
    assert judge.varies()
    truth = lake.cut(judge.window)
    assert [band for band in range(lake.bands) if np.ptp(truth[band]) == 0] == [1]
    assert math.isfinite(bicubic_scores([judge], own.descriptor).mpsnr)
    assert validation_windows(still, 2) == []


def test_runs_of_one_seed_are_equal_bit_by_bit_of_two_not(whole: Outcome, tmp_path: Path) -> None:
    assert equal(whole, train(plan(tmp_path / "a")))
    assert not equal(whole, train(plan(tmp_path / "b", seed=1)))


@pytest.mark.parametrize(
    "step", [4, 5, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 11))]
)
def test_stopped_runs_come_to_the_same_result(step: int, whole: Outcome, tmp_path: Path) -> None:
    stopped = train(plan(tmp_path / "state"), [interrupted_at(step)])
    assert (stopped.ending, stopped.signal) == ("stopped", signal.SIGINT)
    assert load_state(tmp_path / "state").progress.step == step
    continued = train(plan(tmp_path / "state"), resume=True)
    assert equal(continued, whole)
    assert [r.score for r in continued.progress.history] == [
        r.score for r in whole.progress.history
    ]


class Noisy(nn.Module):
    """A network with a layer that draws numbers."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        made: torch.Tensor = self.network(functional.dropout(lr, 0.1, self.training), zero)
        return made


def noisy(state: Path) -> Plan:
    chosen = plan(state)
    return replace(chosen, network=Noisy(chosen.network))


def test_layers_that_draw_numbers_draw_the_same_after_a_break(tmp_path: Path) -> None:
    whole = train(noisy(tmp_path / "whole"))
    train(noisy(tmp_path / "state"), [interrupted_at(4)])
    torch.rand(3)
    assert equal(train(noisy(tmp_path / "state"), resume=True), whole)


def test_what_a_kill_leaves_comes_to_the_same_result(whole: Outcome, tmp_path: Path) -> None:
    state, left = tmp_path / "state", tmp_path / "left"

    def keep(progress: Progress) -> None:
        if progress.step == 5:
            shutil.copy(state, left)

    train(plan(state), [Watch(keep)])
    assert load_state(left).progress.step == 3
    assert equal(train(plan(left), resume=True), whole)


def test_validations_that_bring_nothing_end_a_run(tmp_path: Path) -> None:
    spoilt = recipe(
        steps=1000, validate_every=1, patience=3, learning_rate=1.0, ema_decay=0.0, warmup_steps=0
    )
    outcome = train(plan(tmp_path / "state", spoilt))
    assert outcome.ending == "patience"
    assert outcome.progress.best_step == outcome.progress.step - 3


def test_a_loss_that_is_no_number_ends_in_a_clear_error(tmp_path: Path) -> None:
    own: Plan = plan(tmp_path / "state", recipe(learning_rate=1e30, clip_norm=0.0, warmup_steps=0))
    with pytest.raises(
        HsisrError, match=r"training broke down at step \d+: the loss is nan.*lower"
    ):
        train(own)
    assert load_state(tmp_path / "state").progress.step < 12


def test_a_state_of_another_run_is_refused(tmp_path: Path) -> None:
    train(plan(tmp_path / "state"))
    with pytest.raises(InputDataError, match="belongs to another run: its seed is 0, found 1"):
        train(plan(tmp_path / "state", seed=1), resume=True)


def test_bfloat16_and_the_papers_settings_train_too(tmp_path: Path) -> None:
    own = recipe(
        precision="bfloat16",
        optimiser="adam",
        distance="mse",
        weight_penalty=1e-4,
        schedule="constant",
        steps=2,
    )
    assert train(plan(tmp_path / "state", own)).ending == "finished"


def test_a_penalty_on_weights_that_are_not_there_is_one_clear_line(tmp_path: Path) -> None:
    own = recipe(weight_penalty=1e-4, penalised="nowhere, nothing")
    with pytest.raises(
        UsageError, match=r"'nowhere, nothing', with which no name .* expected some"
    ):
        train(plan(tmp_path / "state", own))


def test_a_state_of_before_a_recipe_had_a_key_is_continued(tmp_path: Path) -> None:
    whole = json.loads(json.dumps(recipe().as_dict()))
    older = {key: value for key, value in whole.items() if key not in ("loss_unit", "penalised")}
    before = replace(plan(tmp_path / "state"), fingerprint={"recipe": older})
    train(before, [interrupted_at(5)])
    now = replace(plan(tmp_path / "state"), fingerprint={"recipe": whole})
    assert train(now, resume=True).progress.step == 12
    other = replace(now, fingerprint={"recipe": {**whole, "loss_unit": "peak"}})
    with pytest.raises(InputDataError, match="its recipe: loss_unit is 'normalised', found 'peak'"):
        train(other, resume=True)


RECORD = Record(
    step=3,
    seconds=1.5,
    loss=None,
    learning_rate=1e-3,
    score=float("inf"),
    bicubic=30.1,
    sam=1.0,
    bicubic_sam=2.0,
)


@pytest.mark.parametrize("title", [r"$\frac$ \frac{a", "$$ a_b^{c [link=x]y[/link]"])
def test_a_curve_shows_a_name_as_it_is_written(title: str, tmp_path: Path) -> None:
    draw_curve(tmp_path / "curve.png", [replace(RECORD, loss=0.5, score=31.0)], title)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def state() -> TrainingState:
    shared = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    return TrainingState(
        progress=Progress(step=3, seconds=0.1, best_score=0.1 + 0.2, history=[RECORD]),
        fingerprint={"seed": 1},
        tensors={"network": {"a.w": shared}, "best": {"a.w": shared}},
        optimiser={0: {"step": torch.tensor(3.0), "exp_avg": shared.T}},
    )


def test_a_state_comes_back_bit_by_bit(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.safetensors"
    save_state(path, state())
    found, expected = load_state(path), state()
    assert asdict(found.progress) == asdict(expected.progress)
    assert found.fingerprint == expected.fingerprint
    for part, named in expected.tensors.items():
        assert all(torch.equal(found.tensors[part][n], t) for n, t in named.items())
    for number, named in expected.optimiser.items():
        assert all(torch.equal(found.optimiser[number][n], t) for n, t in named.items())
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"x" * 100])
def test_what_is_no_state_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputDataError, match="not a training state of hsisr"):
        load_state(path)


def test_a_place_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match=r"cannot write .*state"):
        save_state(tmp_path / "file" / "state.safetensors", state())


DEEP = "[" * 100_000 + "]" * 100_000
Change = Callable[[Any], Any]


def progress(**wrong: object) -> Change:
    return lambda found: {**found, "progress": {**found["progress"], **wrong}}


def record(**wrong: object) -> Change:
    return progress(history=[{**asdict(RECORD), **wrong}])


@pytest.mark.parametrize(
    "change",
    [
        *(lambda found, wrong=wrong: {**found, "fingerprint": wrong} for wrong in (None, ["seed"])),
        *(lambda found: {**found, "progress": []}, lambda found: {**found, "progress": {}}),
        *(progress(step="six"), progress(step=-1), progress(seconds=math.nan)),
        *(progress(history=[{"step": 1}]), progress(best_step=4), progress(loss_sum=math.inf)),
        *(record(step=-1), record(step=4), record(step=10**400), record(seconds=math.inf)),
        *(record(loss=math.nan), record(score=-math.inf), record(bicubic=math.nan)),
        *(record(learning_rate=1e400), lambda _: [], lambda _: DEEP),
    ],
)
def test_a_state_with_wrong_content_is_bad_input(tmp_path: Path, change: Change) -> None:
    path = tmp_path / "state.safetensors"
    save_state(path, state())
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    found = change(json.loads(metadata["hsisr_training_state"]))
    text = found if isinstance(found, str) else json.dumps(found)
    save_file(tensors, path, {"hsisr_training_state": text})
    with pytest.raises(InputDataError, match="not a training state of hsisr"):
        load_state(path)
