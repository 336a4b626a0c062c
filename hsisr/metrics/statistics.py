"""What scoring must know of a scene before it starts: ranges, means and live bands.

Peaks and ranges enter PSNR and SSIM, so a scene is read twice: once for these statistics, once
for the scores.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.floating]
Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]


class PairStatistics:
    """Per band, over the values that are valid in both images: count, extremes and mean.

    >>> s = PairStatistics(1)
    >>> s.add(np.float32([[[2, 4, 9]]]), np.array([[[1, 1, 0]]], bool), np.ones((1, 1, 3), bool))
    >>> s.minimum.tolist(), s.maximum.tolist(), s.mean.tolist(), s.lost
    ([2.0], [4.0], [3.0], 0)
    """

    def __init__(self, bands: int) -> None:
        """Start from nothing."""
        self.count = np.zeros(bands, np.int64)
        self.minimum = np.full(bands, np.inf)
        self.maximum = np.full(bands, -np.inf)
        self.lost = 0
        """Values that are valid in the reference but not in the estimate."""
        self.reference_count = np.zeros(bands, np.int64)
        self._sum = np.zeros(bands)

    def add(self, reference: Float, valid: Bool, predicted_valid: Bool) -> None:
        """Count in a strip; all three of shape (bands, rows, cols)."""
        for band, (values, good, kept) in enumerate(
            zip(reference, valid, predicted_valid, strict=True)
        ):
            both = good & kept
            seen = values if both.all() else values[both]
            self.reference_count[band] += np.count_nonzero(good)
            self.count[band] += seen.size
            if seen.size:
                self.minimum[band] = min(self.minimum[band], float(seen.min()))
                self.maximum[band] = max(self.maximum[band], float(seen.max()))
                self._sum[band] += float(seen.sum(dtype=np.float64))
        self.lost = int((self.reference_count - self.count).sum())

    @property
    def mean(self) -> Float64:
        """Mean of the reference per band; 0 where nothing was counted."""
        return self._sum / np.maximum(self.count, 1)

    def excluded(self, good: Sequence[bool] | None, *, live_only: bool) -> dict[int, str]:
        """0-based bands that cannot be scored, or must not be, each with the reason.

        Args:
            good: The reference's bad-band list, or None.
            live_only: Also leave out bad and constant bands, not only those without data.
        """
        reasons: dict[int, str] = {}
        for band in range(len(self.count)):
            if not self.reference_count[band]:
                reasons[band] = "no valid pixel in the reference"
            elif not self.count[band]:
                reasons[band] = "no valid pixel in the estimate"
            elif live_only and good is not None and not good[band]:
                reasons[band] = "bad by the bad-band list"
            elif live_only and self.minimum[band] == self.maximum[band]:
                reasons[band] = "constant in the reference"
        return reasons

    def range_of(self, bands: Sequence[int]) -> tuple[float, float]:
        """Smallest and largest value of the reference in some bands."""
        chosen = list(bands)
        return float(self.minimum[chosen].min()), float(self.maximum[chosen].max())
