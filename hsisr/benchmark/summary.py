"""Many scores in few numbers: means, curves over the budget, ranks, paired differences."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np

from hsisr.benchmark.methods import PLAIN
from hsisr.benchmark.scoring import REMOTE
from hsisr.metrics.conventions import FIGURES
from hsisr.metrics.report import jsonable

Row = Mapping[str, Any]
SETTLED_DB: Final = 0.05
"""A network whose last doubling of the budget gained more has not converged, and has no rank."""
_LEAST_SCENES: Final = 4
"""With fewer, resampling them says nothing of other scenes."""
_RESAMPLES: Final = 10_000
_ENDS: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several seeds."""

    mean: float
    deviation: float | None
    """Sample standard deviation; None for a single seed."""
    n: int
    """Seeds."""

    def text(self, digits: int) -> str:
        """For tables.

        >>> Spread(30.126, 0.049, 3).text(2), Spread(30.126, None, 1).text(2)
        ('30.13 ± 0.05 (n=3)', '30.13')
        """
        if self.deviation is None:
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} ± {self.deviation:.{digits}f} (n={self.n})"


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation.

    >>> spread([1.0, 3.0])
    Spread(mean=2.0, deviation=1.4142135623730951, n=2)
    """
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), deviation, len(values))


def chosen(scores: Iterable[Row], **criteria: Any) -> list[Row]:
    """Scores with the values named, such as `blur="area"`."""
    return [r for r in scores if all(r[key] == value for key, value in criteria.items())]


def figures_over_seeds(
    scores: Iterable[Row], convention: str
) -> dict[tuple[str, str, int], dict[str, Spread]]:
    """(course, method, scale) -> figure -> spread; seeds that lack a scene do not count."""
    grouped: dict[tuple[str, str, int], dict[int, list[Row]]] = {}
    scenes: dict[str, set[str]] = {}
    for row in scores:
        key = (row["course"], row["method"], row["scale"])
        grouped.setdefault(key, {}).setdefault(row["seed"], []).append(row["figures"][convention])
        scenes.setdefault(row["course"], set()).add(row["scene"])
    found: dict[tuple[str, str, int], dict[str, Spread]] = {}
    for key, seeds in grouped.items():
        whole = [rows for rows in seeds.values() if len(rows) == len(scenes[key[0]])]
        for figure in FIGURES if whole else ():
            means = [_mean(rows, figure) for rows in whole]
            if all(math.isfinite(mean) for mean in means):
                found.setdefault(key, {})[figure] = spread(means)
    return found


def _mean(rows: Sequence[Row], figure: str) -> float:
    """Over scenes; not finite where a scene has none."""
    values = [row[figure] for row in rows]
    known = [v for v in values if isinstance(v, (int, float))]
    return statistics.fmean(known) if len(known) == len(values) else math.nan


def summaries(scores: Sequence[Row], convention: str) -> list[dict[str, Any]]:
    """Means by kind of scene, blur and agreement, with the gain in MPSNR over the baseline."""
    found = []
    ways = dict.fromkeys((r["kind"], r["blur"], r["agreement"]) for r in scores if r["share"] == 1)
    for kind, blur, agreement in ways:
        way = {"kind": kind, "blur": blur, "share": 1}
        base = figures_over_seeds(chosen(scores, **way, agreement=True), convention)
        own = figures_over_seeds(chosen(scores, **way, agreement=agreement), convention)
        for (course, method, scale), spreads in own.items():
            plain = base.get((course, PLAIN, scale), {}).get("mpsnr")
            mpsnr = spreads.get("mpsnr")
            found.append(
                {
                    "course": course,
                    "method": method,
                    "scale": scale,
                    "convention": convention,
                    "kind": kind,
                    "blur": blur,
                    "agreement": agreement,
                    "figures": {name: asdict(value) for name, value in spreads.items()},
                    "gain_db": mpsnr.mean - plain.mean if mpsnr and plain else None,
                }
            )
    return found


def headline(scores: Sequence[Row]) -> list[Row]:
    """What ranks are made of: remote-sensing scenes (any, where there are none), first blur.

    With agreement, at every share of the budget.
    """
    if not scores:
        return []
    remote = chosen(scores, kind=REMOTE) or list(scores)
    return chosen(remote, blur=scores[0]["blur"], agreement=True)


def curves(scores: Sequence[Row]) -> list[dict[str, Any]]:
    """Mean gain in MPSNR over the baseline after each share of the budget, by method and scale.

    `last_doubling_db` is what the second half of the budget gained; None where there is no score
    at the half. `converged` says whether that is at most `SETTLED_DB`; what is not trained is.
    """
    rows = headline(scores)
    found = []
    for course, method, scale in dict.fromkeys(
        (r["course"], r["method"], r["scale"]) for r in rows
    ):
        own = chosen(rows, course=course, method=method, scale=scale)
        base = chosen(rows, course=course, method=PLAIN, scale=scale)
        gains = {}
        for share in sorted({r["share"] for r in own}):
            differences = _differences(chosen(own, share=share), base)
            gains[share] = statistics.fmean(differences) if differences else math.nan
        last = gains[1.0] - gains[0.5] if {0.5, 1.0} <= gains.keys() else None
        trained = len(gains) > 1
        known = {f"{share:g}": jsonable(gain) for share, gain in gains.items()}
        found.append(
            {
                "course": course,
                "method": method,
                "scale": scale,
                "gain_db": known,
                "last_doubling_db": None if last is None else jsonable(last),
                "converged": not trained or (last is not None and last <= SETTLED_DB),
            }
        )
    return found


def _by_scene(rows: Iterable[Row]) -> dict[str, float]:
    """Mean MPSNR over seeds of each scene."""
    found: dict[str, list[float]] = {}
    for row in rows:
        value = row["figures"]["hsisr"]["mpsnr"]
        if isinstance(value, (int, float)):
            found.setdefault(row["scene"], []).append(value)
    return {scene: statistics.fmean(values) for scene, values in found.items()}


def _differences(rows: Iterable[Row], others: Iterable[Row]) -> list[float]:
    """Scene by scene, over the scenes that both have."""
    one, other = _by_scene(rows), _by_scene(others)
    return [one[scene] - other[scene] for scene in one if scene in other]


def scene_gains(scores: Sequence[Row], method: str) -> list[float]:
    """Gains of a method over the baseline, scene by scene, from scores judged in one way."""
    return _differences(chosen(scores, method=method), chosen(scores, method=PLAIN))


def interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """95 % bootstrap interval of a mean: percentiles over resampled scenes (Efron, 1979).

    None for fewer than 4 scenes.

    >>> interval([1.0, 1.0, 1.0, 1.0])
    (1.0, 1.0)
    """
    if len(differences) < _LEAST_SCENES:
        return None
    values = np.array(differences)
    drawn = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), _ENDS)
    return float(low), float(high)


def pairs(scores: Sequence[Row]) -> list[dict[str, Any]]:
    """Paired differences in MPSNR, scene by scene, of every two methods at the end of the budget.

    `excludes_zero` says whether the 95 % interval does; with few scenes it is a coarse one, with
    fewer than 4 there is none.
    """
    rows = chosen(headline(scores), share=1)
    found = []
    for course, scale in dict.fromkeys((r["course"], r["scale"]) for r in rows):
        own = chosen(rows, course=course, scale=scale)
        for one, other in combinations(dict.fromkeys(r["method"] for r in own), 2):
            differences = _differences(chosen(own, method=one), chosen(own, method=other))
            if not differences:
                continue
            ends = interval(differences)
            found.append(
                {
                    "course": course,
                    "scale": scale,
                    "methods": [one, other],
                    "scenes": len(differences),
                    "mean_db": statistics.fmean(differences),
                    "interval_db": ends,
                    "excludes_zero": ends is not None and (ends[0] > 0 or ends[1] < 0),
                }
            )
    return found
