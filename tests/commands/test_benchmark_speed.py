"""`benchmark --speed`: every row is there, ratios fit the figures they are made of."""

from typing import Any

import pytest

from hsisr.benchmark.options import SpeedOptions
from hsisr.benchmark.speed.run import benchmark_speed, speed_page
from hsisr.weights import default_for

DEFAULT = default_for(2)
RELEASED = DEFAULT.name if DEFAULT else ""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("speed")
    return benchmark_speed(SpeedOptions(smoke=True, device="cpu", threads=1, scales=(2,), out=out))


def test_a_tile_of_the_default_is_measured_in_both_precisions(facts: dict[str, Any]) -> None:
    rows = [(part["network"], part["precision"]) for part in facts["tiles"]]
    assert rows == [(RELEASED, "float32"), (RELEASED, "bfloat16")]
    for part in facts["tiles"]:
        ratio = part["trained_takes_times"]
        assert 0 < ratio["least"] <= ratio["median"] <= ratio["most"]
        assert ratio["median"] == pytest.approx(
            part["seconds"]["trained"] / part["seconds"]["hsisr"]
        )
        assert part["operations"] > 10**8


def test_a_scene_is_upscaled_by_every_model_to_both_formats(facts: dict[str, Any]) -> None:
    found = [(row["model"], row["format"]) for row in facts["scenes"]]
    models = (RELEASED, "bicubic")
    assert found == [(model, kind) for model in models for kind in ("GTiff", "ENVI")]
    assert all(row["seconds"] > 0 for row in facts["scenes"])


def test_the_page_has_a_row_for_each(facts: dict[str, Any]) -> None:
    page = speed_page(facts)
    assert page.count(f"| {RELEASED} |") == 4
    assert page.count("| x2 | bicubic |") == 2
