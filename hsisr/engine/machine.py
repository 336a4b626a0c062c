"""The machine a run has: device and precision of the network, threads, memory.

Memory is how much a network takes, large arrays outside the C library's heap, and that heap.
"""

import copy
import ctypes
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psutil
import torch
from torch import nn

from hsisr.errors import ResourceError, UsageError

PRECISIONS: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Precisions of the network by name; everything around it is float32."""
CPU_INFO: Final = Path("/proc/cpuinfo")
_BFLOAT16_FLAGS: Final = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
"""As Linux calls them on x86-64, and on ARM the last."""


def device_named(name: str) -> torch.device:
    """The device of that name; `auto` takes CUDA, then MPS, then the processor.

    Raises:
        UsageError: The name means nothing.
        ResourceError: This machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available():
            name = "mps"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise UsageError(f"no device {name!r}; expected auto, cpu, cuda, cuda:N or mps")
    count = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if kind != "cpu" and int(number or 0) >= count[kind]:
        raise ResourceError(
            f"device {name!r} is not there: torch {torch.__version__} sees {count[kind]} "
            f"{kind} devices; use --device cpu, or install a build of torch for this device"
        )
    return torch.device(name)


def automatic_precision(device: torch.device) -> str:
    """The precision that `auto` means on a device.

    bfloat16 where its products are faster than those of float32: on GPUs that have it, and on
    processors with instructions for it, as Linux alone tells. Elsewhere it would be emulated.
    """
    has = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        with suppress(OSError):
            words = CPU_INFO.read_text(encoding="utf-8", errors="replace").split()
            has = not _BFLOAT16_FLAGS.isdisjoint(words)
    return "bfloat16" if has else "float32"


def precision_named(name: str, device: torch.device) -> torch.dtype:
    """The network's precision of that name on that device.

    Raises:
        UsageError: The name means nothing, or the device cannot do it.
    """
    if (dtype := PRECISIONS.get(name)) is None:
        raise UsageError(f"no precision {name!r}; expected one of {', '.join(PRECISIONS)}")
    if dtype is torch.float16 and device.type == "cpu":
        raise UsageError("float16 needs a GPU; on the processor use bfloat16 or float32")
    return dtype


_COUNTS: Final[dict[int, int]] = {}
"""Torch's threads outside of `torch_threads`, for each Python thread inside."""
_COUNTING: Final = threading.Lock()


@contextmanager
def torch_threads(threads: int | None) -> Iterator[int]:
    """Let torch use that many processor threads, None: as many as before; gives the number in use.

    Torch hands the number last set, by whatever thread, to threads that are new to it: these take
    that of the others before any was here.
    """
    me = threading.get_ident()
    with _COUNTING:
        outermost, before = me not in _COUNTS, torch.get_num_threads()
        if outermost:
            before = _COUNTS[me] = next(iter(_COUNTS.values()), before)
    torch.set_num_threads(threads or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
        if outermost:
            with _COUNTING:
                del _COUNTS[me]


def one_thread_each(tasks: int, name: str) -> ThreadPoolExecutor:
    """Threads for so many tasks at once, each of which computes on its own thread alone.

    >>> with one_thread_each(2, "tiles") as threads:
    ...     list(threads.map(lambda _: torch.get_num_threads(), range(3)))
    [1, 1, 1]
    """
    return ThreadPoolExecutor(
        tasks, thread_name_prefix=name, initializer=torch.set_num_threads, initargs=(1,)
    )


WORKING_BYTES = 384 * 2**20
"""Most that is held at once, the interpreter and its libraries apart."""

_LEAST_BYTES = 48 * 2**20

BASE_BYTES = 450 * 2**20
"""What Python, torch, GDAL and its cache take before any work."""

_SHARE = 4
"""One part in this many of what is free may be taken."""
_GPU_TILES = 16
"""More at once make no GPU busier."""
_PROBE_PX = 24
"""LR pixels along a side of a tile for which a processor's network is asked; larger ones take in
proportion to their pixels."""


@dataclass(frozen=True, slots=True)
class Room:
    """Memory that a plan may count on; with the same room, the same plan."""

    working_bytes: int
    """For numbers on their way: within reason."""
    tile_bytes: int
    """For the features of the tiles at work, on the device."""


def tile_bytes(network: nn.Module, bands: int, side_px: int) -> int:
    """Most bytes that a network's features take for one tile, in float32; its weights apart.

    The tile has `bands` bands, `side_px` LR pixels along a side with its context. What an operation
    takes for itself on the way, such as a convolution that unfolds its input, is not seen.

    >>> tile_bytes(nn.Conv2d(4, 8, 1), bands=4, side_px=10)
    3200
    """
    on_gpu = any(p.is_cuda for p in network.parameters())
    seen = side_px if on_gpu else min(side_px, _PROBE_PX)  # shapes alone load torch's compiler
    trial = copy.deepcopy(network).to("meta" if on_gpu else "cpu").eval()
    tile = torch.zeros(1, bands, seen, seen, device="meta" if on_gpu else "cpu")
    with torch.inference_mode():
        try:
            found = _most_live_bytes(trial, tile)
        except ImportError:  # a torch without the private parts that it uses
            found = _all_features(trial, tile)
    return found * side_px**2 // seen**2


def _most_live_bytes(network: nn.Module, tile: torch.Tensor) -> int:
    """Bytes of all tensors that a call makes and has not yet freed, at the moment of most.

    Dispatch modes and weak references to storages are not part of torch's public interface.
    """
    from torch.multiprocessing.reductions import StorageWeakRef
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    live: dict[int, tuple[StorageWeakRef, int]] = {}
    most = 0

    class LiveStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]
        @classmethod
        def _should_skip_dynamo(cls) -> bool:  # True would load torch's compiler to keep it out
            return False

        def __torch_dispatch__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal live, most
            made = func(*args, **(kwargs or {}))
            for tensor in filter(torch.is_tensor, tree_leaves(made)):
                if tensor.is_mkldnn:  # a kernel in oneDNN's layout
                    continue
                storage = tensor.untyped_storage()
                ref = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                live[ref.cdata] = (ref, storage.nbytes())
            live = {key: kept for key, kept in live.items() if not kept[0].expired()}  # type: ignore[no-untyped-call]
            most = max(most, sum(size for _, size in live.values()))
            return made

    with LiveStorages():  # type: ignore[no-untyped-call]
        network(tile)
    return most


