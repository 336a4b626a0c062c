"""Arrays in memory of their own are zeros, can be written, and are given back at once."""

import gc

import psutil
import pytest

from hsisr.engine.memory import page_buffer, tune_allocator


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
