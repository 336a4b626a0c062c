"""Pseudo-bands: means of runs of neighbouring bands, which a network sees in place of all bands.

Bands of a scene are close to linear combinations of a few. So the network adds detail to K
pseudo-bands, and

    band b = its own bicubic with agreement + sum over k of expansion[b, k] * detail[k],

with the expansion found by ridge regression of bands on pseudo-bands over the observed pixels. Its
cross-covariance is without each band's own noise, the part that no other band explains
(Bioucas-Dias and Nascimento, "Hyperspectral subspace identification", TGRS 46(8), 2008, equation
7), so that a pseudo-band does not explain a band by the noise that it took over from it.
"""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hsisr.engine.reading import BandMoments, BandStatistics, Reading, row_strips
from hsisr.io.base import Scene
from hsisr.scene.metadata import Cube, all_valid

PSEUDO_BANDS = (32, 64, 96)
"""Numbers of pseudo-bands to choose from."""
PIXELS_PER_PSEUDO_BAND = 20
"""Fewer pixels valid in all used bands do not settle the regression; all bands are seen then."""
_GAIN = 0.005
"""More pseudo-bands have to lower the residual of held-out rows (root mean square over the bands,
each in its own standard deviations) by this, by twice as much where they take twice as many passes
of the network; see `docs/decisions/0009`."""
_FEW = 2
"""A network that takes more bands at once than the fewest pseudo-bands sees the bands themselves
where they are at most so many times as many; see `docs/decisions/0009`."""
RIDGE = 1e-2
"""Added to the variances of pseudo-bands, which are 1. On six training scenes at x2 the mean gain
differs by 0.012 dB between 1e-3 and 1e-1 (`docs/benchmarks/mixing.py`)."""
_MOST_PIXELS = 2**18
"""About so many pixels, spread over the scene, are enough for the covariance."""
_PIXELS_AT_ONCE = 1024
"""Of all bands, whose numbers then stay in the cache."""
_WINDOW = 5
"""Bands, the middle one among them, whose median says what is expected of the middle one."""
_SPIKE = 6.0
"""A band farther from its neighbours, in standard deviations of that distance, is a spike."""
_LEAST_SPREAD = 0.1
"""Of that distance, in standard deviations of the band."""

Numbers = npt.NDArray[np.float32]
Precise = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mixing:
    """How bands become pseudo-bands, and how their detail comes back; float32 throughout."""

    order: npt.NDArray[np.int64]
    """0-based bands that are used, in spectral order, shape (used,)."""
    edges: npt.NDArray[np.int64]
    """Pseudo-band k is the mean of the bands order[edges[k] : edges[k + 1]]; shape (K + 1,)."""
    expansion: Numbers
    """Detail of a band for one of each pseudo-band, in the scene's numbers; shape (bands, K), 0
    for bands that are not used."""
    centre: Numbers
    """Means of the used bands, shape (used,)."""
    scale: Numbers
    """Their standard deviations."""
    spread: Numbers
    """Standard deviations of the distance from their spectral neighbours, in units of `scale`."""
    mean: Numbers
    """Means of the pseudo-bands over the observed pixels, shape (K,)."""
    variance: Numbers
    """Variances of the pseudo-bands."""

    @property
    def count(self) -> int:
        """Number of pseudo-bands."""
        return len(self.edges) - 1

    @property
    def statistics(self) -> BandStatistics:
        """Of the pseudo-bands, for the network's normalisation; no ranges."""
        unknown = np.full(self.count, np.nan)
        return BandStatistics(
            count=np.ones(self.count, np.int64),
            mean=self.mean.astype(np.float64),
            variance=self.variance.astype(np.float64),
            minimum=unknown,
            maximum=unknown,
        )

    def subset(self, bands: Sequence[int]) -> "Mixing":
        """For a scene of these bands alone; all used ones have to be among them."""
        place = {band: position for position, band in enumerate(bands)}
        order = np.array([place[band] for band in self.order.tolist()], np.int64)
        return replace(self, order=order, expansion=self.expansion[list(bands)])

    def without(self, bands: Sequence[int]) -> "Mixing":
        """These bands get no detail."""
        expansion = self.expansion.copy()
        expansion[list(bands)] = 0
        return replace(self, expansion=expansion)

    def mixed(
        self, values: Numbers, valid: npt.NDArray[np.bool_]
    ) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Pseudo-bands of filled LR values (bands, rows, cols), and where any used band is data.

        Returns:
            Both of shape (K, rows, cols).
        """
        values = self._despiked(values, valid)
        pseudo = np.empty((self.count, *values.shape[1:]), np.float32)
        for number, (start, end) in enumerate(pairwise(self.edges.tolist())):
            total = values[start].copy()
            for other in values[start + 1 : end]:  # one after the other: a fixed order of sums
                total += other
            pseudo[number] = total * np.float32(1 / (end - start))
        some = np.True_ if all_valid(valid) else valid[self.order].any(axis=0)
        return pseudo, np.broadcast_to(some, pseudo.shape)

    def _despiked(self, values: Numbers, valid: npt.NDArray[np.bool_]) -> Numbers:
        """Used bands in spectral order; a band without data here takes its neighbour's shape."""
        centre, scale = (x[:, None, None] for x in (self.centre, self.scale))
        used = values[self.order]
        if not all_valid(valid):
            seen = np.flatnonzero(valid[self.order].any(axis=(1, 2)))
            if 0 < len(seen) < len(used):
                every = np.arange(len(used))
                near = seen[np.abs(every[:, None] - seen).argmin(axis=1)]
                missing = np.setdiff1d(every, seen)
                other = near[missing]
                shape = (used[other] - centre[other]) / scale[other]
                used[missing] = shape * scale[missing] + centre[missing]
        return despiked(used, centre, scale, self.spread[:, None, None]).astype(
            np.float32, copy=False
        )


