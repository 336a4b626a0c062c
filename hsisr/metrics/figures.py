"""Figures that compare two images: PSNR, RMSE, correlation, ERGAS band by band; the spectral angle.

The former follow from a handful of sums per band, so a scene of any size is scored strip by strip
in constant memory. Sums are float64 and taken around a value near the band's mean. The spectral
angle says how far two spectra point apart, whatever their brightness.
"""

import math

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.floating]
Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]

TINY = 2.2204e-16
"""What the MCNet family puts in the place of zeros, in values divided by the scene's maximum."""


def angles_deg(reference: Float, predicted: Float) -> Float64:
    """Angle between the spectra of each pixel (bands, rows, cols); NaN where one is zero.

    Returns:
        Degrees, shape (rows, cols), 0 to 180.

    >>> angles_deg(np.array([[[1.0]], [[0.0]]]), np.array([[[1.0]], [[1.0]]])).round(6).tolist()
    [[45.0]]
    """
    dot, x_norm, y_norm = _products(reference, predicted)
    norms = x_norm * y_norm
    cosine = np.divide(dot, norms, out=np.full(norms.shape, np.nan), where=norms > 0)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


class AngleSum:
    """Mean spectral angle over pixels that are valid in every band.

    Kruse et al., Remote Sensing of Environment 44 (1993). A zero spectrum has no angle: with
    `zeros="skip"` such pixels, whose length is not above `floor`, are left out and counted in
    `zero_spectra`; with `zeros="tiny"` each zero is replaced by a tiny number, as MCNet and its kin
    do. `dtype` is the precision of the angles; their sum is float64.

    >>> total = AngleSum()
    >>> total.add(np.float32([[[3, 0]]]), np.float32([[[9, 1]]]), np.ones((1, 1, 2), bool))
    >>> total.mean_deg, total.count, total.zero_spectra
    (0.0, 1, 1)
    """

    def __init__(
        self, zeros: str = "skip", floor: float = 0.0, dtype: npt.DTypeLike = np.float64
    ) -> None:
        self.zeros, self.floor, self.dtype = zeros, floor, np.dtype(dtype)
        self.count = self.zero_spectra = 0
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


class BandMoments:
    """Sums of first and second order of two images, per band, over valid values only.

    >>> m = BandMoments(np.zeros(1))
    >>> m.add(np.float32([[[1, 2]]]), np.float32([[[1, 4]]]), np.ones((1, 1, 2), bool))
    >>> m.mse.tolist(), m.reference_mean.tolist()
    ([2.0], [1.5])
    """

    def __init__(self, centre: Float64) -> None:
        """Start from nothing; `centre`, shape (bands,), is any value near each band's mean."""
        self.centre = centre
        self.count = np.zeros(len(centre), np.int64)
        self._sums = np.zeros((len(centre), 5))  # x, y, xx, yy, xy around the centre
        self._squared_error = np.zeros(len(centre))

    def add(self, reference: Float, predicted: Float, valid: Bool) -> None:
        """Count in a strip; all three of shape (bands, rows, cols)."""
        for band in range(len(self.centre)):
            x, y = reference[band].ravel(), predicted[band].ravel()
            counted = valid[band].ravel()
            if not counted.all():
                x, y = x[counted], y[counted]
            x = x.astype(np.float64) - self.centre[band]
            y = y.astype(np.float64) - self.centre[band]
            self.count[band] += x.size
            self._sums[band] += (x.sum(), y.sum(), _dot(x, x), _dot(y, y), _dot(x, y))
            y -= x
            self._squared_error[band] += _dot(y, y)

    @property
    def mse(self) -> Float64:
        """Mean squared error per band; NaN where nothing was counted."""
        return _divided(self._squared_error, self.count)

    @property
    def rmse(self) -> Float64:
        """Root mean squared error per band, in the unit of the values."""
        return np.sqrt(self.mse)

    @property
    def reference_mean(self) -> Float64:
        """Mean of the reference per band."""
        return self.centre + _divided(self._sums[:, 0], self.count)

    @property
    def cube_mse(self) -> float:
        """Mean squared error over all values of all bands."""
        total = int(self.count.sum())
        return float(self._squared_error.sum()) / total if total else math.nan

    @property
    def correlation(self) -> Float64:
        """Pearson's coefficient per band; NaN where an image is constant."""
        return _pearson(*self._centred())

    @property
    def cube_correlation(self) -> float:
        """Pearson's coefficient of all values of all bands taken as one list."""
        xx, yy, xy = (part.sum() for part in self._centred())
        n = self.count.astype(np.float64)
        total = n.sum()
        if not total:
            return math.nan
        x_mean = self.reference_mean
        y_mean = self.centre + _divided(self._sums[:, 1], self.count)
        seen = self.count > 0
        n, dx, dy = n[seen], x_mean[seen], y_mean[seen]
        dx = dx - (n @ dx) / total
        dy = dy - (n @ dy) / total
        sums = xx + n @ (dx * dx), yy + n @ (dy * dy), xy + n @ (dx * dy)
        return float(_pearson(*(np.array([s]) for s in sums))[0])

    def _centred(self) -> tuple[Float64, Float64, Float64]:
        """Sums of squares and products about the bands' own means."""
        x, y, xx, yy, xy = self._sums.T
        n = np.maximum(self.count, 1)
        xx, yy = (np.maximum(s, 0.0) for s in (xx - x * x / n, yy - y * y / n))
        return xx, yy, np.asarray(xy - x * y / n)


def psnr_db(mse: Float64, peak: float, dtype: npt.DTypeLike = np.float64) -> Float:
    """Peak signal-to-noise ratio in decibels, 20 log10(peak / sqrt(mse)), in steps of `dtype`.

    Infinite where the error is zero, NaN where the peak is not above zero.

    >>> psnr_db(np.array([1.0, 0.0]), 10.0).tolist()
    [20.0, inf]
    """
    if not peak > 0:
        return np.full(mse.shape, np.nan)
    with np.errstate(divide="ignore"):
        ratio = np.asarray(peak, dtype) / np.sqrt(mse.astype(dtype))
        return np.asarray(20 * np.log10(ratio))


def ergas(rmse: Float64, reference_mean: Float64, scale: float) -> float:
    """Relative dimensionless global error, 100 / scale * sqrt(mean((rmse_b / mean_b)^2)).

    Wald, Data Fusion (2002): 1 / scale is the ratio of the pixel lengths, fine over coarse.
    Bands whose mean is exactly zero have no relative error and are left out.

    >>> ergas(np.array([2.0]), np.array([10.0]), scale=4)
    5.0
    """
    counted = (reference_mean != 0) & np.isfinite(rmse)
    if not counted.any():
        return math.nan
    relative = rmse[counted] / reference_mean[counted]
    return 100.0 / scale * math.sqrt(float(np.mean(relative**2)))


def _dot(x: Float64, y: Float64) -> float:
    """Scalar product in this thread; BLAS would wake all cores for each band and wait for them."""
    return float(np.einsum("i,i->", x, y))


def _divided(sums: Float64, count: npt.NDArray[np.int64]) -> Float64:
    return np.asarray(np.divide(sums, count, out=np.full(len(count), np.nan), where=count > 0))


def _pearson(xx: Float64, yy: Float64, xy: Float64) -> Float64:
    norm = np.sqrt(xx) * np.sqrt(yy)
    r = np.divide(xy, norm, out=np.full(len(norm), np.nan), where=norm > 0)
    return np.asarray(np.clip(r, -1.0, 1.0))
