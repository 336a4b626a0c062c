"""Splits: what judges is never taught, save where the published split does so."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from hsisr.errors import InputDataError, UsageError
from hsisr.tiling import Window

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
def test_patches_share_no_pixel_with_each_other_or_the_test(
    rows: int, cols: int, scale: int, row: int, seed: int
) -> None:
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


def test_the_published_split_of_pavia_centre_leaks_56_of_144_rows() -> None:
    split = published_split("paviac", 1096, 715, 4)
    assert (len(split.training), split.leak_px, split.test_px) == (28, 56 * 144, 144 * 144)


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
