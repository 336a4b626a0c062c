"""Arrays in memory of their own are zeros, can be written, and are given back at once."""

import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import torch
from torch import nn

from hsisr.engine.machine import (
    page_buffer,
    tile_bytes,
    tiles_that_pay,
    torch_threads,
    tune_allocator,
)
from hsisr.models.registry import build, descriptor_for


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
    with pytest.raises(MemoryError, match="no room"):
        page_buffer((2**60,), "uint8")


def test_torch_has_the_threads_it_had_whoever_leaves_first() -> None:
    before = torch.get_num_threads()
    one, other = torch_threads(before + 1), torch_threads(None)
    with ThreadPoolExecutor(1) as a, ThreadPoolExecutor(1) as b, ThreadPoolExecutor(1) as c:
        assert a.submit(one.__enter__).result() == before + 1
        assert b.submit(other.__enter__).result() == before
        a.submit(one.__exit__, None, None, None).result()
        b.submit(other.__exit__, None, None, None).result()
        found = [thread.submit(torch.get_num_threads).result() for thread in (a, b, c)]
    assert found == [before] * 3


class KeepsAll(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [x + n for n in range(5)]
        return torch.stack(parts).sum(0)


class LetsGo(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for n in range(5):
            x = x + n
        return x


def test_what_is_alive_at_once_counts_and_what_is_let_go_does_not() -> None:
    one = 3 * 10 * 10 * 4
    assert tile_bytes(LetsGo(), 3, 10) == 2 * one
    assert tile_bytes(KeepsAll(), 3, 10) == 11 * one  # the five, their stack and its sum


def test_without_torchs_private_parts_all_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Conv2d(4, 8, 1), nn.ReLU())
    alive = tile_bytes(network, 4, 10)
    monkeypatch.setitem(sys.modules, "torch.utils._python_dispatch", None)
    assert tile_bytes(network, 4, 10) == 3 * 8 * 10 * 10 * 4 > alive


@pytest.mark.parametrize("arch", ["dacn", "dacn-any", "mcnet"])
def test_networks_can_be_asked_and_larger_tiles_take_more(arch: str) -> None:
    network = build(descriptor_for(arch, 2))
    small, large = (tile_bytes(network, 32, side) for side in (32, 64))
    assert small > 32 * 64 * 64 * 4
    assert 2 * small < large


def test_a_processor_takes_a_tile_for_each_thread() -> None:
    with torch_threads(3):
        assert tiles_that_pay(torch.device("cpu")) == 3
        assert tiles_that_pay(torch.device("cuda")) > 3


def test_larger_tiles_take_in_proportion() -> None:
    """A processor's network is asked for a small tile."""
    assert tile_bytes(KeepsAll(), 3, 240) == 100 * tile_bytes(KeepsAll(), 3, 24)
