"""Two processes by torchrun's launcher: one result, that of one process with twice the batch."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hsisr.errors import ResourceError
from hsisr.training.distributed import Workers, joined_workers
from hsisr.training.loop import train
from hsisr.training.state import load_state
from tests.nursery import forked
from tests.training.small import plan, recipe
from tests.training.test_loop import Watch

PROGRAM = """
import json
import sys
from dataclasses import replace
from pathlib import Path
import torch
from safetensors.torch import save_file
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from hsisr.training.distributed import joined_workers
from hsisr.training.loop import train
from tests.training.small import plan, recipe
from tests.training.test_loop import Watch

def work(out):
    torch.set_num_threads(1)
    with joined_workers("cpu") as workers:
        own = replace(plan(out / "state", recipe(batch_size=2)), workers=workers)
        watch = Watch()
        outcome = train(own, [watch])
        save_file(outcome.weights, out / f"weights-{workers.rank}")
        (out / f"losses-{workers.rank}").write_text(json.dumps(watch.losses))

# what torchrun --standalone does, but for loading everything in every process
one_node = {"min_nodes": 1, "max_nodes": 1, "rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0"}
how = LaunchConfig(nproc_per_node=2, run_id="two", start_method="fork", **one_node)
elastic_launch(how, work)(Path(sys.argv[1]))
"""


def test_one_process_is_a_run_by_itself() -> None:
    with joined_workers("cpu") as workers:
        assert workers == Workers()
        assert workers.first
        assert workers.mean(3.0) == 3.0
        assert workers.from_first([1.0]) == [1.0]


def test_processes_that_do_not_find_each_other_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with (
        pytest.raises(ResourceError, match=r"do not find each other .*check torchrun's"),
        joined_workers("cpu"),
    ):
        pass


def test_two_processes_do_as_one_with_twice_the_batch(tmp_path: Path) -> None:
    done = forked(PROGRAM, tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = (load_file(tmp_path / f"weights-{r}") for r in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    watch = Watch()
    alone = train(plan(tmp_path / "alone", recipe(batch_size=4)), [watch])
    for name, tensor in alone.weights.items():
        torch.testing.assert_close(first[name], tensor, rtol=1e-4, atol=1e-5)
    losses = [(tmp_path / f"losses-{rank}").read_text() for rank in (0, 1)]
    assert losses[0] == losses[1]
    assert torch.allclose(
        torch.tensor(json.loads(losses[0])), torch.tensor(watch.losses), rtol=1e-4
    )
    assert load_state(tmp_path / "state").progress.step == 12
    others = {"alone", "state"} | {f"{w}-{r}" for w in ("weights", "losses") for r in (0, 1)}
    assert {p.name for p in tmp_path.iterdir()} == others
