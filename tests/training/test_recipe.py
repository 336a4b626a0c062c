"""Recipes: every shipped one loads; what a recipe cannot mean is refused."""

from pathlib import Path

import pytest

from hsisr.errors import UsageError
from hsisr.training.recipe import Recipe, recipe_named, shipped_recipes


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
