"""Batches as tensors, made ahead in the background while the network computes."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch

from hsisr.datasets.patches import Batch, PatchSource

_AHEAD = 3
_THREADS = 2


Tensors = Batch[torch.Tensor]
"""A batch on its way to the device."""
Feed = Callable[[int], Tensors]
"""Gives the batch of a step; the next ones are begun."""


def on_device(batch: Tensors, device: torch.device) -> Tensors:
    """The same on a device."""
    return batch.each(lambda tensor: tensor.to(device, non_blocking=True))


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
        tensors = source.batch(step, first, count).each(torch.from_numpy)
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
