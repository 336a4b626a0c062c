"""What the benchmarks share: the machine in one line, and ratios of two ways that take turns."""

import os
import platform
import statistics
from collections.abc import Callable, Sequence


def print_machine() -> None:
    """Processor, cores, Python."""
    name = platform.processor() or platform.machine()
    print(f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}\n")


def in_turns(
    one: Callable[[], float], other: Callable[[], float], pairs: int
) -> list[tuple[float, float]]:
    """Seconds of both, pair by pair."""
    return [(one(), other()) for _ in range(pairs)]


def medians_and_ratio(pairs: Sequence[tuple[float, float]], digits: int = 2) -> str:
    """Cells of a table: median seconds of both, and the median ratio with its spread."""
    ratios = sorted(one / other for one, other in pairs)
    first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
    low, middle, high = (
        f"{value:.{digits}f}" for value in (ratios[0], statistics.median(ratios), ratios[-1])
    )
    return f"{first:.1f} | {second:.1f} | {middle} ({low} to {high})"
