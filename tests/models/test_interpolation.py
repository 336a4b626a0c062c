"""Interpolation: nothing moves, sums are kept, and GDAL and torch find the same numbers."""

import numpy as np
import pytest
import torch
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.warp import Resampling, reproject

from hsisr.models.interpolation import KERNELS, Trim, interpolate

NAMES = tuple(KERNELS)
SCALES = (2, 4, 8)


def centroid(image: np.ndarray) -> tuple[float, float]:
    """Centre of mass in pixel-corner coordinates."""
    rows, cols = np.indices(image.shape) + 0.5
    return float((rows * image).sum() / image.sum()), float((cols * image).sum() / image.sum())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", NAMES)
def test_a_blob_does_not_move(name: str, scale: int) -> None:
    rows, cols = np.indices((41, 37))
    blob = np.exp(-((rows - 19.3) ** 2 + (cols - 17.8) ** 2) / 18)
    fine = interpolate(torch.from_numpy(blob), KERNELS[name], scale).numpy()
    np.testing.assert_allclose(np.array(centroid(fine)) / scale, centroid(blob), atol=0.01 / scale)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["bicubic", "lanczos"])
def test_inside_gdal_warps_to_the_same_numbers(name: str, scale: int) -> None:
    lr = np.random.default_rng(0).normal(1000, 200, (40, 50)).astype(np.float32)
    place = Affine(30, 0, 364095, 0, -30, 5809965)
    warped = np.empty((40 * scale, 50 * scale), np.float32)
    reproject(
        lr,
        warped,
        src_transform=place,
        dst_transform=place @ Affine.scale(1 / scale),
        src_crs="EPSG:32633",
        dst_crs="EPSG:32633",
        resampling=Resampling.cubic if name == "bicubic" else Resampling.lanczos,
    )
    fine = interpolate(torch.from_numpy(lr), KERNELS[name], scale).numpy()
    inside = slice(6 * scale, -6 * scale)
    np.testing.assert_allclose(fine[inside, inside], warped[inside, inside], rtol=1e-4)


@settings(max_examples=30)
@given(
    name=st.sampled_from(NAMES),
    scale=st.sampled_from(SCALES),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    data=st.data(),
)
def test_trimmed_context_equals_the_same_part_of_the_whole(
    name: str, scale: int, size: tuple[int, int], data: st.DataObject
) -> None:
    lr = torch.rand(size, generator=torch.Generator().manual_seed(2))
    top = data.draw(st.integers(0, size[0] - 1))
    left = data.draw(st.integers(0, size[1] - 1))
    whole = interpolate(lr, KERNELS[name], scale)
    part = interpolate(lr, KERNELS[name], scale, Trim(top=top, left=left))
    torch.testing.assert_close(part, whole[top * scale :, left * scale :])
