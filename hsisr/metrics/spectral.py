"""The spectral angle: how far two spectra point apart, whatever their brightness."""

import math

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.floating]
Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]

TINY = 2.2204e-16
"""What the MCNet family puts in the place of zeros, in values divided by the scene's maximum."""


def angles_deg(reference: Float, predicted: Float) -> Float64:
    """Angle between the spectra of each pixel, in degrees; NaN where one of them is zero.

    Args:
        reference: Shape (bands, rows, cols).
        predicted: The same shape.

    Returns:
        Shape (rows, cols), 0 to 180.

    >>> angles_deg(np.array([[[1.0]], [[0.0]]]), np.array([[[1.0]], [[1.0]]])).round(6).tolist()
    [[45.0]]
    """
    dot, x_norm, y_norm = _products(reference, predicted)
    norms = x_norm * y_norm
    cosine = np.divide(dot, norms, out=np.full(norms.shape, np.nan), where=norms > 0)
    angles: Float64 = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return angles


class AngleSum:
    """Mean spectral angle over pixels that are valid in every band.

    Kruse et al., Remote Sensing of Environment 44 (1993). A zero spectrum has no angle: with
    `zeros="skip"` such pixels are left out and counted in `zero_spectra`; with `zeros="tiny"`
    each zero value is replaced by a tiny number, as MCNet and its kin do.

    >>> total = AngleSum()
    >>> total.add(np.float32([[[3, 0]]]), np.float32([[[9, 1]]]), np.ones((1, 1, 2), bool))
    >>> total.mean_deg, total.count, total.zero_spectra
    (0.0, 1, 1)
    """

    def __init__(
        self, zeros: str = "skip", floor: float = 0.0, dtype: npt.DTypeLike = np.float64
    ) -> None:
        """Start from nothing.

        Args:
            zeros: `skip` or `tiny`, see above.
            floor: A spectrum is zero if its length is not above this.
            dtype: Precision of the angles; their sum is float64.
        """
        self.zeros = zeros
        self.floor = floor
        self.dtype = np.dtype(dtype)
        self.count = 0
        self.zero_spectra = 0
        self._sum = 0.0

    def add(self, reference: Float, predicted: Float, valid: Bool) -> None:
        """Count in a strip; all three of shape (bands, rows, cols)."""
        if not len(reference):
            return
        counted = valid.all(axis=0)
        if self.zeros == "tiny":
            reference, predicted = _without_zeros(reference), _without_zeros(predicted)
        dot, x_norm, y_norm = self._products(reference[:, counted], predicted[:, counted])
        norms = x_norm * y_norm
        if self.zeros == "tiny":
            cosine = dot / (norms + TINY)
        else:
            whole = (x_norm > self.floor) & (y_norm > self.floor)
            self.zero_spectra += int(whole.size - np.count_nonzero(whole))
            cosine = dot[whole] / norms[whole]
        self._sum += float(np.arccos(np.clip(cosine, -1.0, 1.0)).sum(dtype=np.float64))
        self.count += int(cosine.size)

    def _products(self, reference: Float, predicted: Float) -> tuple[Float, Float, Float]:
        """Scalar products and lengths of spectra in columns, in the precision asked for."""
        if self.dtype == np.float64:
            return _products(reference, predicted)
        x = np.ascontiguousarray(reference.T, dtype=self.dtype)
        y = np.ascontiguousarray(predicted.T, dtype=self.dtype)
        return np.sum(x * y, axis=1), np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)

    @property
    def mean_deg(self) -> float:
        """Mean angle in degrees; NaN if no pixel was counted."""
        return math.degrees(self._sum / self.count) if self.count else math.nan


def _products(reference: Float, predicted: Float) -> tuple[Float64, Float64, Float64]:
    """Scalar product and lengths of the spectra of each pixel, in float64; NaN counts as zero.

    Band by band, so that no float64 copy of the whole strip is made.
    """
    dot, xx, yy = (np.zeros(reference.shape[1:]) for _ in range(3))
    for x_band, y_band in zip(reference, predicted, strict=True):
        x = np.nan_to_num(x_band.astype(np.float64), posinf=0.0, neginf=0.0)
        y = np.nan_to_num(y_band.astype(np.float64), posinf=0.0, neginf=0.0)
        dot += x * y
        xx += x * x
        yy += y * y
    return dot, np.sqrt(xx), np.sqrt(yy)


def _without_zeros(values: Float) -> Float64:
    return np.where(values == 0, TINY, values.astype(np.float64))
