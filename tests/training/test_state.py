"""Training states: what is saved comes back, whole or not at all."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hsisr.errors import InputDataError, ResourceError
from hsisr.training.state import Progress, Record, TrainingState, load_state, save_state

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
