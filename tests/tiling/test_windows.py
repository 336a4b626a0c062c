"""Windows cover an axis; tapers add up to one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsisr.errors import TilingError
from hsisr.tiling import Window, taper_weights, window_starts


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, int, int]:
    size = draw(st.integers(1, 40))
    return draw(st.integers(size, 300)), size, draw(st.integers(0, size - 1))


@given(axes())
def test_windows_cover_the_axis_and_share_the_overlap(axis: tuple[int, int, int]) -> None:
    length, size, overlap = axis
    starts = window_starts(length, size, overlap)
    assert {s + i for s in starts for i in range(size)} == set(range(length))
    assert list(starts) == sorted(set(starts))
    assert all(b - a <= size - overlap for a, b in pairwise(starts))


@given(axes(), st.sampled_from([1, 2, 4]))
def test_tapers_add_up_to_one_everywhere(axis: tuple[int, int, int], scale: int) -> None:
    length, size, overlap = axis
    starts = window_starts(length, size, overlap)
    total = np.zeros(length * scale)
    for start, weights in zip(
        starts, taper_weights(starts, size, length, scale=scale), strict=True
    ):
        assert (weights > 0).all()
        total[start * scale : (start + size) * scale] += weights
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_a_window_longer_than_the_axis_is_refused() -> None:
    with pytest.raises(TilingError, match="axis of 3 samples is shorter than one window of 4"):
        window_starts(3, size=4, overlap=0)


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (4, 4), (4, -1)])
def test_an_overlap_that_leaves_no_step_is_refused(size: int, overlap: int) -> None:
    with pytest.raises(TilingError, match="need 0 <= overlap < size"):
        window_starts(9, size=size, overlap=overlap)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9))
def test_scaling_a_window_keeps_its_ground(row: int, col: int, rows: int, cols: int) -> None:
    window = Window(row, col, rows, cols)
    fine = window.scaled(4)
    assert (fine.row / 4, fine.col / 4) == (row, col)
    assert (fine.row_end / 4, fine.col_end / 4) == (window.row_end, window.col_end)
