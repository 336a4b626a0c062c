"""`benchmark` as a Python function: what it compares, keeps, refuses and writes."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hsisr.benchmark import runs
from hsisr.benchmark.options import SpeedOptions
from hsisr.benchmark.run import BenchmarkOptions, BenchmarkResult, benchmark
from hsisr.benchmark.speed.run import benchmark_speed
from hsisr.commands.evaluation.wald import evaluate_by_wald
from hsisr.commands.options import TrainOptions, WaldOptions
from hsisr.commands.training.train import TrainResult, train
from hsisr.errors import HsisrError
from hsisr.weights.store import file_sha256
from tests.commands.test_train import smooth
from tests.networks import tiny_weights, write_catalogue
from tests.program import warned
from tests.scenes import write_tif

SMALL = (
    *("edsr:network.width=8", "edsr:network.blocks=1", "steps=2", "validate_every=2"),
    *("batch_size=2", "crop_lr_px=8", "precision=float32"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("benchmark")
    write_tif(place / "teaches.tif", smooth(36, 48, 40))
    write_tif(place / "judges.tif", smooth(34, 24, 20, seed=7))
    return place


def options(folder: Path, **changes: object) -> BenchmarkOptions:
    table: dict[str, Any] = {
        "methods": ("edsr",),
        "train": (folder / "teaches.tif",),
        "scenes": (folder / "judges.tif",),
        "scales": (2,),
        "seeds": 2,
        "settings": SMALL,
        "batches": (),
        "rates": (1e-3,),
        "blurs": ("area",),
        "out": folder / "report",
        "device": "cpu",
        "command": "hsisr benchmark --scenes judges.tif",
    }
    return BenchmarkOptions(**{**table, **changes})


@pytest.fixture(scope="module")
def done(folder: Path) -> BenchmarkResult:
    return benchmark(options(folder))


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch, no_curve: None) -> None:  # noqa: ARG001
    """The page, whose drawings take longest, is an empty file."""
    monkeypatch.setattr("hsisr.benchmark.report.write_page", lambda path, *_: path.touch())


def never(options: TrainOptions, **_: object) -> TrainResult:
    raise HsisrError(f"trained {options.seed}")


def headline(result: BenchmarkResult) -> list[dict[str, Any]]:
    """Scores at the end of the budget, with agreement."""
    return [row for row in result.facts["scores"] if row["agreement"] and row["share"] == 1]


def test_every_method_seed_scene_and_way_is_a_row(done: BenchmarkResult) -> None:
    assert done.failures == []
    with (done.out / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(r["scene"], r["kind"], r["blur"]) for r in rows} == {
        ("judges.tif", "remote sensing", "area")
    }
    found = [(r["method"], r["seed"], r["agreement"], r["share"][:4]) for r in rows]
    ends = [("True", "1.0"), ("False", "1.0")]
    on_the_way = [("True", "0.08"), ("True", "0.25"), ("True", "0.5")]
    assert found == [
        *(("bicubic", "0", *way) for way in ends),
        *(("edsr", seed, *way) for seed in "01" for way in (*ends, *on_the_way)),
    ]


def test_scores_are_those_of_evaluate(folder: Path, done: BenchmarkResult) -> None:
    training = done.facts["trainings"][1]
    model = str(done.out / "cells" / training["weights"])
    how = WaldOptions(scale=2, model=model, device="cpu")
    judged = evaluate_by_wald(folder / "judges.tif", how)
    baseline, _, second = (row["figures"] for row in headline(done))
    assert second["hsisr"] == pytest.approx(dict(judged.scores.values))
    assert baseline["hsisr"] == pytest.approx(dict(judged.baseline.values))
    plain = next(row for row in done.facts["scores"] if not row["agreement"])
    assert plain["figures"]["hsisr"] == pytest.approx(dict(judged.plain.values))
    papers = evaluate_by_wald(folder / "judges.tif", replace(how, convention="dacn"))
    assert second["dacn"] == pytest.approx(dict(papers.scores.values))


@pytest.mark.usefixtures("no_page")
def test_the_rate_is_the_best_of_a_sweep_on_training_scenes(folder: Path, tmp_path: Path) -> None:
    own = options(folder, seeds=1, rates=(1e-3, 1e-30), out=tmp_path / "report")
    result = benchmark(own)
    (swept,) = (tmp_path / "report" / "cells" / "sweep").glob("*.json")
    scores = json.loads(swept.read_text())["facts"]["validation_db"]
    assert scores["0.001"] != scores["1e-30"]  # that of the start
    best = max(scores, key=lambda rate: scores[rate])
    assert f"learning_rate={best}" in result.facts["trainings"][0]["settings"]


def test_the_page_loads_nothing_from_outside(done: BenchmarkResult) -> None:
    text = done.page.read_text()
    assert not re.findall(r"""(?:src|srcset|href)=["'](?!data:|#)[^"']*|url\(|@import""", text)
    assert text.count("data:image/png;base64,") >= 8
    anchors = set(re.findall(r'href="#([^"]+)"', text))
    assert anchors <= set(re.findall(r'id="([^"]+)"', text))


@pytest.mark.usefixtures("no_page")
def test_done_once(folder: Path, done: BenchmarkResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "train", never)
    again = benchmark(options(folder, resume=True))
    assert again.failures == []
    assert again.facts["scores"] == done.facts["scores"]


@pytest.mark.usefixtures("no_page")
def test_a_method_that_fails_is_written_down_and_the_others_go_on(
    folder: Path, done: BenchmarkResult, tmp_path: Path
) -> None:
    bad = (*SMALL, "dacn-any:network.width=0")
    methods = ("dacn-any", "edsr")
    out = tmp_path / "report"
    result = benchmark(options(folder, methods=methods, settings=bad, seeds=1, out=out))
    assert [failure["method"] for failure in result.failures] == ["dacn-any"]
    assert {row["method"] for row in result.facts["scores"]} == {"bicubic", "edsr"}
    assert "training scenes-dacn-any-x2-seed0" in (out / "report.md").read_text()
    one, other = (headline(made)[1]["figures"]["hsisr"] for made in (result, done))
    assert one == pytest.approx(other)


@pytest.mark.usefixtures("no_page")
def test_a_stopped_training_reports_nothing_and_goes_on_later(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TrainOptions] = []
    stop = True

    def watched(options: TrainOptions, **more: Any) -> TrainResult:
        asked.append(options)
        result = train(options, **more)
        return replace(result, weights=None, ending="stopped", signal=2) if stop else result

    monkeypatch.setattr(runs, "train", watched)
    own = options(folder, seeds=1, out=tmp_path / "report")
    result = benchmark(own)
    assert (result.signal, result.facts) == (2, {})
    assert not result.page.exists()
    stop = False
    assert benchmark(replace(own, resume=True)).failures == []
    assert [one.resume for one in asked] == [False, True]


DEFAULT = "small-x2"


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is measured where a small network is the default."""
    out = tmp_path_factory.mktemp("speed")
    file = tiny_weights(out, tile_lr_px=8, overlap_lr_px=2)
    row = {"name": DEFAULT, "file": file.name, "sha256": file_sha256(file), "card": "none.md"}
    write_catalogue(out, {**row, "scale": 2, "default": True})
    how = SpeedOptions(smoke=True, device="cpu", threads=1, scales=(2,), out=out)
    with pytest.MonkeyPatch.context() as patch, warned():
        patch.setattr("hsisr.weights.released_folder", lambda: out)
        patch.setattr("hsisr.benchmark.speed.run.automatic_precision", lambda _: "bfloat16")
        return benchmark_speed(how)


def test_a_tile_of_the_default_is_measured_in_float32_and_in_what_auto_takes(
    facts: dict[str, Any],
) -> None:
    rows = [(part["network"], part["precision"]) for part in facts["tiles"]]
    assert rows == [(DEFAULT, "float32"), (DEFAULT, "bfloat16")]
    for part in facts["tiles"]:
        ratio = part["trained_takes_times"]
        assert 0 < ratio["least"] <= ratio["median"] <= ratio["most"]
        assert ratio["median"] == pytest.approx(
            part["seconds"]["trained"] / part["seconds"]["hsisr"]
        )
        assert part["operations"] > 10**6


def test_a_scene_is_upscaled_by_every_model_to_both_formats(facts: dict[str, Any]) -> None:
    found = [(row["model"], row["format"]) for row in facts["scenes"]]
    models = (DEFAULT, "bicubic")
    assert found == [(model, kind) for model in models for kind in ("GTiff", "ENVI")]
    assert all(row["seconds"] > 0 for row in facts["scenes"])
