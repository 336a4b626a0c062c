"""Where a run begins: parts that a recipe adds to weights, and weights of another scale."""

from pathlib import Path

import pytest
import torch

from hsisr.models.dacn_equivariant import DacnEquivariant, EquivariantSize
from hsisr.training.recipe import Recipe
from hsisr.training.start import start_from
from hsisr.weights import load_weights, save_weights
from tests.contracts.test_fast_forms import lively_equivariant


@pytest.mark.parametrize(("filters", "scale"), [(0, 2), (0, 4), (2, 4)])
def test_filters_that_are_new_are_fresh(tmp_path: Path, filters: int, scale: int) -> None:
    size = EquivariantSize(features=4, stages=1, blocks=1, heads=2, patterns=2, filters=filters)
    descriptor, network = DacnEquivariant.descriptor(2, size), lively_equivariant(2, size)
    path = save_weights(tmp_path / "before.safetensors", network, descriptor, card={})
    recipe = Recipe.from_table({"name": "more", "network": {"filters": 2}}, "a test")
    start = start_from(str(path), None, scale, recipe, seed=0)
    assert start.descriptor.hparams == {**descriptor.hparams, "filters": 2}
    old, new = load_weights(path).network.state_dict(), start.network.state_dict()
    fresh = ("filters.", "pixels.") if scale == 4 else ()
    for name, tensor in old.items():
        assert torch.equal(tensor, new[name]) or name.startswith(fresh)
    if scale == 2:
        lr = torch.randn(1, 32, 6, 7)
        with torch.no_grad():
            before, after = network(lr), start.network(lr)
        assert 0 < (after - before).std() < 0.05 * before.std()
