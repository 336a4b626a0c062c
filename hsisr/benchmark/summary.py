"""Many scores in few numbers: means over scenes, then mean and spread over seeds."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hsisr.benchmark.methods import PLAIN
from hsisr.metrics.conventions import FIGURES

Row = Mapping[str, Any]


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


def figures_over_seeds(
    scores: Iterable[Row], judges: int, convention: str
) -> dict[tuple[str, str, int], dict[str, Spread]]:
    """(course, method, scale) -> figure -> spread; seeds that lack a scene do not count.

    Args:
        scores: Facts of all score cells of one course.
        judges: Scenes a complete seed has.
        convention: Which of the figures.
    """
    grouped: dict[tuple[str, str, int], dict[int, list[Row]]] = {}
    for row in scores:
        key = (row["course"], row["method"], row["scale"])
        grouped.setdefault(key, {}).setdefault(row["seed"], []).append(row["figures"][convention])
    found: dict[tuple[str, str, int], dict[str, Spread]] = {}
    for key, seeds in grouped.items():
        whole = [rows for rows in seeds.values() if len(rows) == judges]
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


def summary_rows(
    figures: Mapping[tuple[str, str, int], Mapping[str, Spread]], convention: str
) -> list[dict[str, Any]]:
    """Plain values for JSON, with the gain in MPSNR over bicubic."""
    rows = []
    for (course, method, scale), spreads in figures.items():
        plain = figures.get((course, PLAIN, scale), {}).get("mpsnr")
        own = spreads.get("mpsnr")
        rows.append(
            {
                "course": course,
                "method": method,
                "scale": scale,
                "convention": convention,
                "figures": {name: asdict(value) for name, value in spreads.items()},
                "gain_db": own.mean - plain.mean if own and plain else None,
            }
        )
    return rows
