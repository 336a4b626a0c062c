"""Windows of numbers in a file: the right ones, few bytes in vain, and no signal when cut off."""

import itertools
import os
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsisr.errors import InputDataError
from hsisr.io.arrays.raw import PlainNumbers
from hsisr.io.open import open_scene
from hsisr.io.views import RowCache, rows_at_once
from hsisr.tiling import Window
from tests.memory import MemoryScene
from tests.program import values_of
from tests.scenes import numbered, write_envi, write_npy, write_pages

SPANS = ((0, 1), (1, 3), (0, 4), (3, 4))


@pytest.mark.parametrize("width", [4, 4000], ids=["gaps read through", "gaps jumped over"])
def test_every_window_equals_numpys(width: int, tmp_path: Path) -> None:
    array = np.arange(4 * 4 * width, dtype=">u4").reshape(4, 4, width)
    path = tmp_path / "numbers"
    path.write_bytes(bytes(7) + array.tobytes())
    numbers = PlainNumbers(path, array.dtype, array.shape, 7)
    for spans in itertools.product(SPANS, SPANS, (*SPANS, (0, width))):
        place = tuple(slice(*span) for span in spans)
        np.testing.assert_array_equal(numbers[place], array[place])


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
def test_a_window_reads_little_more_than_itself(interleave: str, tmp_path: Path) -> None:
    cube = np.zeros((60, 90, 3000), np.uint16)
    header = write_envi(tmp_path / "x.hdr", cube, interleave=interleave)
    with open_scene(header) as scene:
        before = _bytes_read()
        scene.read_stored(Window(40, 1000, 10, 12), range(60))
        read = _bytes_read() - before
    window, runs = 60 * 10 * 12 * 2, 60 * 10
    assert read <= window + runs * 4096


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.hdr", write_envi),
        ("x.npy", write_npy),
        ("x.tif", lambda path, cube: write_pages(path, cube, contiguous=True)),
    ],
    ids=["ENVI", "npy", "stack"],
)
def test_a_file_cut_off_while_open_is_an_error_that_names_it(
    name: str, write: Callable[[Path, Any], Path], tmp_path: Path
) -> None:
    path = write(tmp_path / name, numbered(4, 60, 50))
    data = path.with_suffix(".img") if name == "x.hdr" else path
    with open_scene(path) as scene:
        os.truncate(data, data.stat().st_size // 2)
        with pytest.raises(InputDataError, match=rf"{data.name}: ended while it was read"):
            scene.read()


def test_a_file_cut_off_inside_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = write_envi(tmp_path / "x.hdr", np.zeros((4, 500, 500), np.uint16))

    class Shrinking(FileIO):
        def readinto(self, buffer: Any) -> int:
            os.truncate(tmp_path / "x.img", 10_000)
            return super().readinto(buffer)

    monkeypatch.setattr("hsisr.io.arrays.raw.FileIO", Shrinking)
    words = "x.img: ended while it was read, expected 2000000 bytes"
    with pytest.raises(InputDataError, match=words):
        values_of(header)


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_files_of_either_order(order: Any, tmp_path: Path) -> None:
    cube = numbered(4, 6, 5)
    np.save(tmp_path / "x.npy", np.asarray(cube.transpose(1, 2, 0), order=order))
    with open_scene(tmp_path / "x.npy") as scene:
        np.testing.assert_array_equal(scene.read().values, cube)
        window = scene.read_stored(Window(1, 2, 3, 2), [3, 1])
    np.testing.assert_array_equal(window, cube[[3, 1], 1:4, 2:4])


def _bytes_read() -> int:
    counters = Path("/proc/self/io")
    if not counters.is_file():
        pytest.skip("this system does not count a process's reads")
    return int(counters.read_text().split("rchar: ")[1].split()[0])


class CountingScene(MemoryScene):
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
