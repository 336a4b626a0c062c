"""Large arrays come and go with every tile: the C library is told to keep their memory.

By its own rule glibc gives arrays of 128 KiB and more back to the system when they are freed, and
the next one is handed to the program page by page, each filled with zeros first. On the networks
here that takes a good part of the time, in use and in training. The price: whatever lives longer
than they makes holes that the heap grows around; see `hsisr.inference.own_pages`.
"""

import ctypes
import os
import sys
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Their names in malloc.h begin with M_."""

LARGEST_KEPT: Final = 128 * 2**20
"""Bytes: the features of one layer for all tiles at once; larger arrays are given back."""
_KEPT: Final = 2**30
"""Bytes: free memory at the end of the heap that is not given back."""


def keep_freed_memory() -> bool:
    """For the rest of this process, keep what is freed for what comes next.

    Changes no result. What the user has set for malloc in the environment stays as it is.

    Returns:
        False where there is nothing to tell: another C library, or the user's own settings.
    """
    if not sys.platform.startswith("linux") or _is_set_by_user():
        return False
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is None:
        return False
    return bool(tell(_MMAP_THRESHOLD, LARGEST_KEPT) and tell(_TRIM_THRESHOLD, _KEPT))


def _is_set_by_user() -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return "glibc.malloc." in tunables or any(name.startswith("MALLOC_") for name in os.environ)
