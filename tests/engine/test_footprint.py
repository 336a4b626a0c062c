"""What a network takes for a tile, without running it."""

import sys

import pytest
import torch
from torch import nn

from hsisr.engine.memory import tile_bytes, tiles_that_pay
from hsisr.models.registry import build, descriptor_for


class KeepsAll(nn.Module):
    """Holds every intermediate result until the end."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [x + n for n in range(5)]
        return torch.stack(parts).sum(0)


class LetsGo(nn.Module):
    """Holds one result at a time."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for n in range(5):
            x = x + n
        return x


def test_what_is_alive_at_once_counts_and_what_is_let_go_does_not() -> None:
    one = 3 * 10 * 10 * 4
    assert tile_bytes(LetsGo(), 3, 10) == 2 * one
    assert tile_bytes(KeepsAll(), 3, 10) == 11 * one  # the five, their stack and its sum


def test_without_torchs_private_parts_all_that_layers_return_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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


def test_a_processor_takes_fewer_tiles_at_once_the_larger_they_are() -> None:
    def found(side: int, precision: torch.dtype = torch.float32, device: str = "cpu") -> int:
        return tiles_that_pay(side, 20_000 * side**2, torch.device(device), precision)

    sides = (9, 36, 50, 72, 500)
    for precision in (torch.float32, torch.bfloat16):
        at_once = [found(side, precision) for side in sides]
        assert at_once == sorted(at_once, reverse=True)
        assert at_once[-1] == 1
    assert 1 < found(36) < found(36, torch.bfloat16)
    assert found(500, device="cuda") > 1