def _all_features(network: nn.Module, tile: torch.Tensor) -> int:
    """Bytes of what all layers return, in place of what is alive at once."""
    sizes: list[int] = []
    for layer in network.modules():
        layer.register_forward_hook(
            lambda *given: sizes.append(given[2].nbytes if torch.is_tensor(given[2]) else 0)
        )
    network(tile)
    return sum(sizes)


def tiles_that_pay(device: torch.device) -> int:
    """Tiles at once beyond which none is done much sooner: on a processor one for each thread."""
    return _GPU_TILES if device.type == "cuda" else torch.get_num_threads()


def room_at_hand(device: torch.device) -> Room:
    """What may be taken now: a quarter of what is free. Never changes a result."""
    here = int(psutil.virtual_memory().available)
    there = int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else here
    working_bytes = max(_LEAST_BYTES, min(WORKING_BYTES, here // _SHARE))
    return Room(working_bytes, tile_bytes=there // _SHARE)


def page_buffer(shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Zeros that are no part of the C library's heap.

    What lives from one row of tiles to the next would lie, in the heap, between the features of
    networks, which come and go with every tile, and the heap would grow around it.

    >>> page_buffer((2, 3), "uint16")
    array([[0, 0, 0],
           [0, 0, 0]], dtype=uint16)
    """
    kind = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    if sys.platform == "win32" or count == 0:
        return np.zeros(shape, kind)
    try:
        pages = mmap.mmap(-1, count * kind.itemsize, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"no room for {shape} numbers of type {kind}") from error
    if sys.platform == "linux":
        with suppress(OSError):  # a kernel without large pages
            pages.madvise(mmap.MADV_HUGEPAGE)  # fewer are handed out one by one
    return np.frombuffer(pages, kind, count).reshape(shape)


def page_tensor(shape: tuple[int, ...]) -> torch.Tensor:
    """As `page_buffer`, for torch; float32."""
    return torch.from_numpy(page_buffer(shape))


_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""Their names in malloc.h begin with M_."""

LARGEST_KEPT: Final = 128 * 2**20
"""Bytes: the features of one layer for all tiles at once; larger arrays are given back."""
_KEPT: Final = 2**30
"""Bytes: free memory at the end of the heap that is not given back."""

_SECONDS_BETWEEN: Final = 10.0
"""To give holes back, and to be handed their pages anew, takes up to a tenth of a second."""


def tune_allocator() -> bool:
    """For the rest of this process, keep what is freed for what comes next; changes no result.

    One heap serves all threads: what one of them frees, another can take.

    False where nothing was told: another C library, or settings of the user in the environment.
    """
    tell = _of_malloc("mallopt")
    told = (_MMAP_THRESHOLD, LARGEST_KEPT), (_TRIM_THRESHOLD, _KEPT), (_ARENA_MAX, 1)
    return tell is not None and all(tell(*setting) for setting in told)


class HeapTrimmer:
    """Free memory that lies between what is in use."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._trim = _of_malloc("malloc_trim")
        self._clock = clock
        self._last = clock()

    def trim(self) -> bool:
        """Give it back, now and then; True if any was. Changes no result."""
        if self._trim is None or self._clock() - self._last < _SECONDS_BETWEEN:
            return False
        given = bool(self._trim(0))
        self._last = self._clock()
        return given


def _of_malloc(name: str) -> Callable[..., Any] | None:
    """A function of glibc, where this is glibc and the user has not set malloc up."""
    own = "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "")
    if (
        not sys.platform.startswith("linux")
        or own
        or any(n.startswith("MALLOC_") for n in os.environ)
    ):
        return None
    return getattr(ctypes.CDLL(None), name, None)


def peak_memory_bytes() -> int | None:
    """Most memory that this process has held so far; None where the system does not tell.

    Linux hands a child the peak of its parent under the usual name (`ru_maxrss` survives `exec`),
    so the peak is read from `/proc` where it is there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        if peak := next((line for line in lines if line.startswith("VmHWM:")), None):
            return int(peak.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit
