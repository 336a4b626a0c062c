"""The baseline against an implementation of its definition by Pillow and NumPy."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.io.open import open_scene
from tests.commands.files import write_tif

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
def test_it_is_bicubic_ten_rounds_of_back_projection_and_a_constant(
    scale: int, tmp_path: Path
) -> None:
    lr = np.random.default_rng(scale).normal(1000, 200, (2, 40, 34)).astype(np.float32)
    expected = cubic(lr, scale)
    for _ in range(10):
        expected = expected + cubic(lr - area(expected, scale), scale)
    expected = expected + np.kron(lr - area(expected, scale), np.ones((1, scale, scale)))
    options = UpscaleOptions(scale=scale, model="baseline", device="cpu")
    upscale(write_tif(tmp_path / "lr.tif", lr), tmp_path / "hr.tif", options)
    with open_scene(tmp_path / "hr.tif") as scene:
        found = scene.read().values
    np.testing.assert_allclose(area(found, scale), lr, rtol=1e-6)
    # at the sides Pillow leaves pixels outside out, where hsisr repeats the outermost ones
    inside = np.s_[:, 12 * scale : -12 * scale, 12 * scale : -12 * scale]
    np.testing.assert_allclose(found[inside], expected[inside], rtol=0, atol=1e-3)
