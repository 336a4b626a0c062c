"""Three bands as a colour picture: which bands, which numbers become black and white, bytes."""

from typing import Final

import numpy as np
import numpy.typing as npt

from hsisr.scene.metadata import SpectralAxis

PERCENTILES: Final = (2.0, 98.0)
"""Of the valid values of a band: they become black and white."""

Bands3 = npt.NDArray[np.floating]


def colour_bands(axis: SpectralAxis) -> tuple[int, int, int]:
    """0-based bands to show as red, green and blue: natural colour, else three spread good bands.

    >>> colour_bands(SpectralAxis(count=3, wavelengths_nm=(460.0, 550.0, 645.0)))
    (2, 1, 0)
    >>> colour_bands(SpectralAxis(count=1))
    (0, 0, 0)
    >>> colour_bands(SpectralAxis(count=4, good=(True, False, True, True)))
    (2, 2, 0)
    """
    bands = np.flatnonzero(axis.good) if axis.good and any(axis.good) else np.arange(axis.count)
    last = len(bands) - 1
    red, green, blue = bands[[last * 3 // 4, last // 2, last // 4]].tolist()
    return axis.natural_colour or (red, green, blue)


def stretch_limits(picture: Bands3) -> npt.NDArray[np.float64]:
    """The 2nd and 98th percentile of each band, shape (bands, 2); zeros where nothing is finite.

    Args:
        picture: Shape (bands, rows, cols); NaN where invalid.
    """
    limits = np.zeros((len(picture), 2))
    for band, numbers in enumerate(picture):
        data = numbers[np.isfinite(numbers)]
        if data.size:
            limits[band] = np.percentile(data, PERCENTILES)
    return limits


def stretched(picture: Bands3, limits: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Values from 0 to 1 between the limits, shape as `picture`; flat bands 0.5, NaN 0."""
    low, high = limits[:, 0, None, None], limits[:, 1, None, None]
    light = np.where(high > low, (picture - low) / np.where(high > low, high - low, 1), 0.5)
    shown = np.where(np.isfinite(picture), light.clip(0, 1), 0)
    return np.asarray(shown, np.float32)


def as_bytes(light: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Values from 0 to 1, shape (3, rows, cols), as bytes of shape (rows, cols, 3)."""
    levels: npt.NDArray[np.uint8] = np.rint(light * 255).astype(np.uint8)
    return levels.transpose(1, 2, 0)
