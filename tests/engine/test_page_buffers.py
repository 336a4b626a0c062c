"""Arrays in memory of their own are zeros, can be written, and are given back at once."""

import gc
from typing import Any

import numpy as np
import psutil
import pytest

from hsisr.engine.memory import page_buffer, tune_allocator


@pytest.mark.parametrize("dtype", ["float32", "uint16", np.dtype("bool")])
@pytest.mark.parametrize("shape", [(3, 5, 7), (0, 4), ()])
def test_zeros_of_any_shape_and_type_that_can_be_written(
    shape: tuple[int, ...], dtype: Any
) -> None:
    array = page_buffer(shape, dtype)
    assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
    assert not array.any()
    array[...] = 1
    assert array.all()


def test_memory_is_given_back_even_where_freed_memory_is_kept() -> None:
    tune_allocator()
    gc.collect()
    process, size = psutil.Process(), 64 * 2**20
    before = process.memory_info().rss
    array = page_buffer((size,), "uint8")
    array[...] = 1
    held = process.memory_info().rss
    part = array[:10]
    del array
    assert process.memory_info().rss > before + size // 2  # a part holds the whole
    del part
    assert held > before + size // 2
    assert process.memory_info().rss < held - size // 2


def test_what_the_system_has_no_room_for_is_a_memory_error() -> None:
    with pytest.raises(MemoryError, match="no room"):
        page_buffer((2**60,), "uint8")
