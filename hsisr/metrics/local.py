"""Figures that slide a small window over the image: SSIM and the universal quality index.

Only windows that lie inside the image and hold nothing but valid pixels count; for a whole image
that is what scikit-image does when it crops half a window before taking the mean. Strips are fed
from top to bottom; the last rows of each are kept, so that windows across a seam are not lost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.floating]
Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Strips = tuple[npt.NDArray[Any], ...]
"""Reference, predicted and valid."""


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """The window of a local figure: the same weights along rows and columns."""

    name: str
    weights: Float64
    """Shape (size,), sum 1."""
    sample_covariance: bool
    """Divide second moments by n - 1 instead of n."""

    @property
    def size(self) -> int:
        """Pixels along a side."""
        return len(self.weights)

    @property
    def covariance_factor(self) -> float:
        """What turns a mean of squares into a (co)variance."""
        pixels = self.size**2
        return pixels / (pixels - 1) if self.sample_covariance else 1.0


def uniform(size: int, *, sample_covariance: bool) -> Kernel:
    """A square window with equal weights."""
    return Kernel(f"{size}x{size} uniform", np.full(size, 1.0 / size), sample_covariance)


UNIFORM_7 = uniform(7, sample_covariance=True)
"""scikit-image's default window for SSIM."""
UNIFORM_8 = uniform(8, sample_covariance=False)
"""The window of Wang and Bovik's universal quality index."""
_BELL = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
GAUSSIAN_11 = Kernel("11x11 Gaussian of 1.5 pixels", _BELL / _BELL.sum(), sample_covariance=False)
"""The window of Wang et al. 2004."""


FLAT = 1e-13
"""A window is flat if its variance is below this part of its mean square: rounding, not texture."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalMoments:
    """Means, variances and covariance in every window, each of one shape."""

    x_mean: Float64
    y_mean: Float64
    x_variance: Float64
    y_variance: Float64
    covariance: Float64


Index = Callable[[LocalMoments], Float64]
"""Turns local moments into the map of a figure."""


def ssim_index(data_range: float) -> Index:
    """Structural similarity, Wang et al., IEEE TIP 13 (2004), eq. 13, for values of this range."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2

    def index(m: LocalMoments) -> Float64:
        upper = (2 * m.x_mean * m.y_mean + c1) * (2 * m.covariance + c2)
        lower = (m.x_mean**2 + m.y_mean**2 + c1) * (m.x_variance + m.y_variance + c2)
        return np.asarray(upper / lower)

    return index


def quality_index(m: LocalMoments) -> Float64:
    """Universal image quality index, Wang and Bovik, IEEE SPL 9 (2002), eq. 2.

    Where both windows are flat only their means are compared; where they are also zero it is 1.
    """
    variances = m.x_variance + m.y_variance
    squares = m.x_mean**2 + m.y_mean**2
    luminance = _share(2 * m.x_mean * m.y_mean, squares)
    return np.asarray(luminance * _share(2 * m.covariance, variances))


def _share(part: Float64, whole: Float64) -> Float64:
    return np.divide(part, whole, out=np.ones_like(whole), where=whole > 0)


class LocalMean:
    """Mean of a local figure per band, over all windows without an invalid pixel."""

    def __init__(self, bands: int, kernel: Kernel, index: Index) -> None:
        self.kernel = kernel
        self.count = np.zeros(bands, np.int64)
        self._index = index
        self._sum = np.zeros(bands)
        self._tail: Strips | None = None

    def add(self, reference: Float, predicted: Float, valid: Bool) -> None:
        """Count in the next strip below; all three of shape (bands, rows, cols)."""
        strips = (reference, predicted, valid)
        old = 0 if self._tail is None else self._tail[0].shape[1]
        rows, cols = old + reference.shape[1], reference.shape[2]
        keep = min(rows, self.kernel.size - 1)
        tails = tuple(np.empty((len(s), keep, cols), s.dtype) for s in strips)
        for band in range(len(self.count)):
            x, y, good = self._with_tail(band, strips)
            if rows >= self.kernel.size <= cols:
                self._add_band(band, x, y, good)
            for tail, part in zip(tails, (x, y, good), strict=True):
                tail[band] = part[rows - keep :]
        self._tail = tails

    def _with_tail(self, band: int, strips: Strips) -> Strips:
        """One band of a strip below the last rows of the strip before it."""
        if self._tail is None:
            return tuple(strip[band] for strip in strips)
        return tuple(
            np.concatenate([tail[band], strip[band]])
            for tail, strip in zip(self._tail, strips, strict=True)
        )

    def _add_band(self, band: int, reference: Float, predicted: Float, valid: Bool) -> None:
        x, y = reference.astype(np.float64), predicted.astype(np.float64)
        whole = None
        if not valid.all():
            x[~valid] = y[~valid] = 0.0
            even = uniform(self.kernel.size, sample_covariance=self.kernel.sample_covariance)
            whole = _window_means(valid.astype(np.float64), even) > 1 - 1e-9
        figure = self._index(_local_moments(x, y, self.kernel))
        figure = figure if whole is None else figure[whole]
        self.count[band] += figure.size
        self._sum[band] += figure.sum()

    @property
    def mean(self) -> Float64:
        """Mean figure per band; NaN where no window was whole."""
        empty = np.full(len(self.count), np.nan)
        return np.asarray(np.divide(self._sum, self.count, out=empty, where=self.count > 0))


def _local_moments(x: Float64, y: Float64, kernel: Kernel) -> LocalMoments:
    x_mean, y_mean = _window_means(x, kernel), _window_means(y, kernel)
    x_variance = _variance(x, x_mean, kernel)
    y_variance = _variance(y, y_mean, kernel)
    covariance = kernel.covariance_factor * (_window_means(x * y, kernel) - x_mean * y_mean)
    covariance[(x_variance == 0) | (y_variance == 0)] = 0.0
    return LocalMoments(x_mean, y_mean, x_variance, y_variance, covariance)


def _variance(x: Float64, mean: Float64, kernel: Kernel) -> Float64:
    """Variance in every window; what rounding leaves of a flat window becomes zero."""
    square = _window_means(x * x, kernel)
    variance = square - mean * mean
    variance[variance < FLAT * square] = 0.0
    variance *= kernel.covariance_factor
    return variance


def _window_means(values: Float64, kernel: Kernel) -> Float64:
    """Weighted means of all windows inside a band, shape (rows - size + 1, cols - size + 1)."""
    return _along(_along(values, kernel).T, kernel).T


def _along(values: Float64, kernel: Kernel) -> Float64:
    """Weighted means of runs of rows; equal weights by doubling the run, others one by one."""
    size, length = kernel.size, len(values) - kernel.size + 1
    if not (kernel.weights == kernel.weights[0]).all():
        out: Float64 = kernel.weights[0] * values[:length]
        for offset in range(1, size):
            out += kernel.weights[offset] * values[offset : offset + length]
        return out
    total: Float64 = np.zeros((length, *values.shape[1:]))
    run, run_size, start = values, 1, 0
    while run_size <= size:
        if size & run_size:
            total += run[start : start + length]
            start += run_size
        run, run_size = run[:-run_size] + run[run_size:], 2 * run_size
    total *= kernel.weights[0]
    return total
