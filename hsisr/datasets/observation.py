"""How a sensor sees a training patch: blur, noise and stripes between HR and LR, and resampling.

The released networks learn from area averages above all; a share of the patches is blurred as
sensors blur, or carries noise in the LR patch alone, so that noise is not taken for detail, or is,
on both grids, as if resampled to a map, so that edges are not taken for sharper than they are.
"""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hsisr.degradation import DEGRADATIONS, gaussian_taps, mtf_sigma

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_GAINS = (0.15, 0.4)
"""Of a sensor at the LR Nyquist frequency."""
_NOISE = (0.002, 0.06)
"""Standard deviation of noise, in deviations of a band over its scene."""
_STRIPES = 0.3
"""Share of the noisy patches whose columns have offsets of their own."""
_SOFTEST: Final = 0.9
"""Largest sigma of an interpolated patch, in HR pixels: as wide as two of them."""
_NEAREST, _UNEVEN = 0.4, 0.3
"""Share of the resampled patches that are nearest neighbours, and of these with uneven columns."""
_DENSER: Final = (0.65, 0.95)
_TURN: Final = 0.3
"""Tangent of the largest angle."""


def observed(
    hr: Float32, scale: int, rng: np.random.Generator, blur_share: float, noise_share: float
) -> Float32:
    """The LR patch, (bands, rows / scale, cols / scale), of an HR patch normalised band by band.

    `blur_share` is the probability of a blur other than the area average, `noise_share` of noise.
    """
    taps = DEGRADATIONS["area"].taps(scale)
    if rng.random() < blur_share:
        gain = float(rng.uniform(*_GAINS))
        taps = gaussian_taps(scale, mtf_sigma(scale, gain))
    down, right = (_sampling(n, scale, taps.tobytes()) for n in hr.shape[1:])
    lr = np.asarray(down @ hr @ right.T, np.float32)
    if rng.random() < noise_share:
        lr += _noise(lr.shape, rng)
    return lr


def resampled(hr: Float32, rng: np.random.Generator) -> Float32:
    """A patch as a scene has it that was resampled to a map, or read out unevenly.

    Most are interpolated: blurred along rows and columns, by Gaussians of widths of their own. The
    others are nearest neighbours of a turned and denser grid, where edges have teeth and some rows
    and columns stand twice, or every other column lies a pixel too low. All have less, or other,
    detail below their LR pixels than a sharp scene. The shape, (bands, rows, cols), stays.
    """
    if rng.random() < _NEAREST:
        shape = hr.shape[1:]
        row, col = (np.asarray(index) for index in np.indices(shape))
        if rng.random() < _UNEVEN:
            return hr[:, np.maximum(row - col % 2, 0), col]
        places = _turned_grid(row, col, rng)
        near = [np.rint(p).astype(int).clip(0, n - 1) for p, n in zip(places, shape, strict=True)]
        return hr[:, near[0], near[1]]
    from scipy.ndimage import gaussian_filter1d

    for axis in (-2, -1):
        hr = gaussian_filter1d(hr, rng.uniform(0, _SOFTEST), axis=axis, truncate=3)
    return hr


def _turned_grid(
    row: npt.NDArray[np.int_], col: npt.NDArray[np.int_], rng: np.random.Generator
) -> tuple[Float64, Float64]:
    """Where pixels lie of a grid around the same middle, a little denser and a little turned."""
    dense, turn = rng.uniform(*_DENSER, 2), float(rng.uniform(-_TURN, _TURN))
    up, left = row - row.mean(), col - col.mean()
    return dense[0] * up + turn * left + row.mean(), dense[1] * left - turn * up + col.mean()


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> Float32:
    """White noise, stronger in some bands than in others, and stripes along columns."""
    strength = np.exp(rng.uniform(*np.log(_NOISE)) + rng.normal(0, 0.4, (shape[0], 1, 1)))
    noise = rng.standard_normal(shape, np.float32) * strength
    if rng.random() < _STRIPES:
        noise += rng.standard_normal((shape[0], 1, shape[2]), np.float32) * strength
    return np.asarray(noise, np.float32)


@lru_cache(maxsize=64)
def _sampling(length: int, scale: int, taps: bytes) -> Float32:
    """The matrix that blurs and samples an axis mirrored at its ends, (length / scale, length)."""
    weights = np.frombuffer(taps)
    count, margin = length // scale, (len(weights) - scale) // 2
    places = np.arange(count)[:, None] * scale - margin + np.arange(len(weights))
    places = np.abs(places + 0.5) - 0.5  # mirror at the first pixel's side, then at the last's
    places = (length - np.abs(length - places - 0.5) - 0.5).astype(int)
    matrix = np.zeros((count, length))
    np.add.at(matrix, (np.arange(count)[:, None], places), weights)
    return matrix.astype(np.float32)
