"""A network of one's own, from the module on the docs page to a row of the report."""

import json
import re
import shlex
import shutil
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hsisr
from hsisr.benchmark.scoring import Judging
from hsisr.benchmark.speed.cost import _child
from hsisr.benchmark.speed.network_cost import measured
from hsisr.errors import HsisrWarning, UsageError, WeightsError
from hsisr.models import registry
from hsisr.models.descriptor import ModelDescriptor
from hsisr.weights import load_weights
from tests.program import hsisr as program

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the module of the docs page; what it registers is forgotten after."""
    shutil.copy(DOCS / "examples/own_network.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_OWN", {})
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    return tmp_path


@pytest.mark.usefixtures("small_sample")
def test_the_commands_of_the_page_run_as_printed(
    own_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cost(task: dict[str, Any], what: str) -> dict[str, Any]:
        return _child(task, what) if "interpolation" in task else measured(task)

    # one way of judging is enough here, and one process that measures a cost
    monkeypatch.setattr("hsisr.benchmark.run.judgings", lambda *_: [Judging()])
    monkeypatch.setattr("hsisr.benchmark.speed.cost._child", cost)
    page = (DOCS / "src/how-to/own-network.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        name, *arguments = shlex.split(line)
        assert name == "hsisr"
        done = program(*arguments)
        assert done.exit_code == 0, f"{line}: {done.stderr}"
    report = json.loads((own_network / "report/report.json").read_text())
    assert "own_network:build" in json.dumps(report)
    assert "own_network:build" in (own_network / "report/report.html").read_text()
    assert hsisr.info("x2.tif").metadata.shape == (40, 96, 96)
    weights = own_network / "my-run/own_network-build-x2.safetensors"
    assert load_weights(weights).trained is True
    registry._OWN.clear()
    with pytest.raises(WeightsError, match="if you trust this code, name it: --model own_network"):
        load_weights(weights)


@pytest.mark.usefixtures("own_network")
def test_a_network_that_was_not_trained_warns() -> None:
    cube = np.random.default_rng(0).random((5, 8, 8), np.float32)
    with pytest.warns(HsisrWarning, match="own_network:build has not been trained"):
        finer = hsisr.upscale_array(cube, axes="brc", scale=2, model="own_network:build")
    assert finer.shape == (5, 16, 16)


def built(descriptor: ModelDescriptor) -> object:
    from torch import nn

    return nn.Upsample(scale_factor=descriptor.scale)


@pytest.mark.usefixtures("own_network")
def test_names_of_entry_points_and_wrong_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints([EntryPoint("theirs", f"{__name__}:built", "hsisr.models")])
    monkeypatch.setattr(registry, "entry_points", points.select)
    assert "theirs" in registry.known_networks()
    assert registry.descriptor_for("theirs", 4).group_size == 32
    with pytest.raises(WeightsError, match=r"forward cannot be called with \(lr, zero\)"):
        registry.build(registry.descriptor_for("theirs", 4))
    with pytest.raises(UsageError, match="dacn is a network of hsisr"):
        hsisr.register_model("dacn", built)  # type: ignore[arg-type]
    for wrong in ("nowhere:build", "own_network:nothing"):
        with pytest.raises(WeightsError, match=f"{wrong}: cannot be imported"):
            registry.is_own(wrong)
