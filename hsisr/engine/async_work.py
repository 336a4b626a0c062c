"""Work beside other work: one task ahead in a thread, and transfers that a GPU does by itself."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

_Result = TypeVar("_Result")


def prefetch(
    tasks: Iterable[Callable[[], _Result]], thread: ThreadPoolExecutor
) -> Iterator[_Result]:
    """Results in order; one task at a time runs in `thread`, which may serve many calls.

    An error of a task is raised where its result would have come. Whoever leaves the thread waits
    for the task under way.

    >>> with ThreadPoolExecutor(1) as thread:
    ...     list(prefetch([lambda: 1, lambda: 2], thread))
    [1, 2]
    """
    before: Future[_Result] | None = None
    for task in tasks:
        coming = thread.submit(task)
        if before is not None:
            yield before.result()
        before = coming
    if before is not None:
        yield before.result()


def under_way(begun: Iterable[Callable[[], _Result]], most: int) -> Iterator[_Result]:
    """Results in order, of work that goes on by itself once it is begun.

    Args:
        begun: Begins the next piece when asked for it; what it gives waits for the result.
        most: Pieces under way at once; with 1 the next is begun when the last result was used.

    >>> list(under_way([lambda: 1, lambda: 2], most=2))
    [1, 2]
    """
    waiting: deque[Callable[[], _Result]] = deque()
    for wait in begun:
        waiting.append(wait)
        if len(waiting) >= most:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


class Transfers(ABC):
    """To a device and back, without waiting for what it has to do."""

    @abstractmethod
    def to_device(self, host: torch.Tensor) -> torch.Tensor:
        """A copy on the device, for what is asked of it next."""

    @abstractmethod
    def to_host(self, found: Sequence[torch.Tensor]) -> Callable[[], list[torch.Tensor]]:
        """Begin to copy results of what was asked of the device so far.

        Args:
            found: Contiguous, on the device; not written to any more.

        Returns:
            What waits for the copies, in the same order, on the CPU.
        """


class CudaTransfers(Transfers):
    """By CUDA; what leaves has a stream of its own, so that the next batch computes meanwhile."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._outgoing = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def to_device(self, host: torch.Tensor) -> torch.Tensor:
        """See `Transfers.to_device`."""
        return host.pin_memory().to(self._device, non_blocking=True)

    def to_host(self, found: Sequence[torch.Tensor]) -> Callable[[], list[torch.Tensor]]:
        """See `Transfers.to_host`."""
        computed = torch.cuda.current_stream(self._device).record_event()
        hosts = [torch.empty(x.shape, dtype=x.dtype, pin_memory=True) for x in found]
        with torch.cuda.stream(self._outgoing):
            self._outgoing.wait_event(computed)
            for host, x in zip(hosts, found, strict=True):
                host.copy_(x, non_blocking=True)
                x.record_stream(self._outgoing)
            copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            copied.record(self._outgoing)

        def wait() -> list[torch.Tensor]:
            copied.synchronize()
            return hosts

        return wait
