"""Agreement with the observed scene: smooth, exact, in whole numbers, within limits."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hsisr.commands.upscale import upscale
from hsisr.engine.consistency import agree
from hsisr.engine.options import UpscaleOptions
from hsisr.models.interpolation import (
    KERNELS,
    area_average,
    back_project,
    back_projected,
    interpolate,
    repeat_pixels,
)
from tests.program import values_of
from tests.scenes import write_tif

BICUBIC = KERNELS["bicubic"]
SCALES = (2, 4, 8)


def noise(*shape: int, seed: int = 0, high: float = 100) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * high


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_rounds_on_the_lr_grid_equal_the_rounds_of_the_definition(scale: int, rounds: int) -> None:
    observed = noise(2, 9, 7)
    result = interpolate(observed, BICUBIC, scale)
    for _ in range(rounds):
        result = result + interpolate(observed - area_average(result, scale), BICUBIC, scale)
    short = interpolate(back_projected(observed, BICUBIC, scale, rounds), BICUBIC, scale)
    torch.testing.assert_close(short, result, rtol=1e-5, atol=1e-3)
    start = noise(2, 9 * scale, 7 * scale, seed=1)
    drawn = start
    for _ in range(rounds):
        drawn = drawn + interpolate(observed - area_average(drawn, scale), BICUBIC, scale)
    if rounds:
        torch.testing.assert_close(
            back_project(start, observed, BICUBIC, scale, rounds), drawn, rtol=1e-5, atol=1e-3
        )


@settings(max_examples=20)
@given(
    scale=st.sampled_from(SCALES),
    size=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 99),
)
def test_block_means_are_the_observed(scale: int, size: tuple[int, int, int], seed: int) -> None:
    observed = noise(*size, seed=seed)
    hr = noise(size[0], size[1] * scale, size[2] * scale, seed=seed + 1)
    fixed, held = agree(hr, observed, scale)
    torch.testing.assert_close(area_average(fixed, scale), observed, rtol=1e-5, atol=1e-4)
    assert held == 0


@settings(max_examples=30)
@given(
    scale=st.sampled_from(SCALES),
    seed=st.integers(0, 99),
    low=st.sampled_from([-torch.inf, -50.0, 0.0]),
    high=st.sampled_from([torch.inf, 300.0, 110.0]),
)
def test_whole_numbers_keep_sums_in_limits(scale: int, seed: int, low: float, high: float) -> None:
    observed = noise(2, 5, 4, seed=seed).round()
    hr = noise(2, 5 * scale, 4 * scale, seed=seed + 1, high=250) - 60
    exact, _ = agree(hr, observed, scale, limits=(low, high))
    whole, _ = agree(hr, observed, scale, limits=(low, high), whole=True)
    assert torch.equal(whole, whole.round())
    assert torch.equal(area_average(whole, scale), observed)
    assert float(whole.min()) >= low
    assert float(whole.max()) <= high
    assert float((whole - exact).abs().max()) < 1


@settings(max_examples=25)
@given(
    st.sampled_from(SCALES),
    st.tuples(*(st.integers(0, 12),) * 4),
    st.booleans(),
    st.sampled_from([float("inf"), 20_000]),
)
def test_a_part_agrees_as_it_does_in_the_whole(
    scale: int, place: tuple[int, int, int, int], whole: bool, most: float
) -> None:
    row, col, rows, cols = place
    observed = noise(1, 25, 25, high=20_000).round()
    hr = repeat_pixels(observed, scale) + noise(1, 25 * scale, 25 * scale, seed=1, high=9000)
    own = slice(row, row + rows + 1), slice(col, col + cols + 1)
    fine = tuple(slice(scale * side.start, scale * side.stop) for side in own)
    limits = 20_000 - most, most
    every, _ = agree(hr, observed, scale, whole=whole, limits=limits)
    part, _ = agree(hr[:, *fine], observed[:, *own], scale, whole=whole, limits=limits)
    assert torch.equal(part, every[:, *fine])


@pytest.mark.parametrize("whole", [False, True])
def test_no_value_falls_below_the_floor_of_its_band_and_none_is_counted(whole: bool) -> None:
    observed = torch.tensor([[[1.0, 4.0]], [[1.0, 4.0]]])
    hr = torch.tensor([[-5.0, 3.0, 2.0, 9.0], [1.0, 5.0, 1.0, 4.0]]).expand(2, 2, 4)
    fixed, held = agree(hr, observed, 2, floors=(0.0, -torch.inf), whole=whole)
    assert held == 0
    assert float(fixed[0].min()) >= 0
    assert float(fixed[1].min()) < -4
    torch.testing.assert_close(area_average(fixed, 2), observed)


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6, 3e4])
def test_dark_blocks_held_at_the_floor_keep_their_mean_whatever_the_unit(size: float) -> None:
    observed = size * noise(1, 20, 20, high=1) ** 8  # many nearly 0
    hr = size * (noise(1, 80, 80, seed=1, high=2) - 1)
    fixed, _ = agree(hr, observed, 4, floors=(0.0,))
    assert float(fixed.min()) >= 0
    error = (area_average(fixed.double(), 4) - observed).abs()
    assert bool((error <= 1e-3 * observed + 1e-6 * area_average(fixed, 4)).all())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (torch.int8, -128, 127),
        (torch.uint8, 0, 255),
        (torch.int16, -32768, 32767),
        (torch.uint16, 0, 65535),
        (torch.int32, -(2**24), 2**24),
        (torch.int32, 0, 2**24),
    ],
    ids=str,
)
def test_sums_are_exact_in_every_type(dtype: torch.dtype, low: int, high: int, scale: int) -> None:
    """Blocks whose mean lies a few counts inside an end, and everywhere between."""
    random = np.random.default_rng(scale)
    near = random.integers(0, 6, (3, 24, 24))
    within = random.integers(low, high, near.shape, endpoint=True)
    place = random.integers(0, 3, near.shape)
    seen = np.select([place == 0, place == 1], [low + near, high - near], within)
    wide = torch.float64 if dtype == torch.int32 else torch.float32
    observed = torch.from_numpy(seen).to(wide)
    spread = float(min(high - low, 500))
    hr = repeat_pixels(observed, scale) + noise(3, 24 * scale, 24 * scale, high=spread) - spread / 2
    limits = float(low), float(high)
    if dtype == torch.int32:
        limits = -(2.0**31) if low else 0.0, 2.0**31 - 1
    whole, _ = agree(hr.to(wide), observed, scale, limits=limits, whole=True, dtype=dtype)
    numbers = whole.numpy().astype(np.int64)
    sums = numbers.reshape(3, 24, scale, 24, scale).sum(axis=(2, 4))
    np.testing.assert_array_equal(sums, seen.astype(np.int64) * scale**2)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_sums_are_exact_though_a_number_is_avoided(scale: int) -> None:
    """Means around nodata, at 10 of 8 to 13, so that blocks lie close above, below and on it."""
    observed = torch.from_numpy(np.random.default_rng(scale).integers(8, 13, (2, 24, 24))).float()
    observed[observed == 10] = 11
    hr = repeat_pixels(observed, scale) + noise(2, 24 * scale, 24 * scale, high=2) - 1
    for limits in ((0.0, 255.0), (8.0, 12.0)):
        whole, held = agree(hr, observed, scale, limits=limits, whole=True, avoid=10.0)
        assert held > 0
        assert 10 not in whole
        sums = whole.reshape(2, 24, scale, 24, scale).sum(dim=(2, 4))
        torch.testing.assert_close(sums, observed * scale**2, rtol=0, atol=0)


@pytest.mark.parametrize("low", [0, -32768])
def test_only_numbers_that_the_type_cannot_hold_are_counted(low: int) -> None:
    """What the floor of the scene holds is no matter of the data type."""
    observed = torch.full((1, 1, 1), 2.0)
    hr = torch.tensor([[[-6.0, 8.0], [3.0, 3.0]]])
    _, held = agree(hr, observed, 2, limits=(low, 65535), floors=(0.0,), whole=True)
    assert held == 0
    _, held = agree(hr, observed, 2, limits=(low, 65535), floors=(-torch.inf,), whole=True)
    assert held == (1 if low == 0 else 0)
    bright = torch.tensor([[[65600.0, 65400.0], [65500.0, 65500.0]]])
    _, held = agree(bright, torch.full((1, 1, 1), 65500.0), 2, limits=(low, 65535), floors=(0.0,))
    assert held == 1


def test_flat_blocks_beyond_the_type_are_counted() -> None:
    observed = torch.tensor([[[300.0, 20.0, -5.0]]])
    _, held = agree(repeat_pixels(observed, 2), observed, 2, limits=(0.0, 255.0), whole=True)
    assert held == 8


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 3e38])
def test_what_cannot_agree_in_finite_numbers_is_an_error(bad: float, *, whole: bool) -> None:
    hr = torch.ones(2, 4, 4)
    hr[1, 2:, 2:] = bad  # four times 3e38 leave float32
    with pytest.raises(FloatingPointError, match="a value is not finite"):
        agree(hr, torch.ones(2, 2, 2), 2, limits=(0.0, 255.0), whole=whole)


Float32 = npt.NDArray[np.float32]


def cubic(lr: Float32, scale: int) -> Float32:
    """Cubic convolution, a = -0.5, centred."""
    rows, cols = (n * scale for n in lr.shape[1:])
    resized = [Image.fromarray(band).resize((cols, rows), Image.Resampling.BICUBIC) for band in lr]
    return np.stack([np.asarray(image) for image in resized])


def area(hr: Float32, scale: int) -> Float32:
    bands, rows, cols = hr.shape
    blocks = hr.reshape(bands, rows // scale, scale, cols // scale, scale)
    return np.asarray(blocks.mean((2, 4)), np.float32)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_it_is_bicubic_ten_rounds_and_a_constant(scale: int, tmp_path: Path) -> None:
    lr = np.random.default_rng(scale).normal(1000, 200, (2, 40, 34)).astype(np.float32)
    expected = cubic(lr, scale)
    for _ in range(10):
        expected = expected + cubic(lr - area(expected, scale), scale)
    expected = expected + np.kron(lr - area(expected, scale), np.ones((1, scale, scale)))
    options = UpscaleOptions(scale=scale, model="baseline", device="cpu")
    upscale(write_tif(tmp_path / "lr.tif", lr), tmp_path / "hr.tif", options)
    found = values_of(tmp_path / "hr.tif")
    np.testing.assert_allclose(area(found, scale), lr, rtol=1e-6)
    # at the sides Pillow leaves pixels outside out, where hsisr repeats the outermost ones
    inside = np.s_[:, 12 * scale : -12 * scale, 12 * scale : -12 * scale]
    np.testing.assert_allclose(found[inside], expected[inside], rtol=0, atol=1e-3)
