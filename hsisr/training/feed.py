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
    """A batch on its way to the device; see `Batch`."""

    lr: torch.Tensor
    hr: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor
    valid: torch.Tensor | None

    def on(self, device: torch.device) -> "Tensors":
        """The same on a device."""
        return self.each(lambda tensor: tensor.to(device, non_blocking=True))

    def each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Tensors":
        """The same with every tensor changed."""
        valid = None if self.valid is None else change(self.valid)
        lr, hr, mean, deviation = map(change, (self.lr, self.hr, self.mean, self.deviation))
        return Tensors(lr, hr, mean, deviation, valid)


Feed = Callable[[int], Tensors]
"""Gives the batch of a step; the next ones are begun."""


@contextmanager
def opened_feed(
    source: PatchSource, first: int, count: int, *, pin: bool = False
) -> Iterator[Feed]:
    """The samples `first` to `first + count - 1` of every batch: those of one process.

    They are made by threads, which end with the context; `pin` puts them into memory that a GPU
    reads fast.
    """
    coming: dict[int, Future[Tensors]] = {}

    def made(step: int) -> Tensors:
        batch = source.batch(step, first, count)
        arrays = (batch.lr, batch.hr, batch.mean, batch.deviation)
        lr, hr, mean, deviation = map(torch.from_numpy, arrays)
        valid = None if batch.valid is None else torch.from_numpy(batch.valid)
        tensors = Tensors(lr, hr, mean, deviation, valid)
        return tensors.each(torch.Tensor.pin_memory) if pin else tensors

    def take(step: int) -> Tensors:
        for number in range(step, step + _AHEAD):
            if number not in coming:
                coming[number] = pool.submit(made, number)
        return coming.pop(step).result()

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="patches")
    try:
        yield take
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
