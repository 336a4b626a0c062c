"""`hsisr train` as its user meets it."""

import itertools
import json
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsisr.commands.python.calls import terminal_bars
from hsisr.datasets import catalogue
from hsisr.training.loop import Trainer
from hsisr.weights import load_weights
from tests.datasets.serving import Site, mat_file, served
from tests.program import hsisr, succeed
from tests.scenes import write_tif
from tests.training.small import SETTINGS, texture

pytestmark = pytest.mark.usefixtures("no_curve")
SMALL = [part for setting in SETTINGS for part in ("--set", setting)]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_tif(tmp_path / "scene.tif", np.rint(texture(36, 48, 40)).astype(np.uint16))


@pytest.fixture
def pavia(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A stand-in with the name, variable and type of the real file, on loopback."""
    with served({"/PaviaU.mat": mat_file("paviaU", 160, 128, 36)}) as site:
        entry = catalogue.DATASETS["paviau"]
        urls = (f"{site.url}/PaviaU.mat",)
        file = replace(entry.file, urls=urls, git_blob=None)
        monkeypatch.setitem(
            catalogue.DATASETS, "paviau", replace(entry, file=file, shape=(36, 160, 128))
        )
        yield site


def test_the_path_of_the_weights_is_on_stdout_and_the_talk_on_stderr(scene: Path) -> None:
    out = scene.parent / "run"
    own = ["train", scene, "-s", 2, *SMALL, "--device", "cpu"]
    done = succeed(*own, "--set", "precision=auto", "-o", out)
    assert done.stdout.strip() == str(out / "dacn-any-x2.safetensors")
    begun = ("reading scenes", "timing steps in float32", "scoring the start", "step 0:")
    assert all(map(str.startswith, done.stderr.splitlines(), begun)), done.stderr
    assert "dB on what was held out" in done.stderr
    done = hsisr(*own, "-o", scene.parent / "quiet", "-q", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["ending"], found["steps"]) == ("finished", 4)
    assert load_weights(found["weights"]).descriptor.arch == "dacn-any"


def test_a_dataset_is_downloaded_trained_on_and_then_used_offline(
    pavia: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSISR_DATA", str(tmp_path / "data"))
    short = ["--set", "steps=1", "--set", "validate_every=1"]
    own = ["--dataset", "paviau", "-s", 8, *SMALL, *short, "--device", "cpu"]
    first = hsisr("train", *own, "-o", tmp_path / "one")
    assert first.exit_code == 0, first.stderr
    second = hsisr("train", *own, "-o", tmp_path / "two", "--offline")
    assert second.exit_code == 0, second.stderr
    assert pavia.requests == ["/PaviaU.mat"]
    weights = [(tmp_path / run / "dacn-any-x8.safetensors").read_bytes() for run in ("one", "two")]
    assert weights[0] == weights[1]


def test_ctrl_c_saves_and_the_same_command_with_resume_continues(
    scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, step, taken = scene.parent / "run", Trainer._step, itertools.count()

    def interrupted(trainer: Trainer, feed: Any) -> Any:
        if next(taken) == 3:
            signal.raise_signal(signal.SIGINT)
        return step(trainer, feed)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    steps = ["--set", "steps=200", "--set", "validate_every=200"]
    command = ["train", scene, "-s", "2", *SMALL, *steps, "-o", out, "--device", "cpu"]
    bars = terminal_bars(redirect=False)
    monkeypatch.setattr("hsisr.cli.train.shown_bars", lambda **_: nullcontext(bars))
    done = hsisr(*command, "--max-minutes", 9)
    assert done.exit_code == 130
    shown = bars.tasks[-1]  # minutes are counted where they are the limit
    assert shown.description == "training"
    assert shown.fields["count"].endswith("/9 min")
    assert shown.fields["talk"].startswith("step 4 loss ")
    assert "the same command with --resume continues" in done.stderr
    assert not (out / "dacn-any-x2.safetensors").exists()
    record = json.loads((out / "run.json").read_text())
    assert (record["ending"], record["steps"]) == ("stopped", 4)
    succeed(*command, "--resume", "--max-minutes", 0.001)
    assert (out / "dacn-any-x2.safetensors").exists()
