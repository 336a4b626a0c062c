"""Where the network runs, in which precision, on how many threads."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import torch

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


@contextmanager
def torch_threads(threads: int | None) -> Iterator[int]:
    """Let torch use that many processor threads, None: all cores; gives the number in use."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
