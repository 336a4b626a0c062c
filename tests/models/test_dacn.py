"""`dacn` against the published code: parameter counts, and outputs for weights made by formulas."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hsisr.models.dacn import Dacn
from hsisr.models.layers import Pooling
from tests.models.formulas import fill, formula_input, keras_weights


def filled(scale: int, pooling: Pooling) -> Dacn:
    network = Dacn.of(Dacn.descriptor(scale, pooling)).eval()
    fill(network, scale)
    return network


@pytest.mark.parametrize("pooling", ["paper", "notebook"])
@pytest.mark.parametrize(
    ("scale", "trainable", "moving"),
    [(2, 2_570_800, 960), (4, 4_594_736, 1_216), (8, 4_661_360, 1_248)],
)
def test_as_large_as_published(scale: int, trainable: int, moving: int, pooling: Pooling) -> None:
    network = Dacn.of(Dacn.descriptor(scale, pooling))
    assert sum(p.numel() for p in network.parameters()) == trainable
    statistics = [b for k, b in network.named_buffers() if "running" in k]
    assert sum(b.numel() for b in statistics) == moving


@pytest.mark.shared
@pytest.mark.parametrize("scale", [4, 8])
def test_the_notebook_variant_reproduces_the_published_code(scale: int, shared_data: Path) -> None:
    folder = shared_data.parent / "reference"
    reference = json.loads((folder / f"dacn_x{scale}.json").read_text(encoding="utf-8"))
    shapes = [tuple(weight["shape"]) for weight in reference["weights"]]
    assert [weight.shape for weight in keras_weights(scale)] == shapes
    rows, cols, _ = reference["input_shape_rows_cols_bands"]
    with torch.inference_mode():
        hr = filled(scale, "notebook")(formula_input(rows, cols))[0].permute(1, 2, 0)
    expected = np.load(folder / f"dacn_x{scale}_output.npy")
    np.testing.assert_allclose(hr[::6, ::6].numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("left_out", "fewer"),
    [
        ("self_attention", sum(4 * f * (f + 1) for f in (32, 64, 128))),
        ("channel_attention", sum(f * f + f // 2 + f for f in (32, 64, 128))),
    ],
)
def test_an_attention_can_be_left_out_alone(left_out: str, fewer: int) -> None:
    whole = Dacn.descriptor(2)
    network = Dacn.of(replace(whole, hparams={**whole.hparams, left_out: False})).train()
    counts = [sum(p.numel() for p in n.parameters()) for n in (Dacn.of(whole), network)]
    assert counts[0] - counts[1] == fewer
    network(torch.rand(2, 32, 5, 7)).square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())
