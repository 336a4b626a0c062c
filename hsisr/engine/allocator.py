"""Large arrays come and go with every tile: the C library is told to keep their memory.

By its own rule glibc gives arrays of 128 KiB and more back to the system when they are freed, and
the next one is handed to the program page by page, each filled with zeros first. On the networks
here that takes a good part of the time, in use and in training. The price: whatever lives longer
than they makes holes that the heap grows around. So what can be lies elsewhere
(`hsisr.engine.buffers`), and holes are given back now and then.
"""

import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Their names in malloc.h begin with M_."""

LARGEST_KEPT: Final = 128 * 2**20
"""Bytes: the features of one layer for all tiles at once; larger arrays are given back."""
_KEPT: Final = 2**30
"""Bytes: free memory at the end of the heap that is not given back."""

_SECONDS_BETWEEN: Final = 10.0
"""To give holes back, and to be handed their pages anew, takes up to a tenth of a second."""


def tune_allocator() -> bool:
    """For the rest of this process, keep what is freed for what comes next.

    Changes no result. What the user has set for malloc in the environment stays as it is.

    Returns:
        False where there is nothing to tell: another C library, or the user's own settings.
    """
    tell = _of_malloc("mallopt")
    return bool(tell and tell(_MMAP_THRESHOLD, LARGEST_KEPT) and tell(_TRIM_THRESHOLD, _KEPT))


class HeapTrimmer:
    """Free memory that lies between what is in use.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._trim = _of_malloc("malloc_trim")
        self._clock = clock
        self._last = clock()

    def trim(self) -> bool:
        """To the system; best where features have just been let go. Changes no result.

        Returns:
            False where nothing was given back: another C library, the user's own settings, or the
            last time is hardly over.
        """
        if self._trim is None or self._clock() - self._last < _SECONDS_BETWEEN:
            return False
        given = bool(self._trim(0))
        self._last = self._clock()
        return given


def _of_malloc(name: str) -> Callable[..., Any] | None:
    """A function of glibc, where this is glibc and the user has not set malloc up."""
    if not sys.platform.startswith("linux") or _is_set_by_user():
        return None
    return getattr(ctypes.CDLL(None), name, None)


def _is_set_by_user() -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return "glibc.malloc." in tunables or any(name.startswith("MALLOC_") for name in os.environ)
