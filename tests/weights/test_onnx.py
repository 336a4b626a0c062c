"""Networks as ONNX files: the numbers of PyTorch at any size, and the loop of the docs page."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hsisr.models.dacn_equivariant import DacnEquivariant, EquivariantSize
from hsisr.weights import load_weights, save_weights
from tests.networks import lively_equivariant, tiny_weights
from tests.program import hsisr as program
from tests.program import ran

pytestmark = [
    pytest.mark.slow,  # torch's exporter takes minutes
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
PAGE = Path(__file__).parents[2] / "docs/src/how-to/onnx.md"


@pytest.fixture(scope="module")
def onnxruntime() -> Any:
    """Takes seconds to load, as what writes ONNX does."""
    pytest.importorskip("onnxscript")
    return pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, onnxruntime: Any) -> Path:  # noqa: ARG001
    """A small network, as weights and as ONNX."""
    path = tiny_weights(tmp_path_factory.mktemp("onnx"), group_size=6, group_overlap=2)
    done = program("weights", "export", path, "-o", path.with_suffix(".onnx"))
    assert done.exit_code == 0, done.stderr
    assert "largest difference from PyTorch" in done.stderr
    return path.with_suffix(".onnx")


def test_it_gives_the_numbers_of_pytorch_at_any_size(exported: Path, onnxruntime: Any) -> None:
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    weights = load_weights(exported.with_suffix(".safetensors"))
    for shape in ((1, 6, 1, 1), (3, 6, 5, 31)):
        lr, zero = torch.randn(shape), torch.randn(1, 6, 1, 1)
        with torch.inference_mode():
            expected = weights.network(lr, zero).numpy()
        [hr] = session.run(None, {"lr": lr.numpy(), "zero": zero.numpy()})
        np.testing.assert_allclose(hr, expected, atol=1e-4)
    facts = json.loads(session.get_modelmeta().custom_metadata_map["hsisr"])
    assert facts["descriptor"]["scale"] == 2
    assert facts["card"] == {"by": "a test"}


def test_the_default_network_gives_the_numbers_of_pytorch_too(
    tmp_path: Path, onnxruntime: Any
) -> None:
    size = EquivariantSize(features=4, stages=1, blocks=1, heads=2, patterns=2, filters=2)
    descriptor, network = DacnEquivariant.descriptor(2, size), lively_equivariant(2, size)
    path = save_weights(tmp_path / "turning.safetensors", network, descriptor, card={})
    done = program("weights", "export", path, "-o", path.with_suffix(".onnx"))
    assert done.exit_code == 0, done.stderr
    session = onnxruntime.InferenceSession(
        str(path.with_suffix(".onnx")), providers=["CPUExecutionProvider"]
    )
    for shape in ((1, 32, 8, 9), (2, 32, 20, 11)):
        lr, zero = torch.randn(shape), torch.randn(1, 32, 1, 1)
        with torch.inference_mode():
            expected = network(lr, zero).numpy()
        [hr] = session.run(None, {"lr": lr.numpy(), "zero": zero.numpy()})
        np.testing.assert_allclose(hr, expected, atol=1e-4)


def test_the_loop_of_the_page_runs_without_pytorch(exported: Path, tmp_path: Path) -> None:
    [loop] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert "torch" not in loop.replace("PyTorch", "")
    cube = 100 + np.random.default_rng(0).random((15, 9, 7))
    np.save(tmp_path / "cube.npy", cube)
    files = exported, tmp_path / "cube.npy", tmp_path / "finer.npy"
    done = ran(loop, *files)
    assert done.stdout == "(15, 18, 14)\n", done.stderr
    finer = np.load(tmp_path / "finer.npy")
    means = finer.reshape(15, 9, 2, 7, 2).mean((2, 4))
    np.testing.assert_allclose(means, cube, atol=0.01)  # that is what dacn-any promises


def test_what_stands_there_stays_and_wrong_suffixes_are_refused(exported: Path) -> None:
    weights = exported.with_suffix(".safetensors")
    assert program("weights", "export", weights, "-o", exported).exit_code == 1
    done = program("weights", "export", weights, "-o", exported.with_suffix(".pb"))
    assert done.exit_code == 2
    assert "name the output *.onnx" in done.stderr
