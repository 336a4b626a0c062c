"""The parts of scoring: angles, local windows, moments, thresholds, tables."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d

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
from tests.metrics.pairs import random_pair, score


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
def test_local_means_equal_those_of_a_convolution(
    kernel: Kernel, rows: int, cols: int, strip: int
) -> None:
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


def test_a_window_with_an_invalid_pixel_does_not_count() -> None:
    x, y = random_pair(1, 15, 15)
    valid = np.ones(x.shape, np.bool_)
    valid[0, 7, 7] = False
    local = LocalMean(1, UNIFORM_7, ssim_index(1.0))
    local.add(x, y, valid)
    assert local.count[0] == 9 * 9 - 7 * 7


def test_flat_windows_compare_their_means() -> None:
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
