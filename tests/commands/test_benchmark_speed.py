"""`benchmark --speed`: every row is there, ratios fit the figures they are made of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from hsisr.benchmark.options import SpeedOptions
from hsisr.benchmark.speed.plain import PlainDacn, StageClock, lively_dacn, upscaled_in_a_loop
from hsisr.benchmark.speed.run import benchmark_speed, write_smooth_scene
from hsisr.benchmark.speed.tile_speed import OURS, PLAIN
from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.weights import default_for

DEFAULT = default_for(2)
RELEASED = DEFAULT.name if DEFAULT else ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speed")


@pytest.fixture(scope="module")
def facts(place: Path) -> dict[str, Any]:
    how = SpeedOptions(smoke=True, device="cpu", threads=1, scales=(2,), out=place)
    return benchmark_speed(how)


def test_both_precisions_and_all_ways_are_rows(facts: dict[str, Any]) -> None:
    assert [part["precision"] for part in facts["tiles"]] == ["float32", "bfloat16"]
    for part in facts["tiles"]:
        assert [way["way"] for way in part["ways"]] == [
            OURS,
            PLAIN,
            "dacn, plain port, default layout",
            f"{RELEASED}, output as large",
            f"{RELEASED}, tile of upscale",
        ]
        assert part["difference"] < 1e-5


def test_rates_are_operations_by_seconds(facts: dict[str, Any]) -> None:
    for part in facts["tiles"]:
        assert part["attainable"] == max(part["products"].values())
        for way in part["ways"]:
            assert way["rate"] * way["seconds"] == pytest.approx(way["operations"])
            assert way["of_attainable"] == pytest.approx(way["rate"] / part["attainable"])
            per_million = way["seconds_per_million_fresh"]
            assert per_million == pytest.approx(way["seconds"] / way["fresh_values"] * 1e6)
            ratio = way["plain_takes_times"]
            assert ratio["least"] <= ratio["median"] <= ratio["most"]
            assert (ratio["median"] == 1) == (way["way"] == PLAIN)


def test_the_scene_is_upscaled_by_every_model_to_both_formats(facts: dict[str, Any]) -> None:
    found = [(row["way"], row["format"]) for row in facts["scenes"]]
    assert found == [
        ("dacn, plain loop", "GTiff"),
        ("dacn, random weights", "GTiff"),
        *((RELEASED, kind) for kind in ("GTiff", "ENVI")),
        *(("bicubic", kind) for kind in ("GTiff", "ENVI")),
    ]
    naive = facts["scenes"][0]["seconds"]
    for row in facts["scenes"]:
        assert row["naive_takes_times"] == pytest.approx(naive / row["seconds"])
        assert 0 < row["stages"]["network"] < row["seconds"]


def test_watching_the_stages_changes_no_number(tmp_path: Path) -> None:
    source = tmp_path / "scene.tif"
    write_smooth_scene(source, 5, 9, 8)
    clock = StageClock()
    how = UpscaleOptions(scale=2, model="bicubic")
    upscale(source, tmp_path / "plain.tif", how)
    upscale(source, tmp_path / "timed.tif", how, stitcher=clock.stitch)
    with rasterio.open(tmp_path / "plain.tif") as a, rasterio.open(tmp_path / "timed.tif") as b:
        np.testing.assert_array_equal(a.read(), b.read())
    assert all(seconds > 0 for seconds in clock.seconds.values())


def test_the_plain_loop_covers_every_band_and_pixel() -> None:
    network, descriptor = lively_dacn(2)
    small = replace(descriptor, tile_lr_px=4, overlap_lr_px=1)
    lr = np.random.default_rng(0).integers(0, 9, (40, 9, 6), np.uint16)
    plain = PlainDacn(network)
    plain.layers = torch.nn.Sequential(torch.nn.Upsample(scale_factor=2), torch.nn.Identity())
    plain.register_parameter("any", torch.nn.Parameter(torch.zeros(1)))
    hr = upscaled_in_a_loop(lr, plain, small, StageClock())
    np.testing.assert_array_equal(hr, lr.repeat(2, axis=1).repeat(2, axis=2))
