"""`evaluate` on files: with a reference, with an observed scene, with limits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hsisr.commands.degrade import degrade
from hsisr.commands.evaluation.evaluate import evaluate
from hsisr.commands.info import describe
from hsisr.commands.options import DegradeOptions, EvaluateOptions, PartOptions
from hsisr.degradation import DEGRADATIONS
from hsisr.errors import HsisrWarning, UsageError
from hsisr.io.open import open_scene
from tests.commands.files import NORTH_UP, counts, write_tif
from tests.metrics.pairs import score
from tests.scenes import TRANSFORM, UTM, write_geotiff


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A reference of 5 bands, one of them marked bad, and an estimate."""
    x = counts(5, 24, 20)
    reference = write_tif(tmp_path / "reference.tif", x, bad=(2,))
    estimate = write_tif(tmp_path / "estimate.tif", counts(5, 24, 20, seed=1))
    return reference, estimate


def test_files_score_like_the_arrays_in_them(pair: tuple[Path, Path]) -> None:
    live = [0, 1, 3, 4]
    x, y = (counts(5, 24, 20, seed)[live].astype(np.float32) for seed in (0, 1))
    report = evaluate(*pair, EvaluateOptions(scale=4))
    assert report.values == pytest.approx(score(x, y, scale=4).values)
    assert report.scores is not None
    assert report.scores.excluded == {2: "bad by the bad-band list"}


def test_invalid_pixels_of_either_file_are_left_out(tmp_path: Path) -> None:
    x, y = counts(3, 20, 20), counts(3, 20, 20, seed=1)
    x[:, :2], y[:, :, :3] = 0, 0
    files = (write_tif(tmp_path / "x.tif", x, nodata=0), write_tif(tmp_path / "y.tif", y, nodata=0))
    with pytest.warns(HsisrWarning, match=r"y\.tif has no data for 162 values \(15\.00%\)"):
        report = evaluate(*files)
    assert report.scores is not None
    assert report.scores.pixels == 18 * 17
    assert report.scores.lost == 3 * 18 * 3
    inner = np.s_[:, 2:, 3:]
    expected = score(x[inner].astype(np.float32), y[inner].astype(np.float32), scale=None)
    assert report.values == pytest.approx(expected.values, nan_ok=True)


def test_scaled_integers_and_reflectances_are_compared_as_physical_values(tmp_path: Path) -> None:
    stored = counts(3, 16, 16)
    reference = write_tif(tmp_path / "x.tif", stored, scale=1e-4)
    estimate = write_tif(tmp_path / "y.tif", (stored * 1e-4).astype(np.float32))
    report = evaluate(reference, estimate)
    assert report.numbers == "physical values"
    assert report.values["rmse"] < 1e-7


def test_an_observed_scene_gives_the_scale_and_the_agreement(tmp_path: Path) -> None:
    hr = counts(3, 24, 24).astype(np.float32)
    estimate = write_tif(tmp_path / "hr.tif", hr)
    lr = DEGRADATIONS["area"](hr, 4)
    observed = write_tif(tmp_path / "lr.tif", lr, transform=NORTH_UP @ NORTH_UP.scale(4))
    alone = evaluate(None, estimate, EvaluateOptions(observed=observed))
    assert alone.values["lr_max"] == 0
    assert alone.scores is None
    both = evaluate(estimate, estimate, EvaluateOptions(observed=observed))
    assert both.scale == 4
    assert both.values["ergas"] == 0


def test_limits_are_judged(pair: tuple[Path, Path]) -> None:
    options = EvaluateOptions(minimum=("mpsnr=30", "mssim=1"), maximum=("sam=5", "ergas=1"))
    report = evaluate(*pair, options)
    assert [str(limit) for limit in report.failed] == ["mssim >= 1", "ergas <= 1"]
    table = {row["figure"]: row["holds"] for row in report.as_dict()["thresholds"]}
    assert table == {"mpsnr": True, "mssim": False, "sam": True, "ergas": False}


def test_a_part_is_judged_described_and_degraded_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(100, 200, (4, 16, 16)).astype("f4")
    guess = truth + rng.normal(0, 2, truth.shape).astype("f4")
    whole, part = {}, {}
    for name, values in (("truth", truth), ("guess", guess)):
        where = tmp_path / f"{name}.tif", tmp_path / f"{name}_part.tif"
        whole[name] = write_geotiff(where[0], values, crs=UTM, transform=TRANSFORM)
        part[name] = write_geotiff(where[1], values[1:3, 4:, :12])
    how = EvaluateOptions(window=(4, 0, 12, 12), bands="2-3")
    found = evaluate(whole["truth"], whole["guess"], how)
    expected = evaluate(part["truth"], part["guess"])
    assert found.values == pytest.approx(expected.values, nan_ok=True)
    one = PartOptions(window=(4, 0, 12, 12), bands="2-3")
    assert describe(whole["truth"], one).metadata.shape == (2, 12, 12)
    some = DegradeOptions(scale=4, window=(4, 0, 12, 12), bands="2-3")
    made = degrade(whole["truth"], tmp_path / "lr.tif", some)
    assert made.output_shape == (2, 3, 3)
    with open_scene(made.output) as scene:
        blocks = truth[1:3, 4:, :12].reshape(2, 3, 4, 3, 4).mean(axis=(2, 4))
        np.testing.assert_allclose(scene.read().values, blocks, rtol=1e-5)
    with pytest.raises(UsageError, match="bbox fits all"):
        replace(how, observed=whole["truth"])


def test_numbers_in_another_unit_are_told(tmp_path: Path) -> None:
    values = counts(3, 8, 9)
    one = write_geotiff(tmp_path / "a.tif", values)
    other = write_geotiff(tmp_path / "b.tif", (values / 1e4).astype(np.float32))
    with pytest.warns(HsisrWarning, match=r"b\.tif are 0\.0001 times as large as the reference's"):
        evaluate(one, other)
