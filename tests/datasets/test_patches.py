"""Patches: LR is the area average of HR, nothing invalid or judging enters, seeds decide all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsisr.datasets.patches import (
    Augmentation,
    GridPatches,
    RandomPatches,
    cut_patch,
    grid_samples,
    turned,
)
from hsisr.datasets.splits import (
    PUBLISHED_TESTS,
    Split,
    held_out_split,
    overlap_px,
    patch_grid,
    patch_split,
    published_split,
    whole_split,
)
from hsisr.datasets.training_scenes import TrainingScene, area_average, coarser, scene_from_arrays
from hsisr.degradation import DEGRADATIONS
from hsisr.errors import InputDataError, UsageError
from hsisr.tiling import Window
from tests.training.small import texture


def scene(
    bands: int, rows: int, cols: int, scale: int, *, split: Split | None = None, gap: bool = False
) -> TrainingScene:
    values = texture(bands, rows, cols, seed=bands)
    valid = np.ones(values.shape, np.bool_)
    if gap:
        valid[:, : rows // 3, : cols // 2] = False
        values[~valid] = 1e30
    own = split or held_out_split(rows, cols, scale, 4)
    return scene_from_arrays(f"{bands} bands", values, valid, scale, own)


def patches(scenes: list[TrainingScene], scale: int, **changes: object) -> RandomPatches:
    table: dict[str, object] = {
        "scenes": scenes,
        "scale": scale,
        "group_size": 8,
        "crop_lr_px": 8,
        "seed": 3,
        "augmentation": Augmentation(band_steps=2),
    }
    return RandomPatches(**{**table, **changes})  # type: ignore[arg-type]


@settings(max_examples=20)
@given(
    scale=st.sampled_from([2, 4, 8]),
    bands=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    step=st.integers(0, 1000),
)
def test_any_mix_of_sensors_gives_pairs_that_agree(scale: int, bands: list[int], step: int) -> None:
    scenes = [scene(b, 12 * scale, 15 * scale + 3 * scale * i, scale) for i, b in enumerate(bands)]
    batch = patches(scenes, scale).batch(step, 0, 3)
    assert batch.hr.shape[:2] == (3, 8)
    assert batch.valid is None
    expected = np.stack([DEGRADATIONS["area"](hr, scale) for hr in batch.hr])
    np.testing.assert_allclose(batch.lr, expected, rtol=1e-5, atol=1e-6)


def test_patches_are_normalised_as_the_runner_does_on_the_lr_scene() -> None:
    whole = Split(training=(Window(0, 0, 32, 32),))
    one = scene(8, 32, 32, 2, split=whole)
    bands = [6, 1, 4]
    patch = cut_patch(one, Window(0, 0, 32, 32), bands, normalise=True)
    hr = patch.hr
    lr = area_average(hr, 2).astype(np.float64)
    np.testing.assert_allclose(lr.mean(axis=(1, 2)), 0, atol=1e-4)
    own = area_average(one.values, 2)
    spread = np.sqrt(own.var(axis=(1, 2)) + (0.01 * own.mean(axis=(1, 2))) ** 2)
    np.testing.assert_allclose(one.statistics.deviation, spread, rtol=1e-4)
    stored = hr * patch.deviation[:, None, None] + patch.mean[:, None, None]
    np.testing.assert_allclose(stored, one.values[bands], rtol=1e-4)


def test_a_batch_is_a_function_of_seed_and_step_and_its_parts_fit_together() -> None:
    scenes = [scene(40, 32, 32, 2), scene(5, 40, 30, 2)]
    whole = patches(scenes, 2).batch(7, 0, 4)
    parts = [patches(scenes, 2).batch(7, first, 2) for first in (0, 2)]
    np.testing.assert_array_equal(np.concatenate([p.hr for p in parts]), whole.hr)
    assert not np.array_equal(patches(scenes, 2).batch(8, 0, 4).hr, whole.hr)
    assert not np.array_equal(patches(scenes, 2, seed=4).batch(7, 0, 4).hr, whole.hr)


@pytest.mark.parametrize(
    "split",
    [
        held_out_split(48, 40, 2, 4),
        Split(training=(Window(8, 0, 40, 40),), validation=(Window(0, 0, 8, 40),)),
    ],
    ids=["below", "above"],
)
def test_no_judging_pixel_is_ever_taught(split: Split) -> None:
    one = scene(8, 48, 40, 2, split=split)
    strip = split.validation[0]
    one.values[:, strip.row : strip.row_end, strip.col : strip.col_end] = 1e9
    source = patches([one], 2)
    assert max(float(source.batch(step, 0, 4).hr.max()) for step in range(30)) < 1e3


def test_a_coarser_scene_holds_training_pixels_only() -> None:
    split = held_out_split(96, 40, 2, 4)
    one = scene(8, 96, 40, 2, split=split)
    strip = split.validation[0]
    one.values[:, strip.row : strip.row_end, strip.col : strip.col_end] = 1e9
    half = coarser(one, 2, 2)
    assert half is not None
    assert half.values[:, : half.split.training[0].row_end].max() < 1e4
    window = half.split.training[0]
    expected = area_average(one.values[:, : 2 * window.rows, : 2 * window.cols], 2)
    found = half.values[:, : window.rows, : window.cols]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert coarser(scene(8, 10, 10, 2), 8, 2) is None


def test_pixels_may_be_larger_by_a_fraction() -> None:
    one = scene(2, 24, 36, 2, gap=True, split=Split(training=(Window(0, 0, 24, 36),)))
    grown = coarser(one, 1.5, 2)
    assert grown is not None
    assert grown.values.shape == (2, 16, 24)
    assert one.valid is not None
    assert grown.valid is not None
    halves = one.values.repeat(2, axis=1).repeat(2, axis=2)  # 3 half pixels are 1.5 pixels
    expected = area_average(halves, 3)[:, grown.valid]
    np.testing.assert_allclose(grown.values[:, grown.valid], expected, rtol=1e-5)
    whole = one.valid.repeat(2, axis=0).repeat(2, axis=1).reshape(16, 3, 24, 3).all(axis=(1, 3))
    assert not (grown.valid & ~whole).any()
    assert grown.valid.any()


def test_gaps_are_masked_filled_and_avoided() -> None:
    one = scene(8, 48, 48, 2, gap=True)
    assert np.isfinite(one.values).all()
    assert one.values.max() < 1e4
    seen = [patches([one], 2).batch(step, 0, 4) for step in range(10)]
    masks = [b.valid for b in seen if b.valid is not None]
    assert masks
    assert all(m.shape == (4, 1, 16, 16) for m in masks)
    assert all(m.mean(axis=(1, 2, 3)).min() >= 0.5 for m in masks)


def test_bands_are_consecutive_every_second_or_reversed() -> None:
    ramp = np.arange(40, dtype=np.float32)[:, None, None] * np.ones((1, 32, 32), np.float32)
    ramp += np.linspace(0, 0.1, 32, dtype=np.float32)
    whole = Split(training=(Window(0, 0, 32, 32),))
    one = scene_from_arrays("ramp", ramp, np.ones(ramp.shape, np.bool_), 2, whole)
    source = patches([one], 2, normalise=False)
    found = set()
    for step in range(40):
        bands = source.batch(step, 0, 1).hr[0].mean(axis=(1, 2))
        found |= set(np.rint(np.diff(bands)).astype(int).tolist())
        assert len(set(np.rint(np.diff(bands)).tolist())) == 1
    assert found == {-2, -1, 1, 2}


def test_the_eight_orientations_are_different_and_square() -> None:
    patch = np.arange(9).reshape(1, 3, 3)
    assert len({turned(patch, turn).tobytes() for turn in range(8)}) == 8


def test_small_scenes_take_part_in_batches_of_their_size() -> None:
    whole = Split(training=(Window(0, 0, 10, 40),))
    scenes = [scene(8, 40, 40, 2), scene(9, 10, 40, 2, split=whole)]
    sizes = {patches(scenes, 2).batch(step, 0, 2).lr.shape[-1] for step in range(30)}
    assert sizes == {5, 8}


def test_an_epoch_of_the_grid_shows_every_sample_once() -> None:
    split = Split(training=(Window(0, 0, 16, 16), Window(16, 0, 16, 16), Window(0, 16, 8, 8)))
    samples = grid_samples(scene(20, 32, 32, 2, split=split), 8, 2)
    assert len({sample.bands for sample in samples}) == 3  # 0-7, 6-13, 12-19: the last is anchored
    assert samples[-1].bands[-1] == 19
    loose = grid_samples(scene(20, 32, 32, 2, split=split), 8, 2, anchored=False)
    assert {sample.bands[-1] for sample in loose} == {7, 13, 19}
    loose = grid_samples(scene(21, 32, 32, 2, split=split), 8, 2, anchored=False)
    assert {sample.bands[-1] for sample in loose} == {7, 13, 19}
    grid = GridPatches(samples=samples, scale=2, batch_size=4, seed=0)
    for epoch in range(2):
        steps = range(epoch * grid.steps_per_epoch, (epoch + 1) * grid.steps_per_epoch)
        shapes = [grid.batch(step, 0, 4).hr.shape for step in steps]
        assert sum(shape[0] for shape in shapes) == len(samples)
        assert all(shape[0] <= 4 for shape in shapes)
    seen = {grid.batch(s, 0, 4).hr.tobytes() for s in range(2 * grid.steps_per_epoch)}
    assert len(seen) > grid.steps_per_epoch  # another order in the second epoch


def test_few_bands_fill_a_group_there_and_back() -> None:
    samples = grid_samples(scene(3, 16, 16, 2), 8, 2)
    assert samples[0].bands == (0, 1, 2, 1, 0, 1, 2, 1)


sides = st.integers(8, 400)
scales = st.sampled_from([2, 4, 8])


def inside(split: Split, rows: int, cols: int) -> bool:
    windows = (*split.training, *split.validation, *split.test)
    return all(w.row >= 0 and w.col >= 0 for w in windows) and all(
        w.row_end <= rows and w.col_end <= cols for w in windows
    )


def whole_lr_pixels(split: Split, scale: int) -> bool:
    windows = (*split.training, *split.validation)
    return all(v % scale == 0 for w in windows for v in (w.row, w.col, w.rows, w.cols))


@settings(max_examples=60)
@given(rows=sides, cols=sides, scale=scales)
def test_a_held_out_strip_shares_no_pixel_with_training(rows: int, cols: int, scale: int) -> None:
    split = held_out_split(rows, cols, scale, 4)
    assert inside(split, rows, cols)
    assert whole_lr_pixels(split, scale)
    assert len(split.training) == 1
    assert all(overlap_px(v, split.training[0]) == 0 for v in split.validation)
    used = sum(w.rows * w.cols for w in (*split.training, *split.validation))
    assert used == (rows // scale * scale) * (cols // scale * scale)


@settings(max_examples=60)
@given(rows=sides, cols=sides, scale=scales, row=st.integers(0, 300), seed=st.integers(0, 9))
def test_patches_share_no_pixel(rows: int, cols: int, scale: int, row: int, seed: int) -> None:
    test = Window(row, 5, 10, 10)
    try:
        split = patch_split(rows, cols, scale, (test,), 48, seed=seed)
    except InputDataError:
        return  # the test window touches every patch
    assert split.leak_px == 0
    assert whole_lr_pixels(split, scale)
    windows = [*split.training, *split.validation]
    assert all(overlap_px(a, b) == 0 for i, a in enumerate(windows) for b in windows[:i])
    assert split.training


@pytest.mark.parametrize("name", sorted(PUBLISHED_TESTS))
def test_the_papers_recipe_without_leak_keeps_the_published_test_window(name: str) -> None:
    size, test = PUBLISHED_TESTS[name]
    split = patch_split(*size, 4, (test,))
    assert (split.test, split.leak_px) == ((test,), 0)
    assert split.validation


def test_impossible_splits_are_refused() -> None:
    with pytest.raises(InputDataError, match="found 3 x 9 pixels, expected at least 4 x 4"):
        whole_split(3, 9, 4)
    with pytest.raises(InputDataError, match="found 3 x 9 pixels, expected at least 4 x 4"):
        patch_grid(3, 9, 4)
    with pytest.raises(InputDataError, match="leaves the test window alone"):
        patch_split(100, 100, 4, (Window(0, 0, 9, 9),))
    with pytest.raises(UsageError, match="no published split for 'cave'"):
        published_split("cave", 512, 512, 4)
    with pytest.raises(InputDataError, match="found 600 x 340 pixels, expected 610 x 340"):
        published_split("paviau", 600, 340, 4)
