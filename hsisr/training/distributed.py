"""Several processes, on one machine or many, started by `torchrun`; or just this one.

Every process takes its own part of each batch, gradients are averaged by torch's
DistributedDataParallel, and the first process alone validates, decides and writes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn

from hsisr.errors import ResourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """The processes of a run, seen from one of them."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    """Number of the GPU to use on this machine."""

    @property
    def first(self) -> bool:
        """Whether this process validates, decides and writes."""
        return self.rank == 0

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network, with gradients averaged over all processes."""
        if self.count == 1:
            return network
        return nn.parallel.DistributedDataParallel(network)

    def from_first(self, values: list[float]) -> list[float]:
        """Numbers of the first process, in all of them."""
        if self.count == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64, device=_device())
        distributed.broadcast(shared, src=0)
        return shared.tolist()

    def mean(self, value: float) -> float:
        """The mean of a number over all processes."""
        if self.count == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64, device=_device())
        distributed.all_reduce(total)
        return float(total.item()) / self.count


def _device() -> str:
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"


@contextmanager
def joined_workers(device: str) -> Iterator[Workers]:
    """Join the processes that `torchrun` started; outside of it, a run of one process.

    NCCL is used on GPUs, where the device is auto or cuda, gloo elsewhere.

    Raises:
        ResourceError: The processes do not find each other.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1" or "RANK" not in os.environ:
        yield Workers()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    gpu = device in ("auto", "cuda") and local < torch.cuda.device_count()
    if gpu:
        torch.cuda.set_device(local)
    try:
        distributed.init_process_group("nccl" if gpu else "gloo")
    except (RuntimeError, ValueError) as error:
        raise ResourceError(
            f"the processes of this run do not find each other ({error}); check torchrun's "
            "--master-addr and --master-port"
        ) from error
    try:
        yield Workers(
            rank=distributed.get_rank(), count=distributed.get_world_size(), local_rank=local
        )
    finally:
        distributed.destroy_process_group()
