"""Large arrays in memory of their own, which goes back to the system when they are let go."""

import mmap
import sys
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch


def page_buffer(shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Zeros that are no part of the C library's heap.

    What lives from one row of tiles to the next would lie, in the heap, between the features of
    networks, which come and go with every tile, and the heap would grow around it.

    Args:
        shape: Any; without elements too.
        dtype: Of numbers.

    Raises:
        MemoryError: The system has not so much.

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
