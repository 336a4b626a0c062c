"""How many bytes of tensors are alive at once while a network runs.

Torch's dispatch modes and weak references to storages are not part of its public interface. Only
this module uses them; where one is missing, importing it fails.
"""

from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _LiveStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors made under it and not yet freed, at the moment of most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                ref = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                self._live[ref.cdata] = (ref, storage.nbytes())
        self._live = {
            key: (ref, size)
            for key, (ref, size) in self._live.items()
            if not ref.expired()  # type: ignore[no-untyped-call]
        }
        self.peak = max(self.peak, sum(size for _, size in self._live.values()))
        return made


def most_live_bytes(network: nn.Module, tile: torch.Tensor) -> int:
    """Bytes of all tensors that a call makes and has not yet freed, at the moment of most."""
    with _LiveStorages() as storages:
        network(tile)
    return int(storages.peak)
