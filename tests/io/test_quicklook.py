"""Pictures of a scene before and after."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hsisr.errors import OutputExistsError, UsageError
from hsisr.io.base import Scene
from hsisr.io.quicklook import colour_bands, write_quicklook
from hsisr.scene.spectral_axis import SpectralAxis
from hsisr.tiling.windows import Window
from tests.io.written import metadata_of


class Held(Scene):
    """A scene in memory that notes how much was read at once."""

    def __init__(self, cube: npt.NDArray[Any], axis: SpectralAxis, nodata: float) -> None:
        self.path, self.format = Path("held"), "held"
        plain = metadata_of((cube.shape[0], cube.shape[1], cube.shape[2]), "float32", nodata=nodata)
        self.metadata = replace(plain, spectral_axis=axis)
        self.cube, self.largest = cube, 0

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        part = self.cube[list(bands), window.row : window.row_end, window.col : window.col_end]
        self.largest = max(self.largest, part.nbytes)
        return part

    def close(self) -> None:
        pass


AXIS = SpectralAxis(count=4, wavelengths_nm=(461.0, 551.0, 641.0, 900.0))


def pair(rows: int, cols: int, scale: int) -> tuple[Held, Held]:
    lr = np.random.default_rng(0).random((4, rows, cols)).astype(np.float32)
    hr = lr.repeat(scale, 1).repeat(scale, 2)
    return Held(lr, AXIS, -1), Held(hr, AXIS, -1)


def picture_of(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_scene_enlarged_by_repetition_looks_the_same_on_both_sides(tmp_path: Path) -> None:
    lr, hr = pair(9, 7, 4)
    write_quicklook(tmp_path / "q.png", lr, hr)
    picture = picture_of(tmp_path / "q.png")
    assert picture.shape == (36, 28 + 8 + 28, 3)
    np.testing.assert_array_equal(picture[:, :28], picture[:, 36:])
    assert len(np.unique(picture[:, :28].reshape(-1, 3), axis=0)) == 63


def test_red_is_the_band_of_longest_visible_wavelength(tmp_path: Path) -> None:
    lr, hr = pair(20, 20, 2)
    write_quicklook(tmp_path / "q.png", lr, hr)
    red = picture_of(tmp_path / "q.png")[:40:2, :40:2, 0].astype(float)
    middle = (lr.cube[2] > 0.1) & (lr.cube[2] < 0.9)
    assert np.corrcoef(red[middle], lr.cube[2][middle])[0, 1] > 0.999


def test_pixels_without_data_are_black_and_do_not_stretch(tmp_path: Path) -> None:
    lr, hr = pair(10, 10, 2)
    whole = tmp_path / "whole.png"
    write_quicklook(whole, lr, hr)
    hr.cube[:, 4:8, 4:8] = -1
    write_quicklook(tmp_path / "q.png", lr, hr)
    right = picture_of(tmp_path / "q.png")[:, 28:]
    assert not right[4:8, 4:8].any()
    np.testing.assert_array_equal(right[8:], picture_of(whole)[8:, 28:])


def test_a_large_scene_is_thinned_and_read_in_parts(tmp_path: Path) -> None:
    cube = np.broadcast_to(np.arange(3000, dtype=np.float32), (4, 9000, 3000))
    hr = Held(cube, AXIS, -1)
    lr = Held(cube[:, ::2, ::2], AXIS, -1)
    write_quicklook(tmp_path / "q.png", lr, hr)
    rows, cols, _ = picture_of(tmp_path / "q.png").shape
    assert rows <= 1600
    assert cols <= 1608
    assert hr.largest <= 40 * 2**20


def test_a_scene_without_any_data_is_black(tmp_path: Path) -> None:
    lr, hr = pair(4, 4, 2)
    lr.cube[:], hr.cube[:] = -1, -1
    write_quicklook(tmp_path / "q.png", lr, hr)
    assert not picture_of(tmp_path / "q.png")[:, :8].any()


def test_an_existing_picture_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    lr, hr = pair(4, 4, 2)
    (tmp_path / "q.png").write_text("precious")
    with pytest.raises(OutputExistsError, match=r"q.png exists and is kept"):
        write_quicklook(tmp_path / "q.png", lr, hr)
    write_quicklook(tmp_path / "q.png", lr, hr, overwrite=True)
    assert picture_of(tmp_path / "q.png").shape == (8, 24, 3)
    assert [p.name for p in tmp_path.iterdir()] == ["q.png"]


def test_bad_bands_are_not_shown() -> None:
    axis = SpectralAxis(
        count=4, wavelengths_nm=(460, 550, 640, 650), good=(True, True, False, True)
    )
    assert colour_bands(axis) == (3, 1, 0)


def test_without_visible_bands_three_are_spread() -> None:
    axis = SpectralAxis(count=9, wavelengths_nm=tuple(1000.0 + b for b in range(9)))
    assert colour_bands(axis) == (6, 4, 2)


def test_only_png_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"q.jpg: found the suffix '.jpg', expected .png"):
        write_quicklook(tmp_path / "q.jpg", *pair(4, 4, 2))
