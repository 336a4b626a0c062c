"""Scores: laws of every convention, then the values of published code."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import metrics as skimage_metrics

from hsisr.metrics.conventions import CONVENTIONS, FIGURES
from hsisr.metrics.figures import BandMoments, angles_deg
from hsisr.metrics.local import (
    GAUSSIAN_11,
    UNIFORM_7,
    UNIFORM_8,
    Kernel,
    LocalMean,
    quality_index,
    ssim_index,
)
from hsisr.metrics.report import Threshold, jsonable, scores_as_json
from tests.metrics.pairs import formula_pair, random_pair, score

NAMES = sorted(CONVENTIONS)
SKIMAGE: Any = skimage_metrics  # its functions have no types

# the published evaluation functions (TensorFlow, scikit-image) on the formula-made pair
PUBLISHED = {
    "dacn": {
        "mpsnr": 34.46026865641276,
        "mssim": 0.9647479852040609,
        "sam": 2.1119869550069175,
        "cc": 0.9933957681725061,
        "ergas": 0.9375152389208475,
        "rmse": 0.018949010719855625,
    },
    "dacn-whole": {
        "mpsnr": 34.78361892700195,
        "mssim": 0.9645268321037292,
        "sam": 2.0612106323242188,
        "cc": 0.9952655967295481,
        "ergas": 0.9964224100112915,
        "rmse": 0.018231363967061043,
    },
}


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_prediction_scores_perfectly(name: str) -> None:
    reference, _ = random_pair(5, 20, 18)
    found = score(reference, reference.copy(), convention=name).values
    assert found["mpsnr"] == math.inf
    assert found["mssim"] == pytest.approx(1, abs=1e-12)
    assert found["uiqi"] == pytest.approx(1, abs=1e-12)
    assert found["cc"] == pytest.approx(1, abs=1e-12)
    assert found["ergas"] == found["rmse"] == 0
    single = CONVENTIONS[name].single_precision
    assert found["sam"] == pytest.approx(0, abs=0.03 if single else 1e-5)


@settings(max_examples=20)
@given(
    name=st.sampled_from(NAMES),
    rows=st.integers(12, 40),
    cols=st.integers(12, 20),
    bands=st.integers(1, 4),
    strip=st.integers(1, 13),
    holes=st.booleans(),
)
def test_strips_of_any_height_give_the_same_scores(
    name: str, rows: int, cols: int, bands: int, strip: int, holes: bool
) -> None:
    reference, predicted = random_pair(bands, rows, cols, seed=rows)
    valid = np.ones(reference.shape, np.bool_)
    if holes:
        valid[:, rows // 2, cols // 2] = False
    whole = score(reference, predicted, valid, convention=name)
    cut = score(reference, predicted, valid, convention=name, strip=strip)
    assert cut.values == pytest.approx(whole.values, rel=1e-6, nan_ok=True)
    assert cut.pixels == whole.pixels


@pytest.mark.parametrize("name", NAMES)
def test_invalid_numbers_have_no_say(name: str) -> None:
    reference, predicted = random_pair(4, 24, 20)
    valid = np.random.default_rng(1).random(reference.shape) > 0.005
    spoiled_reference, spoiled = reference.copy(), predicted.copy()
    spoiled_reference[~valid] = -32768
    spoiled[~valid] = np.nan
    there = score(reference, predicted, valid, convention=name)
    here = score(spoiled_reference, spoiled, valid, convention=name)
    assert here.values == pytest.approx(there.values, rel=1e-12)
    assert here.pixels == int(valid.all(axis=0).sum())


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_band_changes_no_mean(name: str) -> None:
    reference, predicted = random_pair(3, 16, 16)
    there = score(reference, predicted, convention=name)
    with_dead = [np.insert(a, 1, 0, axis=0) for a in (reference, predicted)]
    valid = np.ones(with_dead[0].shape, np.bool_)
    valid[1] = False
    here = score(with_dead[0], with_dead[1], valid, convention=name)
    assert here.values == pytest.approx(there.values, rel=1e-6)
    assert here.excluded == {1: "no valid pixel in the reference"}
    assert [b.band for b in here.bands] == [0, 2, 3]


@pytest.mark.parametrize("name", ["hsisr", "sspsr", "mcnet"])
def test_gain_of_both_images_changes_only_figures_with_a_unit(name: str) -> None:
    reference, predicted = random_pair(3, 16, 16)
    there = score(reference, predicted, convention=name).values
    here = score(reference * 4, predicted * 4, convention=name).values
    for figure in FIGURES:
        gain = 4 if figure == "rmse" and name == "hsisr" else 1
        assert here[figure] == pytest.approx(gain * there[figure], rel=1e-6), figure


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_values_of_the_published_functions_are_met(name: str) -> None:
    reference, predicted = formula_pair()
    found = score(reference, predicted, convention=name, scale=4, strip=17).values
    for figure, value in PUBLISHED[name].items():
        assert found[figure] == pytest.approx(value, rel=0, abs=1e-6), figure


def test_psnr_and_ssim_equal_scikit_image() -> None:
    reference, predicted = random_pair(3, 30, 23)
    x, y = reference.astype(np.float64), predicted.astype(np.float64)
    found = score(reference, predicted)
    for band in found.bands:
        a, b = x[band.band], y[band.band]
        psnr = SKIMAGE.peak_signal_noise_ratio(a, b, data_range=x.max())
        ssim = SKIMAGE.structural_similarity(a, b, data_range=x.max() - x.min())
        assert band.psnr == pytest.approx(psnr, rel=1e-12)
        assert band.ssim == pytest.approx(ssim, rel=1e-12)
    assert found.values["mssim"] == pytest.approx(np.mean([b.ssim for b in found.bands]))


def test_zero_spectra_are_counted_and_left_out() -> None:
    reference, predicted = random_pair(3, 16, 16)
    there = score(reference[:, 1:], predicted[:, 1:])
    reference[:, 0] = 0
    found = score(reference, predicted)
    assert found.zero_spectra == 16
    assert found.pixels == 256
    assert found.values["sam"] == pytest.approx(there.values["sam"], rel=1e-9)


def test_without_a_scale_ergas_is_undefined_and_says_why() -> None:
    found = score(*random_pair(3, 16, 16), scale=None)
    assert math.isnan(found.values["ergas"])
    assert found.undefined == {"ergas": "the ratio of the pixel sizes is not known; give --scale"}


@settings(max_examples=20)
@given(count=st.integers(1, 500), centre=st.floats(-1e4, 1e4), seed=st.integers(0, 99))
def test_moments_do_not_depend_on_their_centre(count: int, centre: float, seed: int) -> None:
    reference, predicted = random_pair(2, 3, count + 2, seed)
    valid = np.ones(reference.shape, np.bool_)
    moments = BandMoments(np.full(2, centre))
    moments.add(reference, predicted, valid)
    x, y = (a.astype(np.float64).reshape(2, -1) for a in (reference, predicted))
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(moments.correlation, expected, rtol=1e-6)
    assert moments.cube_correlation == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1])
    np.testing.assert_allclose(moments.reference_mean, x.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(moments.mse, ((x - y) ** 2).mean(axis=1), rtol=1e-12)


@settings(max_examples=20)
@given(
    kernel=st.sampled_from((UNIFORM_7, UNIFORM_8, GAUSSIAN_11)),
    rows=st.integers(11, 25),
    cols=st.integers(11, 25),
    strip=st.integers(1, 25),
)
def test_local_means_are_convolutions(kernel: Kernel, rows: int, cols: int, strip: int) -> None:
    from scipy.signal import convolve2d  # loads much

    x, y = random_pair(1, rows, cols, seed=rows)
    local = LocalMean(1, kernel, lambda m: m.x_mean * m.y_variance)
    for row in range(0, rows, strip):
        part = np.s_[:, row : row + strip]
        local.add(x[part], y[part], np.ones(x[part].shape, np.bool_))
    window = np.outer(kernel.weights, kernel.weights)
    x_mean, y_mean, y_square = (
        convolve2d(a.astype(np.float64), window, mode="valid") for a in (x[0], y[0], y[0] ** 2.0)
    )
    y_square = convolve2d(y[0].astype(np.float64) ** 2, window, mode="valid")
    expected = np.mean(x_mean * kernel.covariance_factor * (y_square - y_mean**2))
    assert local.mean[0] == pytest.approx(expected, rel=1e-9)
    assert local.count[0] == (rows - kernel.size + 1) * (cols - kernel.size + 1)


def test_flat_windows_compare_their_means_and_invalid_ones_do_not_count() -> None:
    x, y = random_pair(1, 15, 15)
    valid = np.ones(x.shape, np.bool_)
    valid[0, 7, 7] = False
    local = LocalMean(1, UNIFORM_7, ssim_index(1.0))
    local.add(x, y, valid)
    assert local.count[0] == 9 * 9 - 7 * 7
    flat = np.full((1, 8, 8), 3.3, np.float32)
    for other, expected in ((flat, 1.0), (flat * 2, 0.8), (flat * 0, 0.0)):
        local = LocalMean(1, UNIFORM_8, quality_index)
        local.add(flat, other, np.ones(flat.shape, np.bool_))
        assert local.mean[0] == pytest.approx(expected, abs=1e-6)
    zero = LocalMean(1, UNIFORM_8, quality_index)
    zero.add(flat * 0, flat * 0, np.ones(flat.shape, np.bool_))
    assert zero.mean[0] == 1.0


@pytest.mark.parametrize(("angle", "x", "y"), [(90, (1, 0), (0, 2)), (180, (1, 1), (-1, -1))])
def test_angles_span_the_half_circle(angle: float, x: tuple[int, int], y: tuple[int, int]) -> None:
    pair = [np.array(v, np.float64).reshape(2, 1, 1) for v in (x, y)]
    assert angles_deg(*pair)[0, 0] == pytest.approx(angle)


def test_json_holds_infinity_as_text_and_undefined_as_null() -> None:
    reference, _ = random_pair(2, 6, 6)
    found = scores_as_json(score(reference, reference, scale=None), per_band=True)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["scores"]["mpsnr"] == "inf"
    assert found["scores"]["mssim"] is None
    assert found["per_band"][0]["band"] == 1
    assert jsonable(-math.inf) == "-inf"


def test_thresholds_are_inclusive_and_undefined_keeps_none() -> None:
    assert Threshold("mpsnr", 30, "min").holds({"mpsnr": 30})
    assert not Threshold("mpsnr", 30, "min").holds({"mpsnr": 29.9})
    assert Threshold("sam", 5, "max").holds({"sam": 5})
    assert not Threshold("sam", 5, "max").holds({"sam": math.nan})
    assert not Threshold("sam", 5, "max").holds({})
    assert str(Threshold("sam", 5, "max")) == "sam <= 5"
