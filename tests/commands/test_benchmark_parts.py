"""The parts of a comparison: methods, courses, published figures, tables, cost, maps."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hsisr.benchmark.methods import AUTHORS, all_methods, method_named
from hsisr.benchmark.options import BenchmarkOptions
from hsisr.benchmark.runs import Run, recipe_of, train_options
from hsisr.benchmark.scoring import Judging, score_cell
from hsisr.benchmark.speed.network_cost import measured
from hsisr.benchmark.splits import TrainTestSplit, courses, leaks
from hsisr.benchmark.summary import Spread, figures_over_seeds, pairs, summaries
from hsisr.datasets.splits import overlap_px
from hsisr.errors import UsageError
from hsisr.models import dacn
from hsisr.models.literature.linear import fitted_linear
from hsisr.models.registry import ARCHITECTURES, build, descriptor_for
from hsisr.tiling import Window
from hsisr.training.start import described
from tests.scenes import counts, write_tif

SCENES = BenchmarkOptions(scenes=(Path("a.tif"),), train=(Path("b.tif"),))


def run_of(method: str, scale: int = 4, dataset: str | None = None) -> Run:
    course = TrainTestSplit(
        name=dataset or "scenes", train=(Path("b.tif"),), judges=(Path("a.tif"),), dataset=dataset
    )
    return Run(method=method_named(method), course=course, scale=scale, seed=0, bands=103)


@pytest.mark.parametrize("name", [n for n, m in all_methods().items() if m.arch is not None])
def test_the_common_recipe_trains_every_network_alike(name: str) -> None:
    recipe = recipe_of(run_of(name), SCENES)
    plain = recipe_of(run_of("edsr"), SCENES)
    own = ("spatial", "spectral") if "custom-loss" in name else ()
    own = (*own, "group_size", "network")
    assert replace(recipe, **{key: getattr(plain, key) for key in own}) == plain
    assert (recipe.normalisation, recipe.split, recipe.warmup_share) == ("band", "whole", 0.02)
    assert (recipe.distance, recipe.loss_unit, recipe.weight_penalty) == ("l1", "normalised", 0)
    descriptor = described(str(method_named(name).arch), 4, recipe)
    assert descriptor.normalisation == "band"


def test_the_registry_is_all_in_it_and_losses_name_networks_that_exist() -> None:
    assert set(ARCHITECTURES) <= set(all_methods())
    assert set(AUTHORS) <= set(ARCHITECTURES)
    authors = replace(SCENES, recipe="authors")
    for name, method in all_methods().items():
        if method.arch is not None:
            recipe_of(run_of(name), authors)  # every setting is one of recipes
    with pytest.raises(UsageError, match="no method 'edsrr'; did you mean 'edsr'"):
        method_named("edsrr")


def test_nodata_goes_to_training_and_scoring_and_makes_other_cells(tmp_path: Path) -> None:
    run = run_of("edsr")
    judge = tmp_path / "a.tif"
    judge.write_bytes(b"")
    plain, named = SCENES, replace(SCENES, nodata="-9999")
    assert train_options(run, named, Path("out")).nodata == "-9999"
    cells = [score_cell(run, "0", judge, Judging(), o, shown=False) for o in (plain, named)]
    assert "nodata" not in cells[0].fingerprint  # as reports of earlier versions have it
    assert cells[1].fingerprint["nodata"] == "-9999"


def test_the_published_protocol_is_the_notebooks() -> None:
    published_one = BenchmarkOptions(datasets=("paviau",), protocol="dacn-published")
    recipe = recipe_of(run_of("dacn", 4, "paviau"), published_one)
    assert (recipe.split, recipe.batch_size, recipe.spectral) == ("published", 8, 0.0)
    assert recipe_of(run_of("dacn", 2, "paviau"), published_one).batch_size == 4
    assert recipe_of(run_of("edsr", 4, "paviau"), published_one).distance == "l1"
    asked = train_options(run_of("dacn", 4, "paviau"), published_one, Path("out"))
    assert (asked.dataset, asked.scenes) == ("paviau", ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scales": (3,)}, "scales 3: expected 2, 4 or 8"),
        ({"seeds": 0}, "seeds 0: expected at least 1"),
        ({"own_seeds": {"esdr": 2}}, "no method 'esdr'; did you mean 'edsr'"),
        ({"budget": float("nan")}, "budget nan: expected more than 0 minutes"),
        ({"protocol": "fair"}, "protocol 'fair': expected disjoint or dacn-published"),
        ({"protocol": "dacn-published"}, "needs --dataset paviau or paviac"),
        ({"smoke": True}, "--smoke brings its own scene"),
        ({"weights": ("dacn",)}, "--weights dacn: expected METHOD=FILE"),
        ({"resume": True, "overwrite": True}, "found --resume and --overwrite"),
        ({"recipe": "own"}, "recipe 'own': expected common or authors"),
        ({"rates": ()}, "rates .*: expected numbers above 0"),
        ({"blurs": ("box",)}, "box"),
    ],
)
def test_options_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SCENES, **changes)  # type: ignore[arg-type]


def test_a_scene_never_teaches_and_judges(tmp_path: Path) -> None:
    one = write_tif(tmp_path / "one.tif", counts(4, 16, 16))
    copy = tmp_path / "copy.tif"
    shutil.copy(one, copy)
    for other in (one, copy, tmp_path):
        own = BenchmarkOptions(scenes=(one,), train=(other,))
        with pytest.raises(UsageError, match="they are the same; leave one out"):
            courses(own, tmp_path / "parts")


def test_scenes_that_judge_have_names_of_their_own(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "one.tif" for folder in "ab"]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        write_tif(path, counts(4, 16, 16) + number)
    for judges in (paths, paths[:1] * 2):
        own = BenchmarkOptions(scenes=tuple(judges))
        with pytest.raises(UsageError, match="to judge by, expected scenes of different names"):
            courses(own, tmp_path / "parts")


def test_the_leak_is_what_the_windows_share() -> None:
    for leak in leaks():
        test = Window(*leak["test"])
        shared = sum(overlap_px(test, Window(*w)) for w in leak["training"])  # disjoint patches
        assert leak["leak_px"] == shared
    assert [leak["leak_px"] for leak in leaks()] == [0, 56 * 144]  # of Pavia Centre


def score(method: str, scene: str, mpsnr: float | str, seed: int = 0, **way: object) -> Any:
    """One row of scores; without more words as the headline has them."""
    figures = {
        "mpsnr": mpsnr,
        **dict.fromkeys(("sam", "mssim", "cc", "ergas", "rmse", "uiqi"), 1.0),
    }
    place = {"course": "c", "method": method, "scale": 2, "seed": seed, "scene": scene}
    usual = {"kind": "remote sensing", "blur": "area", "agreement": True, "share": 1.0}
    return {**place, **usual, **way, "figures": {"hsisr": figures}}


def test_a_seed_that_lacks_a_scene_does_not_count() -> None:
    rows = [score("m", "a", 30.0), score("m", "b", 32.0), score("m", "a", 50.0, 1)]
    found = figures_over_seeds(rows, "hsisr")["c", "m", 2]
    assert found["mpsnr"] == Spread(31.0, None, 1)
    infinite = figures_over_seeds([score("m", "a", "inf"), score("m", "b", 1.0)], "hsisr")
    assert "mpsnr" not in infinite["c", "m", 2]
    assert infinite["c", "m", 2]["sam"].mean == 1.0


def test_gains_are_over_bicubic_that_agrees_and_kinds_stand_apart() -> None:
    rows = [
        score("bicubic", "a", 30.0),
        score("bicubic", "a", 29.0, agreement=False),
        score("m", "a", 30.5),
        score("m", "a", 29.75, agreement=False),
        score("bicubic", "i", 40.0, kind="indoor"),
        score("m", "i", 43.0, kind="indoor"),
    ]
    gains = {
        (row["kind"], row["agreement"]): row["gain_db"]
        for row in summaries(rows, "hsisr")
        if row["method"] == "m"
    }
    assert gains == {
        ("remote sensing", True): 0.5,
        ("remote sensing", False): -0.25,
        ("indoor", True): 3.0,
    }


def test_pairs_are_compared_scene_by_scene() -> None:
    rows = [
        score(method, f"s{n}", 20.0 + 5 * n + gain + noise * (-1) ** n)
        for method, gain, noise in (("bicubic", 0, 0), ("better", 0.2, 0.02), ("alike", 0, 0.1))
        for n in range(8)
    ]
    found = {tuple(row["methods"]): row for row in pairs(rows)}
    assert found["bicubic", "better"]["mean_db"] == pytest.approx(-0.2)
    assert found["bicubic", "better"]["excludes_zero"]  # though scenes differ by 35 dB
    assert not found["bicubic", "alike"]["excludes_zero"]
    low, high = found["bicubic", "better"]["interval_db"]
    assert -0.22 < low < -0.2 < high < -0.18


@torch.no_grad()
def test_the_linear_upsampler_finds_the_filters_that_made_its_pairs() -> None:
    descriptor = descriptor_for("linear", 2)
    made, rng = build(descriptor), np.random.default_rng(0)
    lr = rng.normal(size=(8, 32, 12, 12)).astype(np.float32)
    hr = made(torch.from_numpy(lr)).numpy()
    found = fitted_linear(descriptor, [(lr, hr)])
    own, expected = (network.state_dict()["output.weight"] for network in (found, made))
    torch.testing.assert_close(own, expected, rtol=0, atol=1e-3)


def test_the_cost_of_dacn_is_as_published() -> None:
    """31.0 GFLOP for a tile of 144 x 144 x 32, without the two products inside attention."""
    task = {"descriptor": json.loads(json.dumps(asdict(dacn.Dacn.descriptor(4))))}
    found = measured({**task, "batch": 1, "device": "cpu", "threads": None})
    assert found["parameters"] == 4_594_736
    attention = 4 * 36**4 * (32 + 64 + 128)
    assert (found["flops"] - attention) / 1e9 == pytest.approx(31.0, abs=0.05)
    assert found["fresh_values"] == 24 * (27 * 4) ** 2
    assert found["peak_bytes"] >= found["base_bytes"] > 0
    assert found["seconds"] > 0
