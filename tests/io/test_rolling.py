"""A scene read from top to bottom: the same numbers, and no row read twice."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsisr.io.views import RowCache, rows_at_once
from hsisr.tiling import Window
from tests.memory import MemoryScene


class CountingScene(MemoryScene):
    """Counts how often each row is read."""

    def __init__(self, cube: npt.NDArray[Any], block_rows: int) -> None:
        super().__init__(cube)
        self.block_rows = block_rows
        self.times = np.zeros(cube.shape[1], int)

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        self.times[window.row : window.row_end] += 1
        return super().read_stored(window, bands)


def counting(rows: int, block_rows: int) -> CountingScene:
    cube = np.arange(3 * rows * 4, dtype=np.uint16).reshape(3, rows, 4)
    return CountingScene(cube, block_rows)


@given(st.integers(1, 60), st.integers(1, 30), st.integers(0, 6), st.integers(1, 20))
def test_going_down_reads_every_row_once(rows: int, block: int, halo: int, step: int) -> None:
    scene = counting(rows, block)
    rolling = RowCache(scene, above=halo)
    for row in range(0, rows, step):
        core = Window(row, 0, min(step, rows - row), 4)
        for margin in (halo, 2 * halo):  # as where invalid pixels are met
            window = core.grown(margin, rows, 4)
            np.testing.assert_array_equal(
                rolling.read_stored(window, (2, 0)), MemoryScene.read_stored(scene, window, (2, 0))
            )
    assert (scene.times == 1).all()


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(1, 20), st.integers(0, 3)), min_size=1))
def test_any_other_order_gives_the_same_numbers(asked: list[tuple[int, int, int]]) -> None:
    scene = counting(20, 7)
    rolling = RowCache(scene, above=2)
    for row, rows, col in asked:
        window = Window(row, col, min(rows, 20 - row), 4 - col)
        bands = (0, 1, 2)[: 1 + row % 3]
        np.testing.assert_array_equal(
            rolling.read_stored(window, bands), scene.read_stored(window, bands)
        )


def test_numbers_given_out_stay_as_they_are() -> None:
    rolling = RowCache(counting(20, 20), above=0)
    first = rolling.read_stored(Window(0, 0, 5, 4), (0,))
    before = first.copy()
    first += 1
    np.testing.assert_array_equal(rolling.read_stored(Window(0, 0, 5, 4), (0,)), before)


@pytest.mark.parametrize(("block", "wanted"), [(1, 1), (256, 256), (512, 300), (513, 1)])
def test_blocks_too_high_to_keep_are_not_read_ahead(block: int, wanted: int) -> None:
    assert rows_at_once(counting(300, block)) == wanted
