"""The loop: it learns, it ends four ways, and a broken run continues as if it were whole."""

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from hsisr.errors import HsisrError, InputDataError
from hsisr.training.loop import Outcome, Plan, train
from hsisr.training.state import Progress, Record, load_state
from tests.training.small import plan, recipe


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


def test_runs_of_one_seed_are_equal_bit_by_bit_of_two_not(whole: Outcome, tmp_path: Path) -> None:
    assert equal(whole, train(plan(tmp_path / "a")))
    assert not equal(whole, train(plan(tmp_path / "b", seed=1)))


@pytest.mark.parametrize("step", [1, 4, 5, 11])
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


def test_a_state_of_before_a_recipe_had_a_key_is_continued(tmp_path: Path) -> None:
    whole = json.loads(json.dumps(recipe().as_dict()))
    older = {key: value for key, value in whole.items() if key not in ("loss_unit", "penalised")}
    before = replace(plan(tmp_path / "state"), fingerprint={"recipe": older})
    train(before, [interrupted_at(5)])
    now = replace(plan(tmp_path / "state"), fingerprint={"recipe": whole})
    assert train(now, resume=True).progress.step == 12
    other = replace(now, fingerprint={"recipe": {**whole, "loss_unit": "peak"}})
    with pytest.raises(InputDataError, match="belongs to another run: its recipe"):
        train(other, resume=True)
