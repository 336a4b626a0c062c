"""Degradation: flat stays flat, nothing moves, invalid never leaks, strips equal the whole."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsisr.degradation import DEGRADATIONS, bicubic_taps, degradation_named, mtf
from hsisr.errors import InputDataError, UsageError

NAMES = sorted(DEGRADATIONS)
SCALES = (2, 3, 4, 8)


def noise(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(100, 30, shape).astype(np.float32)


def blob(size: int, row: float, col: float, sigma: float) -> npt.NDArray[np.float32]:
    """A Gaussian whose middle lies at (`row`, `col`), counted from the outer corner."""
    rows, cols = np.mgrid[:size, :size] + 0.5
    values = np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / (2 * sigma**2))
    return np.asarray(values[None], np.float32)


def middle(image: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Centre of mass, counted from the outer corner."""
    weights = image[0].astype(np.float64)
    rows, cols = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    return float((rows * weights).sum() / weights.sum()), float(
        (cols * weights).sum() / weights.sum()
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", SCALES)
def test_a_flat_scene_stays_flat(name: str, scale: int) -> None:
    flat = np.full((2, 2 * scale, 3 * scale), 1234.5, np.float32)
    np.testing.assert_allclose(DEGRADATIONS[name](flat, scale), 1234.5, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", SCALES)
def test_a_blob_does_not_move(name: str, scale: int) -> None:
    size, row, col = 32 * scale, 15.3 * scale, 16.8 * scale
    lr = DEGRADATIONS[name](blob(size, row, col, 2.0 * scale), scale)
    found = middle(lr)
    assert abs(found[0] * scale - row) < 0.01
    assert abs(found[1] * scale - col) < 0.01


@settings(max_examples=25)
@given(
    name=st.sampled_from(NAMES),
    scale=st.sampled_from(SCALES),
    lr_rows=st.integers(2, 9),
    lr_cols=st.integers(1, 5),
    cut=st.integers(1, 8),
    holes=st.booleans(),
)
def test_strips_equal_the_whole(
    name: str, scale: int, lr_rows: int, lr_cols: int, cut: int, holes: bool
) -> None:
    model, cut = DEGRADATIONS[name], min(cut, lr_rows - 1)
    hr = noise(1, lr_rows * scale, lr_cols * scale, seed=cut)
    valid = np.ones(hr.shape, np.bool_)
    if holes:
        valid = np.random.default_rng(cut).random(hr.shape) > 0.02
    whole, whole_mask = model.strip(hr, valid, scale)
    margin = model.margin(scale)
    parts, masks = [], []
    for first, last in ((0, cut * scale), (cut * scale, lr_rows * scale)):
        top, bottom = max(0, first - margin), min(hr.shape[1], last + margin)
        part, mask = model.strip(
            hr[:, top:bottom], valid[:, top:bottom], scale, above=first - top, below=bottom - last
        )
        parts.append(part)
        masks.append(mask)
    np.testing.assert_array_equal(np.concatenate(masks, axis=1), whole_mask)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_invalid_numbers_never_leak(name: str) -> None:
    hr = np.full((1, 32, 32), 7.0, np.float32)
    valid = np.random.default_rng(3).random(hr.shape) > 0.01
    hr[~valid] = np.nan
    values, mask = DEGRADATIONS[name].strip(hr, valid, 4)
    np.testing.assert_allclose(values[mask], 7.0, rtol=1e-5)
    np.testing.assert_array_equal(values[~mask], 0.0)
    np.testing.assert_array_equal(mask, valid.reshape(1, 8, 4, 8, 4).all(axis=(2, 4)))
    assert 0 < mask.sum() < mask.size


@settings(max_examples=30)
@given(scale=st.sampled_from((2, 4)), seed=st.integers(0, 10_000))
def test_bicubic_weights_of_a_valid_block_never_vanish(scale: int, seed: int) -> None:
    """Its negative lobes must not bring the sum of the remaining weights near zero."""
    rng = np.random.default_rng(seed)
    valid = rng.random((1, 8 * scale, 8 * scale)) < rng.random()
    valid[0, 4 * scale : 5 * scale, 4 * scale : 5 * scale] = True
    hr = np.where(valid, rng.random(valid.shape), 0).astype(np.float32)
    values, mask = DEGRADATIONS["bicubic"].strip(hr, valid, scale)
    assert mask[0, 4, 4]
    assert -1.0 < values[0, 4, 4] < 2.0


def test_area_is_the_mean_of_each_block() -> None:
    hr = noise(3, 24, 16)
    expected = hr.astype(np.float64).reshape(3, 6, 4, 4, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(DEGRADATIONS["area"](hr, 4), expected, rtol=1e-6)


def test_bicubic_has_the_weights_of_matlabs_imresize() -> None:
    # Keys' kernel (a = -0.5) at 7/4, 5/4, 3/4 and 1/4 pixels, halved: imresize(x, 0.5) inside
    half = [-0.01171875, -0.03515625, 0.11328125, 0.43359375]
    taps = bicubic_taps(2)
    np.testing.assert_allclose(taps[taps != 0], [*half, *half[::-1]], atol=1e-15)


def test_bicubic_equals_pytorchs_antialiased_cubic_inside() -> None:
    torch = pytest.importorskip("torch")
    hr = noise(2, 48, 40)
    there = torch.nn.functional.interpolate(
        torch.from_numpy(hr)[None], scale_factor=0.25, mode="bicubic", antialias=True
    )[0].numpy()
    here = DEGRADATIONS["bicubic"](hr, 4)
    np.testing.assert_allclose(here[:, 2:-2, 2:-2], there[:, 2:-2, 2:-2], rtol=1e-5)


@pytest.mark.parametrize("gain", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_mtf_has_its_gain_at_the_lr_nyquist_frequency(gain: float, scale: int) -> None:
    taps = mtf(gain).taps(scale)
    positions = np.arange(len(taps)) - (len(taps) - 1) / 2
    found = float((taps * np.cos(2 * np.pi * positions / (2 * scale))).sum())
    assert found == pytest.approx(gain, abs=2e-3)


def test_calls_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputDataError, match="7 x 8 pixels do not divide by scale 4"):
        DEGRADATIONS["area"](noise(1, 7, 8), 4)
    with pytest.raises(UsageError, match="--gain belongs to --method mtf, not to area"):
        degradation_named("area", 0.3)


@pytest.mark.parametrize("gain", [0.0, 1.0, -1.0, float("nan")])
def test_an_impossible_gain_is_refused(gain: float) -> None:
    with pytest.raises(UsageError, match="expected one between 0 and 1"):
        mtf(gain)
