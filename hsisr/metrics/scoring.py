"""Scoring an estimate against a reference, strip by strip, by a named convention.

Peaks and ranges enter PSNR and SSIM, so a pair of scenes is read twice: once for `PairStatistics`,
once for the scores.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError
from hsisr.metrics.conventions import FIGURES, Convention, band_definitions, definitions
from hsisr.metrics.figures import AngleSum, BandMoments, ergas, psnr_db
from hsisr.metrics.local import UNIFORM_8, LocalMean, quality_index, ssim_index
from hsisr.metrics.report import BandScores, Scores

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
        """0-based bands that cannot be scored, or must not be, each with the reason."""
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


UNDEFINED = {
    "mpsnr": "the reference has no value above 0, so there is no peak",
    "mssim": "no window of valid pixels, or a reference without contrast",
    "sam": "no pixel that is valid in every scored band and not zero",
    "cc": "a reference or an estimate without contrast",
    "ergas": "the ratio of the pixel sizes is not known; give --scale",
    "rmse": "no valid pixel",
    "uiqi": "no 8x8 window of valid pixels",
}
"""Why a figure can be missing."""


class ScoreAccumulator:
    """Scores of a pair of images that are fed as row strips, from top to bottom.

    Memory is that of one strip and a few rows per band. `statistics` are of the same pair.

    Raises:
        InputDataError: No band is left to score.
    """

    def __init__(
        self,
        convention: Convention,
        statistics: PairStatistics,
        *,
        scale: int | None = None,
        good: Sequence[bool] | None = None,
    ) -> None:
        self.convention, self.scale, self.statistics = convention, scale, statistics
        self.excluded = statistics.excluded(good, live_only=convention.live_bands_only)
        bands = len(statistics.count)
        for band in set(range(bands)).difference(*convention.groups(bands)):
            self.excluded.setdefault(band, "outside the band groups of the convention")
        scored = [
            [b for b in group if b not in self.excluded] for group in convention.groups(bands)
        ]
        self._factor = _factor(convention, statistics, scored)
        self._groups = [_Group(convention, statistics, g, self._factor) for g in scored if g]
        if not self._groups:
            reasons = sorted(set(self.excluded.values()))
            raise InputDataError(
                f"found no band to score ({'; '.join(reasons)}), expected at least one; "
                "check nodata values, masks and the bad-band list of both files"
            )

    def add(self, reference: Float, predicted: Float, valid: Bool) -> None:
        """Count in the next strip below; all three of shape (bands, rows, cols), full width."""
        if self.convention.normalise:
            reference = reference * np.float64(self._factor)
            predicted = predicted * np.float64(self._factor)
        if self.convention.clip:
            predicted = np.clip(predicted, 0.0, 1.0)
        for group in self._groups:
            bands = _slice_of(group.bands)
            group.add(reference[bands], predicted[bands], valid[bands])

    def scores(self) -> Scores:
        """The figures so far: means over the groups of the convention."""
        found = [group.figures(self.scale) for group in self._groups]
        values = {name: float(np.mean([f[name] for f in found])) for name in FIGURES}
        return Scores(
            values=values,
            undefined={n: _why_undefined(n, self.scale) for n in values if math.isnan(values[n])},
            definitions=definitions(self.convention, self.scale),
            band_definitions=band_definitions(self.convention),
            bands=self._band_scores(),
            excluded=dict(sorted(self.excluded.items())),
            pixels=min(group.angles.count + group.angles.zero_spectra for group in self._groups),
            zero_spectra=max(group.angles.zero_spectra for group in self._groups),
            lost=self.statistics.lost,
        )

    def _band_scores(self) -> tuple[BandScores, ...]:
        """Per band, the mean over the groups that hold it."""
        rows: dict[int, list[Float64]] = {}
        for group in self._groups:
            for band, row in zip(group.bands, group.per_band().T, strict=True):
                rows.setdefault(band, []).append(row)
        return tuple(
            BandScores(band, *(float(v) for v in np.mean(rows[band], axis=0)))
            for band in sorted(rows)
        )


class _Group:
    """The sums of the bands that are scored together."""

    def __init__(
        self, convention: Convention, statistics: PairStatistics, bands: list[int], factor: float
    ) -> None:
        self.bands, self.convention = bands, convention
        low, high = statistics.range_of(bands)
        self.peak = 1.0 if convention.normalise else high
        self.spread = self.peak if convention.ssim_range == "peak" else high - low
        self.moments = BandMoments(statistics.mean[bands] * factor)
        self.ssim = LocalMean(len(bands), convention.ssim_kernel, ssim_index(self.spread))
        self.uiqi = LocalMean(len(bands), UNIFORM_8, quality_index)
        self.dtype = np.dtype(np.float32 if convention.single_precision else np.float64)
        self.angles = AngleSum(convention.sam_zeros, convention.sam_floor, self.dtype)

    def add(self, reference: Float, predicted: Float, valid: Bool) -> None:
        self.moments.add(reference, predicted, valid)
        if self.spread > 0:
            self.ssim.add(reference, predicted, valid)
        self.uiqi.add(reference, predicted, valid)
        self.angles.add(reference, predicted, valid)

    def figures(self, scale: int | None) -> dict[str, float]:
        """The seven figures of this group; NaN where one is undefined."""
        convention, moments, peak = self.convention, self.moments, self.peak
        mse = moments.mse if convention.psnr == "band" else np.array([moments.cube_mse])
        cc = moments.correlation if convention.cc == "band" else [moments.cube_correlation]
        cube = convention.rmse == "cube"
        rmse = math.sqrt(moments.cube_mse) if cube else float(moments.rmse.mean())
        if convention.rmse == "band/peak":
            rmse = rmse / peak if peak > 0 else math.nan
        return {
            "mpsnr": float(psnr_db(mse, peak, self.dtype).mean()),
            "mssim": _mean(self.ssim.mean),
            "sam": self.angles.mean_deg,
            "cc": _mean(np.asarray(cc)),
            "ergas": ergas(moments.rmse, moments.reference_mean, scale) if scale else math.nan,
            "rmse": rmse,
            "uiqi": _mean(self.uiqi.mean),
        }

    def per_band(self) -> Float64:
        """PSNR, SSIM, correlation, RMSE and quality index, shape (5, bands)."""
        moments = self.moments
        psnr = psnr_db(moments.mse, self.peak, self.dtype)
        return np.stack([psnr, self.ssim.mean, moments.correlation, moments.rmse, self.uiqi.mean])


def _factor(
    convention: Convention, statistics: PairStatistics, scored: Sequence[Sequence[int]]
) -> float:
    """What brings the largest scored value of the reference to 1, or 1 if that is not asked."""
    bands = [b for group in scored for b in group]
    if not convention.normalise or not bands:
        return 1.0
    high = statistics.range_of(bands)[1]
    if not high > 0:
        raise InputDataError(
            f"the reference's largest value is {high:g}, expected one above 0; "
            f"the convention {convention.name} divides by it, choose --convention hsisr"
        )
    return 1.0 / high


def _slice_of(bands: list[int]) -> slice | list[int]:
    """A slice, which copies nothing, where the bands are consecutive."""
    first, last = bands[0], bands[-1]
    return slice(first, last + 1) if last - first + 1 == len(bands) else bands


def _mean(values: Float64) -> float:
    """Over the bands where a figure is defined; NaN if it is nowhere."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else math.nan


def _why_undefined(name: str, scale: int | None) -> str:
    if name == "ergas" and scale is not None:
        return "every band of the reference has the mean 0"
    return UNDEFINED[name]
