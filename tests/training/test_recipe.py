"""Recipes: every shipped one loads; what a recipe cannot mean is refused."""

import re
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hsisr.commands.options import TrainOptions
from hsisr.commands.training.train import chosen_recipe
from hsisr.errors import UsageError
from hsisr.models.dacn_equivariant import DacnEquivariant, EquivariantSize
from hsisr.training.loop import WeightAverage, rate_factor
from hsisr.training.recipe import Recipe, recipe_named, shipped_recipes
from hsisr.training.start import fresh_start, start_from
from hsisr.weights import load_weights, resolve, save_weights
from tests.conftest import PROJECT
from tests.networks import lively_equivariant


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_shipped_recipe_loads_and_says_what_it_is(name: str) -> None:
    recipe = recipe_named(name)
    assert recipe.name == name
    assert recipe.about
    assert Recipe.from_table(recipe.as_dict(), name) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz = 7", r"unknown key 'stepz'; did you mean 'steps'\? a recipe has name, about"),
        ("steps = 'many'", "steps is 'many', expected int, got str"),
        ("flips = 1", "flips is 1, expected bool, got int"),
        ("learning_rate = nan", "learning_rate is nan, expected float > 0"),
        ("angle = inf", "angle is inf, expected float <= 1e"),
        ("coarser = ['x']", r"coarser is \('x',\), expected float, got str"),
        ("distance = 'l7'", "distance is 'l7', expected 'l1' or 'mse'"),
        ("steps = 0", "steps is 0, expected at least 1 for random patches"),
        ("patience = -1", "patience is -1, expected int >= 0"),
        ("ema_decay = 1.0", "ema_decay is 1.0, expected float < 1.0"),
        ("batch_size = 99999999999999999999", "batch_size is 9+, expected int <= 65536"),
        ("coarser = [1]", r"coarser is \(1,\), expected float > 1"),
        ("validate_every = 0", "validate_every is 0, which needs grid patches"),
        ("patches = 'grid'\nsplit = 'whole'\nepochs = 1", "'whole' does not go with grid"),
        ("split = 'patches'", "split 'patches' does not go with random patches"),
        ("steps = ", "mine.toml: not TOML"),
    ],
)
def test_what_a_recipe_cannot_mean_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        recipe_named(str(path))


def test_unknown_recipes_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'best'; choose one of adapt, aerial, any, dacn-paper"):
        recipe_named("best")
    with pytest.raises(UsageError, match=r"none.toml: cannot be read \(No such file"):
        recipe_named(str(tmp_path / "none.toml"))


@settings(max_examples=50)
@given(step=st.integers(0, 500), progress=st.floats(0, 2), warmup=st.integers(0, 100))
def test_the_rate_stays_between_zero_and_one(step: int, progress: float, warmup: int) -> None:
    assert 0 < rate_factor(step, progress, warmup, "cosine") <= 1


def test_the_rate_rises_falls_and_ends_at_a_hundredth() -> None:
    assert rate_factor(0, 0, 9, "cosine") == 0.1
    assert rate_factor(9, 0, 9, "cosine") == 1
    assert rate_factor(100, 1, 9, "cosine") == 0.01
    assert rate_factor(100, 1, 9, "constant") == 1


def test_the_rate_has_risen_after_its_share_of_the_run_if_that_is_sooner() -> None:
    assert rate_factor(1, 0.01, 100, "constant", 0.02) == 0.5
    assert rate_factor(2, 0.02, 100, "constant", 0.02) == 1
    assert rate_factor(100, 0.001, 100, "constant", 0.02) == 1


def test_an_average_of_equal_states_is_that_state_and_shares_no_memory() -> None:
    state = {"w": torch.ones(2)}
    average = WeightAverage(state, 0.99)
    for updates in range(5):
        average.update(state, updates)
    state["w"].zero_()
    torch.testing.assert_close(average.tensors["w"], torch.ones(2))


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


@pytest.mark.parametrize("scale", [2, 4])
def test_weights_from_before_filters_stay_without(tmp_path: Path, scale: int) -> None:
    size = EquivariantSize(features=4, stages=1, blocks=1, heads=2, patterns=2)
    descriptor, network = DacnEquivariant.descriptor(2, size), lively_equivariant(2, size)
    known = {key: value for key, value in descriptor.hparams.items() if key != "filters"}
    path = save_weights(tmp_path / "old.safetensors", network, replace(descriptor, hparams=known))
    start = start_from(str(path), None, scale, recipe_named("aerial"), seed=0)
    assert start.descriptor.group_size == 32
    assert start.descriptor.hparams.get("filters", 0) == 0


def test_a_new_network_is_as_large_as_the_released_one() -> None:
    released = load_weights(resolve("dacn-equivariant-x4")).descriptor
    fresh = fresh_start("dacn-equivariant", 4, recipe_named("any"), 0).descriptor
    assert fresh == replace(released, wavelengths_nm=None)


COMMAND = re.compile(r"`hsisr train (.*? --init (dacn-equivariant-x\d-\d) .*?)`")


def test_the_commands_of_cards_begin_with_the_weights_they_name() -> None:
    cards = (PROJECT / "weights").glob("dacn-equivariant-*.md")
    commands = [found for card in cards for found in COMMAND.findall(card.read_text("utf-8"))]
    assert len(commands) > 5
    for words, init in commands:
        pairs = list(pairwise(shlex.split(words)))
        scale = int(dict(pairs).get("-s", 4))
        settings = tuple(value for key, value in pairs if key == "--set")
        options = TrainOptions(
            scenes=(Path("x.tif"),), recipe="aerial", init=init, settings=settings, scale=scale
        )
        start_from(init, None, scale, chosen_recipe(options), seed=0)
