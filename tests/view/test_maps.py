"""Maps of added detail and of agreement."""

import numpy as np
import pytest

from hsisr.errors import InputDataError
from hsisr.scene.metadata import SpectralAxis
from hsisr.tiling import Window
from hsisr.view.figure import bicubic_values
from hsisr.view.maps import band_pairs, detail_maps, overview_cube
from tests.view.test_figure import AXIS, Held, pair


def test_bicubic_adds_no_detail_and_what_is_moved_does_not_agree() -> None:
    lr, hr = pair(12, 10, 2)
    hr.cube[:] = bicubic_values(lr, Window(0, 0, 12, 10), range(4), 2)
    hr.cube[:, 4:6, 6:8] += 0.5
    maps = detail_maps(lr, hr)
    expected = np.zeros((12, 10))
    expected[2, 3] = 0.5
    np.testing.assert_allclose(maps.detail, expected, atol=1e-6)
    assert maps.most_detail() == (2, 3)
    block = hr.cube.reshape(4, 12, 2, 10, 2).mean(axis=(2, 4))
    apart = np.sqrt(np.square(block - lr.cube).mean(axis=0))
    np.testing.assert_allclose(maps.agreement, apart, atol=1e-6)


def test_an_overview_is_made_of_means_of_what_is_valid() -> None:
    lr, _ = pair(5, 4, 2)
    lr.cube[1, 0, 0] = -1
    made = overview_cube(lr, 2)
    assert made.shape == (4, 3, 2)
    assert made[0, 0, 0] == pytest.approx(lr.cube[0, :2, :2].mean())
    assert made[1, 0, 0] == pytest.approx(np.delete(lr.cube[1, :2, :2].ravel(), 0).mean())
    assert made[2, 2, 1] == pytest.approx(lr.cube[2, 4:, 2:].mean())


def test_dropped_bands_are_found_by_their_wavelengths() -> None:
    lr, hr = pair(4, 4, 2)
    kept = Held(hr.cube[[0, 2]], AXIS.subset([0, 2]), -1)
    assert band_pairs(lr, kept) == [0, 2]
    with pytest.raises(InputDataError, match="wavelengths do not tell which are the same"):
        band_pairs(lr, Held(hr.cube[:2], SpectralAxis(count=2), -1))
