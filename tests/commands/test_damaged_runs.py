"""What damaged or strangely named files of earlier runs come to: one line and the right code."""

import json
import logging
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hsisr.cli.console import expected_errors
from hsisr.errors import InputDataError
from hsisr.training.state import Progress, Record, TrainingState, load_state, save_state

DEEP = "[" * 100_000 + "]" * 100_000
RECORD = Record(
    step=3,
    seconds=1.0,
    loss=0.5,
    learning_rate=1e-3,
    score=math.inf,
    bicubic=30.0,
    sam=1.0,
    bicubic_sam=2.0,
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state.safetensors"
    progress = Progress(step=6, best_score=math.inf, history=[RECORD])
    tensors = {"network": {"w": torch.ones(2)}, "average": {}, "best": {}}
    kept = TrainingState(
        progress=progress, fingerprint={"seed": 0, "recipe": {}}, tensors=tensors, optimiser={}
    )
    save_state(path, kept)
    return path


def test_a_state_is_read_back_with_infinite_scores(state: Path) -> None:
    found = load_state(state)
    assert found.progress.history == [RECORD]
    assert found.progress.best_score == math.inf
    assert found.tensors["network"]["w"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "change",
    [
        lambda found: {**found, "fingerprint": None},
        lambda found: {**found, "fingerprint": ["seed"]},
        lambda found: {**found, "progress": {**found["progress"], "step": "six"}},
        lambda found: {**found, "progress": {**found["progress"], "history": [{"step": 1}]}},
        lambda found: {**found, "progress": []},
        lambda _: [],
        lambda _: DEEP,
    ],
)
def test_a_state_with_wrong_content_is_bad_input(state: Path, change: Callable[[Any], Any]) -> None:
    with safe_open(state, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    found = change(json.loads(metadata["hsisr_training_state"]))
    text = found if isinstance(found, str) else json.dumps(found)
    save_file(tensors, state, {"hsisr_training_state": text})
    with pytest.raises(InputDataError, match="not a training state of hsisr"):
        load_state(state)


def test_lines_of_libraries_do_not_reach_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with expected_errors():
        for name in ("tifffile", "rasterio._err", "some.library"):
            logging.getLogger(name).error("nodata -3.4028234663852886e+38 is out of range")
    sys.stderr.flush()
    assert capfd.readouterr().err == ""
