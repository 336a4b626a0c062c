"""Reading a part of a Zarr array piece by piece, so that few chunks are unpacked at once.

zarr unpacks as many chunks together as its settings say, in shards as many again. Each may take
more than its share, so a piece has no more chunks than may be in memory together.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Span = tuple[int, int]
"""First index along an axis, and one past the last."""


def read_in_pieces(array: Any, place: Any, most: int) -> npt.NDArray[Any]:
    """What `array[place]` is, read such that no more than so many chunks are at work at once.

    Args:
        array: Of zarr's.
        place: Slices without steps along its first axes, or `...` for all of it.
        most: Chunks at once, at least 1; of an array in shards, those inside of them.
    """
    given = () if place is ... else place if isinstance(place, tuple) else (place,)
    slices = [*given, *[slice(None)] * (len(array.shape) - len(given))]
    spans = [s.indices(int(n))[:2] for s, n in zip(slices, array.shape, strict=True)]
    steps = _steps(spans, array.chunks, most)
    runs = [list(_runs(span, step)) for span, step in zip(spans, steps, strict=True)]
    if all(len(along) <= 1 for along in runs):
        return np.asarray(array[place])
    whole: npt.NDArray[Any] | None = None
    for piece in product(*runs):
        found = np.asarray(array[tuple(slice(*run) for run in piece)])
        if whole is None:
            whole = np.empty([end - start for start, end in spans], found.dtype)
        inside = zip(piece, spans, strict=True)
        whole[tuple(slice(a - start, b - start) for (a, b), (start, _) in inside)] = found
    return np.asarray(array[place]) if whole is None else whole


def _steps(spans: list[Span], chunks: tuple[int, ...], most: int) -> list[int]:
    """Indices along each axis of a piece: whole chunks, the last axis first.

    >>> _steps([(0, 10), (5, 30), (0, 8)], (1, 10, 4), 4)
    [1, 20, 8]
    """
    left, steps = most, []
    for (start, end), side in reversed(list(zip(spans, chunks, strict=True))):
        touched = -(-end // side) - start // side
        run = max(1, min(touched, left))
        steps.append(run * side)
        left //= run
    return steps[::-1]


def _runs(span: Span, step: int) -> Iterator[Span]:
    """A span cut where whole chunks end.

    >>> list(_runs((5, 30), 20))
    [(5, 20), (20, 30)]
    """
    start, end = span
    while start < end:
        cut = min(end, (start // step + 1) * step)
        yield start, cut
        start = cut
