"""What the benchmarks share: their options, seconds, and ratios of two ways that take turns."""

import argparse
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial


def options_of_pairs(
    description: str | None, *, size: str, bands: int, pairs: int
) -> argparse.ArgumentParser:
    """A parser with the size of the generated scene, and how many pairs are timed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--size", default=size, type=_size, metavar="ROWSxCOLS")
    parser.add_argument("--bands", type=int, default=bands)
    parser.add_argument("--pairs", type=int, default=pairs)
    return parser


def _size(text: str) -> tuple[int, int]:
    rows, cols = map(int, text.split("x"))
    return rows, cols


def seconds_of(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> float:
    """Wall-clock seconds of a command that must succeed."""
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.monotonic() - started


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


def cells_of_commands(one: Sequence[str], other: Sequence[str], pairs: int, digits: int = 2) -> str:
    """Cells of `medians_and_ratio` of two commands, after a pair that fills caches."""
    seconds = in_turns(partial(seconds_of, one), partial(seconds_of, other), pairs + 1)
    return medians_and_ratio(seconds[1:], digits)
