"""Batches as tensors, made ahead in the background while the network computes."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import torch

from hsisr.datasets.patches import PatchSource

_AHEAD = 3
_THREADS = 2


class Tensors(NamedTuple):
    """A batch on its way to the device."""

    lr: torch.Tensor
    hr: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor
    valid: torch.Tensor | None

    def on(self, device: torch.device) -> "Tensors":
        """The same on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> "Tensors":
        """The same in memory that a GPU reads fast."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Tensors":
        valid = None if self.valid is None else change(self.valid)
        lr, hr, mean, deviation = map(change, (self.lr, self.hr, self.mean, self.deviation))
        return Tensors(lr, hr, mean, deviation, valid)


class Feed:
    """The part of every batch that belongs to one process.

    Args:
        source: Makes batches by number.
        pool: Where they are made.
        first: Number of this process's first sample within a batch.
        count: Samples per process.
        pin: Keep batches in memory that a GPU reads fast.
    """

    def __init__(
        self,
        source: PatchSource,
        pool: ThreadPoolExecutor,
        first: int,
        count: int,
        *,
        pin: bool = False,
    ) -> None:
        self._source, self._pool = source, pool
        self._first, self._count, self._pin = first, count, pin
        self._coming: dict[int, Future[Tensors]] = {}

    def take(self, step: int) -> Tensors:
        """The batch of a step; the next ones are begun."""
        for number in range(step, step + _AHEAD):
            if number not in self._coming:
                self._coming[number] = self._pool.submit(self._make, number)
        return self._coming.pop(step).result()

    def _make(self, step: int) -> Tensors:
        batch = self._source.batch(step, self._first, self._count)
        made = Tensors(
            torch.from_numpy(batch.lr),
            torch.from_numpy(batch.hr),
            torch.from_numpy(batch.mean),
            torch.from_numpy(batch.deviation),
            None if batch.valid is None else torch.from_numpy(batch.valid),
        )
        return made.pinned() if self._pin else made


@contextmanager
def opened_feed(
    source: PatchSource, first: int, count: int, *, pin: bool = False
) -> Iterator[Feed]:
    """A feed whose threads end with the context."""
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="patches")
    try:
        yield Feed(source, pool, first, count, pin=pin)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
