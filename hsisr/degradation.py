"""How a fine scene becomes a coarse one: four named, centred models.

Each is a separable filter sampled in the middle of every scale x scale block of HR pixels, so that
nothing moves: the models of the literature differ in blur, and a few by mistake in phase. Beyond
the sides of a scene its mirror image is seen, as MATLAB's imresize does.

Validity follows one rule for all: an LR pixel is valid where all HR pixels of its block are, and
invalid HR pixels have no weight; the remaining weights are divided by their sum.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError, UsageError

Numbers = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

NYQUIST_GAIN: Final = 0.3
"""Gain of `mtf` at the LR Nyquist frequency; sensors have about 0.2 to 0.4."""


@dataclass(frozen=True, slots=True, eq=False)
class Degradation:
    """One way to make an LR cube of an HR cube.

    >>> DEGRADATIONS["area"](np.arange(16, dtype="float32").reshape(1, 4, 4), 2).tolist()
    [[[2.5, 4.5], [10.5, 12.5]]]
    """

    name: str
    definition: str
    """One sentence for reports."""
    taps: Callable[[int], Float64]
    """Scale -> weights of consecutive HR pixels, centred on the LR pixel, sum 1."""

    def margin(self, scale: int) -> int:
        """HR pixels beyond the block of an LR pixel that its value depends on, on each side."""
        return (len(self.taps(scale)) - scale) // 2

    def __call__(self, hr: Numbers, scale: int) -> Float32:
        """Degrade a whole cube, shape (bands, rows, cols), without invalid values; see `strip`."""
        return self.strip(hr, np.broadcast_to(np.True_, hr.shape), scale)[0]

    def strip(
        self, hr: Numbers, valid: Bool, scale: int, *, above: int = 0, below: int = 0
    ) -> tuple[Float32, Bool]:
        """Degrade some rows of a cube, which may hold invalid values.

        `hr` and `valid` have the shape (bands, rows, cols), full width; `above` and `below` rows at
        the top and the bottom are only context: `margin(scale)` of them, fewer where a scene ends.

        Returns:
            LR values, 0 where invalid, and their mask, for the rows that are not context.

        Raises:
            InputDataError: A side is not a multiple of `scale`.
            UsageError: The scale is below 2.
        """
        rows, cols = hr.shape[1] - above - below, hr.shape[2]
        if scale < 2:
            raise UsageError(f"found scale {scale}, expected a whole number of at least 2")
        if rows % scale or cols % scale or not rows or not cols:
            raise InputDataError(
                f"{rows} x {cols} pixels do not divide by scale {scale}; crop first"
            )
        taps, margin = self.taps(scale), self.margin(scale)
        sides = ((margin - above, margin - below), (margin, margin))
        values = np.zeros((len(hr), rows // scale, cols // scale), np.float32)
        mask: Bool = np.ones(values.shape, np.bool_)
        for band in range(len(hr)):
            x = hr[band].astype(np.float64)
            good: Bool = valid[band]
            if good.all():
                values[band] = _filtered(x, taps, sides, scale)
                continue
            x[~good] = 0.0
            mask[band] = whole_blocks(good[above : above + rows], scale)
            weight = _filtered(good.astype(np.float64), taps, sides, scale)
            blurred = _filtered(x, taps, sides, scale)
            blurred[~mask[band]] = 0.0
            weight[~mask[band]] = 1.0
            values[band] = blurred / weight
        return values, mask


def whole_blocks(good: Bool, scale: int) -> Bool:
    """True for each block of `scale` x `scale` pixels that are True, shape (rows, cols)."""
    rows, cols = good.shape
    blocks = good.reshape(rows // scale, scale, cols // scale, scale)
    return np.asarray(blocks.all(axis=(1, 3)))


def _filtered(
    band: Float64, taps: Float64, sides: tuple[tuple[int, int], tuple[int, int]], scale: int
) -> Float64:
    """Filter and sample one band; `sides` are the rows and columns to add by mirroring."""
    rows = _along(np.pad(band, (sides[0], (0, 0)), mode="symmetric"), taps, scale)
    return _along(np.pad(rows, ((0, 0), sides[1]), mode="symmetric").T, taps, scale).T


def _along(values: Float64, taps: Float64, scale: int) -> Float64:
    """Weighted sums of runs of rows, one run every `scale` rows."""
    count = (len(values) - len(taps)) // scale + 1
    out: Float64 = np.zeros((count, *values.shape[1:]))
    for offset, weight in enumerate(taps):
        out += weight * values[offset : offset + (count - 1) * scale + 1 : scale]
    return out


def area_taps(scale: int) -> Float64:
    """Equal weights over the block: the mean, which is what a perfect square detector sees."""
    return np.full(scale, 1.0 / scale)


def gaussian_taps(scale: int, sigma: float) -> Float64:
    """A sampled Gaussian of `sigma` HR pixels, cut at four sigma, centred on the block.

    >>> gaussian_taps(2, 0.5).round(3).tolist()
    [0.009, 0.491, 0.491, 0.009]
    """
    reach = math.ceil(max(0.0, 4 * sigma - scale / 2))
    return _sampled(scale, reach, lambda x: np.exp(-0.5 * (x / sigma) ** 2))


def mtf_sigma(scale: int, gain: float = NYQUIST_GAIN) -> float:
    """Sigma, in HR pixels, of the Gaussian whose gain at the LR Nyquist frequency is `gain`.

    The transfer function exp(-2 pi^2 sigma^2 f^2) at f = 1 / (2 scale); Aiazzi et al., PE&RS 72
    (2006), use it for pansharpening.

    >>> round(mtf_sigma(4), 3)
    1.976
    """
    if not 0.0 < gain < 1.0:
        raise UsageError(f"found a gain of {gain:g} at Nyquist, expected one between 0 and 1")
    return scale / math.pi * math.sqrt(-2.0 * math.log(gain))


def fwhm_sigma(scale: int) -> float:
    """Sigma, in HR pixels, of the Gaussian that is half as high at the sides of the LR pixel."""
    return scale / (2.0 * math.sqrt(2.0 * math.log(2.0)))


def bicubic_taps(scale: int) -> Float64:
    """Keys' cubic convolution (a = -0.5) stretched by the scale: MATLAB's imresize.

    Keys, IEEE TASSP 29 (1981), eq. 15; stretching is what `Antialiasing` does by default.
    """
    reach = math.ceil(2 * scale - scale / 2)
    return _sampled(scale, reach, lambda x: _keys(np.abs(x) / scale))


def _keys(x: Float64) -> Float64:
    near = 1.5 * x**3 - 2.5 * x**2 + 1.0
    far = -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _sampled(scale: int, reach: int, kernel: Callable[[Float64], Float64]) -> Float64:
    """Weights of the block and `reach` pixels on both sides, by distance from its middle."""
    size = scale + 2 * reach
    distances: Float64 = np.arange(size, dtype=np.float64) - (size - 1) / 2
    weights = kernel(distances)
    weights /= weights.sum()
    return weights


def mtf(gain: float = NYQUIST_GAIN) -> Degradation:
    """A Gaussian sensor with this gain at the LR Nyquist frequency."""
    mtf_sigma(2, gain)
    return Degradation(
        "mtf",
        f"Gaussian with gain {gain:g} at the LR Nyquist frequency, sampled at pixel centres",
        lambda scale: gaussian_taps(scale, mtf_sigma(scale, gain)),
    )


DEGRADATIONS: Final = MappingProxyType(
    {
        "area": Degradation("area", "mean over the block of each LR pixel", area_taps),
        "gaussian": Degradation(
            "gaussian",
            "Gaussian whose full width at half maximum is one LR pixel, sampled at pixel centres",
            lambda scale: gaussian_taps(scale, fwhm_sigma(scale)),
        ),
        "mtf": mtf(),
        "bicubic": Degradation(
            "bicubic",
            "cubic convolution (a = -0.5) stretched by the scale, as MATLAB's imresize",
            bicubic_taps,
        ),
    }
)
"""Name -> model."""


def degradation_named(name: str, gain: float | None = None) -> Degradation:
    """Look a model up; `gain` is for `mtf` alone."""
    if name not in DEGRADATIONS:
        raise UsageError(
            f"no degradation {name!r}; choose one of {', '.join(sorted(DEGRADATIONS))} "
            "with --method"
        )
    if gain is not None and name != "mtf":
        raise UsageError(f"--gain belongs to --method mtf, not to {name}; leave it out")
    return DEGRADATIONS[name] if gain is None else mtf(gain)
