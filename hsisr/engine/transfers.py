"""Tiles to a GPU and results back while it computes, through memory that the system leaves alone.

Copies from and to pinned memory go on by themselves. Torch keeps a pinned buffer that was let go of
from being used again until the copies asked of it are done.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch


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
    """By CUDA; what leaves has a stream of its own, so that the next batch computes meanwhile.

    Args:
        device: A CUDA device.
    """

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