def despiked(
    values: npt.NDArray[np.floating],
    centre: npt.NDArray[np.floating],
    scale: npt.NDArray[np.floating],
    spread: npt.NDArray[np.floating],
) -> Numbers | Precise:
    """Values without spikes of single bands, which no pseudo-band may pass on to other bands.

    A value is a spike where, in standard units, it is farther from the median of itself and its
    four nearest bands than 6 times `spread`, the standard deviation of that distance in units of
    `scale`; it becomes that median. Values are in spectral order, shape (bands, ...), and left as
    they are; the others, of each band, are broadcast against them.
    """
    standard = (values - centre) / scale
    expected = _neighbour_median(standard)
    spikes = np.abs(standard - expected) > _SPIKE * spread
    if not spikes.any():
        return values
    return np.where(spikes, expected * scale + centre, values)


def _first_neighbours(bands: int) -> npt.NDArray[np.int64]:
    """For each band the first of the five bands that its median is taken over."""
    return np.clip(np.arange(bands) - _WINDOW // 2, 0, bands - _WINDOW)


def _neighbour_median(values: npt.NDArray[np.floating]) -> Numbers | Precise:
    """The median over each band and its four nearest ones, shape (bands, ...)."""
    if len(values) < _WINDOW:
        return values
    found, before = np.empty_like(values), -1
    for band, first in enumerate(_first_neighbours(len(values)).tolist()):
        if first == before:
            found[band] = found[band - 1]
            continue
        a, b, c, d, e = values[first : first + _WINDOW]
        low = np.maximum(np.minimum(a, b), np.minimum(c, d))
        high = np.minimum(np.maximum(a, b), np.maximum(c, d))
        small, large = np.minimum(low, high), np.maximum(low, high)
        np.maximum(small, np.minimum(large, e), out=found[band])
        before = first
    return found


@dataclass(frozen=True, slots=True, eq=False)
class SceneStatistics:
    """What is measured of a scene once, before it is upscaled."""

    bands: BandStatistics
    """Of all bands of the scene."""
    mixing: Mixing | None = None
    """None: the network sees the bands themselves."""
    reference: BandStatistics | None = None
    """Of another scene, which the network's input is normalised by; None: by those of this one."""

    @property
    def floors(self) -> tuple[float, ...]:
        """As `BandStatistics.floors`, of both scenes where there are two."""
        both = (self.bands, *(() if self.reference is None else (self.reference,)))
        return tuple(min(floors) for floors in zip(*(found.floors for found in both), strict=True))

    def subset(self, bands: Sequence[int]) -> "SceneStatistics":
        """Of these bands alone."""
        return SceneStatistics(
            self.bands.subset(bands),
            self.mixing and self.mixing.subset(bands),
            self.reference and self.reference.subset(bands),
        )

    @property
    def digest(self) -> str:
        """A hash of every number."""
        found = hashlib.sha256()
        for name, array in sorted(self._arrays().items()):
            found.update(name.encode() + repr((array.dtype.str, array.shape)).encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def as_bytes(self) -> bytes:
        """As an .npz archive."""
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **self._arrays())
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "SceneStatistics":
        """From what `as_bytes` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                parts = {
                    name: {
                        key.partition(".")[2]: arrays[key] for key in arrays if key.startswith(name)
                    }
                    for name in ("bands.", "mixing.", "reference.")
                }
            bands, mixing, reference = parts.values()
            return cls(
                BandStatistics(**bands),
                Mixing(**mixing) if mixing else None,
                BandStatistics(**reference) if reference else None,
            )
        except (OSError, LookupError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise ValueError(f"not the statistics of a scene: {error}") from error

    def _arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        return {
            f"{part.name}.{f.name}": getattr(held, f.name)
            for part in fields(self)
            if (held := getattr(self, part.name)) is not None
            for f in fields(held)
        }


def measure_scene(
    scene: Scene,
    used: npt.NDArray[np.bool_] | None,
    reading: Reading | None = None,
    *,
    least: int = PSEUDO_BANDS[0],
    asked: bool = False,
) -> SceneStatistics:
    """Read a scene once, by whole rows, for the statistics of its bands and their mixing.

    Pseudo-bands may be made of the bands in `used`, shape (bands,), without which no mixing is
    wanted; the network sees `least` of them at once, so that fewer would save nothing. If they are
    `asked` for, they need save one pass only.
    """
    metadata = scene.metadata
    moments = BandMoments(metadata.bands)
    covariance = None
    if used is not None and np.count_nonzero(used) > least:
        wavelengths = metadata.spectral_axis.wavelengths_nm
        order = np.arange(metadata.bands)
        if wavelengths is not None:
            order = np.argsort(wavelengths, kind="stable")
        covariance = _Covariance(order[used[order]], metadata.rows * metadata.cols)
    for row, cube in row_strips(scene, reading):
        moments.add(cube)
        if covariance is not None:
            covariance.add(row, cube)
    statistics = moments.statistics()
    mixing = None if covariance is None else covariance.mixing(metadata.bands, least, asked=asked)
    return SceneStatistics(statistics, mixing)


@dataclass(slots=True)
class _Sums:
    """Of pixels, relative to a fixed shift of each band."""

    count: int
    total: Precise
    products: Precise

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(
            self.count + other.count, self.total + other.total, self.products + other.products
        )

    def about(self, centre: Precise) -> Precise:
        """Mean products of the differences from `centre`, which is relative to the shift too."""
        mean = self.total / self.count
        cross = np.outer(mean, centre)
        found: Precise = self.products / self.count - cross - cross.T + np.outer(centre, centre)
        return found


class _Covariance:
    """Of the bands, over pixels that are valid in all of them; every fourth row is held out."""

    def __init__(self, order: npt.NDArray[np.int64], pixels: int) -> None:
        self._order, self._step = order, max(1, pixels // _MOST_PIXELS)
        self._alive = np.zeros(len(order), np.bool_)
        self._reset()

    def _reset(self) -> None:
        """A pixel without a band that comes later is not valid in all bands."""
        bands = int(self._alive.sum())
        self._shift: Precise | None = None
        self._fitted, self._held = (
            _Sums(0, np.zeros(bands), np.zeros((bands, bands))) for _ in range(2)
        )

    def add(self, row: int, cube: Cube) -> None:
        """Take whole rows of the scene, the first of them `row`."""
        valid = cube.valid[self._order]
        seen = np.asarray(valid.any(axis=(1, 2)))
        if (seen & ~self._alive).any():
            self._alive |= seen
            self._reset()
        if not seen[self._alive].all():
            return
        rows, cols = np.nonzero(valid[self._alive].all(axis=0))
        chosen = ((row + rows) * valid.shape[2] + cols) % self._step == 0
        rows, cols = rows[chosen], cols[chosen]
        if not len(rows):
            return
        values = cube.values[self._order[self._alive][:, None], rows, cols].astype(np.float64)
        values = _robust(values)
        if self._shift is None:
            self._shift = values.mean(axis=1)
        values -= self._shift[:, None]
        held = (row + rows) % 4 == 3
        for sums, part in ((self._fitted, values[:, ~held]), (self._held, values[:, held])):
            sums.count += part.shape[1]
            sums.total += part.sum(axis=1)
            sums.products += part @ part.T

    def mixing(self, bands: int, least: int, *, asked: bool) -> Mixing | None:
        """The mixing of a scene of so many bands; None where there are too few bands or pixels."""
        every = self._fitted + self._held
        if self._shift is None or not self._fitted.count or not self._held.count:
            return None
        mean = every.total / every.count
        variance = np.diag(every.about(mean))
        live = np.flatnonzero(variance > (1e-6 * (mean + self._shift)) ** 2)
        wide = least > PSEUDO_BANDS[0]
        if wide and not asked and len(live) <= _FEW * least:
            return None
        possible = [k for k in PSEUDO_BANDS if least <= k < len(live)]
        if not possible:
            return None
        deviation = np.sqrt(variance[live])
        fitted, held, whole = (
            sums.about(mean)[np.ix_(live, live)] / np.outer(deviation, deviation)
            for sums in (self._fitted, self._held, every)
        )
        k = _fewest_enough(possible, fitted, held, deviation, 2 * _GAIN if wide else _GAIN)
        if every.count < k * PIXELS_PER_PSEUDO_BAND:
            return None
        order, centre = self._order[self._alive][live], (mean + self._shift)[live]
        return _mixing(k, bands, order, whole, centre, deviation, every.count)


def _robust(values: Precise) -> Precise:
    """Takes spikes from pixels (bands, n) of a strip, in units that no spike decides on."""
    sample = values[:, :: max(1, values.shape[1] // 4096)]
    centre = np.median(sample, axis=1, keepdims=True)
    scale = 1.4826 * np.median(np.abs(sample - centre), axis=1, keepdims=True)
    scale = np.where(scale > 0, scale, values.std(axis=1, keepdims=True))
    scale = np.where(scale > 0, scale, 1.0)
    standard = (sample - centre) / scale
    distance = np.abs(standard - _neighbour_median(standard))
    spread = 1.4826 * np.median(distance, axis=1, keepdims=True)
    spread = np.maximum(spread, _LEAST_SPREAD)
    for start in range(0, values.shape[1], _PIXELS_AT_ONCE):
        few = values[:, start : start + _PIXELS_AT_ONCE]
        few[:] = despiked(few, centre, scale, spread)
    return values


def _edges(bands: int, k: int) -> npt.NDArray[np.int64]:
    return np.linspace(0, bands, k + 1).round().astype(np.int64)


def _means(bands: int, k: int) -> Precise:
    """The matrix of the means over runs, shape (k, bands)."""
    found, edges = np.zeros((k, bands)), _edges(bands, k)
    for number, (start, end) in enumerate(pairwise(edges.tolist())):
        found[number, start:end] = 1 / (end - start)
    return found


def _fewest_enough(
    possible: Sequence[int], fitted: Precise, held: Precise, deviation: Precise, gain: float
) -> int:
    """The smallest number from which the next lowers the residual of held-out rows by less."""
    residuals = [held_out_residual(k, fitted, held, deviation) for k in possible]
    for k, now, then in zip(possible, residuals, residuals[1:], strict=False):
        if now - then < gain:
            return k
    return possible[-1]


def held_out_residual(k: int, fitted: Precise, held: Precise, deviation: Precise) -> float:
    """What k pseudo-bands leave of held-out rows: root mean square, in deviations of each band."""
    means = _means(len(fitted), k) * deviation
    left = np.eye(len(fitted)) - _regression(fitted, means) @ means
    variance = np.einsum("ij,jk,ik->", left, held, left, optimize=True) / len(fitted)
    return float(np.sqrt(max(0.0, variance)))


def _regression(covariance: Precise, means: Precise, noise: Precise | None = None) -> Precise:
    """Ridge regression, shape (bands, k), of bands on pseudo-bands, which are `means` of bands.

    `noise` are variances of the bands that the pseudo-bands are not to explain; None: 0.
    """
    cross = covariance @ means.T
    if noise is not None:
        cross -= noise[:, None] * means.T
    among = means @ covariance @ means.T
    deviation = np.sqrt(np.diag(among))
    among = among / np.outer(deviation, deviation) + RIDGE * np.eye(len(means))
    found: Precise = np.linalg.solve(among, (cross / deviation).T).T / deviation
    return found


def _noise(correlation: Precise, pixels: int) -> Precise:
    """The share of each band's variance that no other band explains."""
    bands = len(correlation)
    inverse = np.linalg.inv(correlation + 1e-6 * np.eye(bands))
    freedom = max(pixels - bands, pixels // 4) / pixels
    return np.minimum(1.0, 1 / (np.diag(inverse) * freedom))


def _mixing(
    k: int,
    bands: int,
    order: npt.NDArray[np.int64],
    correlation: Precise,
    centre: Precise,
    deviation: Precise,
    pixels: int,
) -> Mixing:
    used = len(order)
    means = _means(used, k)
    in_numbers = means * deviation  # of standard bands, the pseudo-bands of the scene's numbers
    regression = _regression(correlation, in_numbers, _noise(correlation, pixels))
    expansion = np.zeros((bands, k), np.float32)
    expansion[order] = deviation[:, None] * regression
    apart = np.eye(used)
    for band, first in enumerate(_first_neighbours(used)):
        others = [other for other in range(first, first + _WINDOW) if other != band]
        apart[band, others] = -1 / len(others)
    spread = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", apart, correlation, apart), 0))
    return Mixing(
        order=order,
        edges=_edges(used, k),
        expansion=expansion,
        centre=centre.astype(np.float32),
        scale=deviation.astype(np.float32),
        spread=np.maximum(spread, _LEAST_SPREAD).astype(np.float32),
        mean=(means @ centre).astype(np.float32),
        variance=np.diag(in_numbers @ correlation @ in_numbers.T).astype(np.float32),
    )
