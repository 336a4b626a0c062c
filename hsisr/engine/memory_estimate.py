"""How much memory a network takes for a tile, found without running it; how many tiles at once.

The network is called once on torch's meta device, where tensors have shapes and no numbers, and
every storage that is alive after an operation is counted.
"""

import copy
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hsisr.engine.plan import memory_at_hand

_SHARE = 4
"""One part in this many of what is free may be taken by the network's features."""
_GPU_TILES = 16
"""More at once make no GPU busier."""
_CPU_TILES = 12
"""On a processor these are hardly done later than more at once."""
_CPU_FEATURES_BYTES = {4: 64 * 2**20, 2: 192 * 2**20}
"""All their features take at most, for the bytes of one number: more would hardly be done sooner
and take the memory. In half precision products take half the time, and calls weigh more."""
_CPU_LR_PIXELS = {4: 8192, 2: 16384}
"""More leave the cache."""


@dataclass(frozen=True, slots=True)
class Room:
    """Memory that a plan may count on; with the same room, the same plan."""

    working_bytes: int
    """For numbers on their way: see `memory_at_hand`."""
    tile_bytes: int
    """For the features of the tiles at work, on the device."""


class _LiveStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors made inside and not yet let go."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak_bytes = 0
        self._live: dict[int, tuple[Any, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                ref = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                self._live[ref.cdata] = (ref, storage.nbytes())
        self._live = {key: found for key, found in self._live.items() if not found[0].expired()}
        self.peak_bytes = max(self.peak_bytes, sum(size for _, size in self._live.values()))
        return made


def tile_bytes(network: nn.Module, bands: int, side_px: int) -> int:
    """Most bytes that a network's features take for one tile, in float32; its weights apart.

    What an operation takes for itself on the way, such as a convolution that unfolds its input, is
    not seen.

    Args:
        network: Takes (n, bands, rows, cols); left as it is.
        bands: Of a group.
        side_px: Of the tile with its context, in LR pixels.

    >>> tile_bytes(nn.Conv2d(4, 8, 1), bands=4, side_px=10)
    3200
    """
    shapes_only = copy.deepcopy(network).to("meta").eval()
    tile = torch.empty(1, bands, side_px, side_px, device="meta")
    with torch.inference_mode(), _LiveStorages() as live:
        shapes_only(tile)
    return int(live.peak_bytes)


def tiles_that_pay(
    side_px: int, bytes_each: int, device: torch.device, precision: torch.dtype
) -> int:
    """Tiles at once beyond which none is done much sooner; at least 1.

    Args:
        side_px: Of the tile with its context, in LR pixels.
        bytes_each: What `tile_bytes` gives for it.
        device: Where the network runs.
        precision: Of the features.
    """
    if device.type == "cuda":
        return _GPU_TILES
    size = precision.itemsize
    fitting = _CPU_FEATURES_BYTES[size] // max(1, bytes_each * size // 4)
    return max(1, min(_CPU_TILES, _CPU_LR_PIXELS[size] // side_px**2, fitting))


def room_at_hand(device: torch.device) -> Room:
    """What may be taken now: of the device, a quarter of what is free there."""
    if device.type == "cuda":
        free = int(torch.cuda.mem_get_info(device)[0])
    else:
        free = int(psutil.virtual_memory().available)
    return Room(working_bytes=memory_at_hand(), tile_bytes=free // _SHARE)
