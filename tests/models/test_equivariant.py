"""Turning what goes in turns what comes out; the inference form gives the same numbers."""

import dataclasses

import numpy as np
import pytest
import torch

from hsisr.errors import WeightsError
from hsisr.models.dacn_equivariant import (
    GROUPS,
    DacnEquivariant,
    EquivariantSize,
    FilterBank,
    LiftingConv,
    RegularConv,
    SubpixelProjection,
    filtered,
    oriented,
)
from hsisr.models.interpolation import KERNELS, area_average, back_project
from hsisr.models.registry import agrees, for_inference
from tests.networks import lively_equivariant

SYMMETRIES = [(order, turn) for order, group in GROUPS.items() for turn in group]
SMALL = EquivariantSize(features=4, stages=1, blocks=2, heads=2, cells=4, patterns=2)


def trained(scale: int = 4, size: EquivariantSize = SMALL) -> DacnEquivariant:
    return lively_equivariant(scale, size)


def farthest(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference, in deviations of the values."""
    return float((one - other).abs().max() / other.std())


@pytest.mark.parametrize(("order", "turn"), SYMMETRIES)
def test_layers_turn_with_their_input(order: int, turn: int) -> None:
    torch.manual_seed(0)
    lift, inner = LiftingConv(5, 3, order=order), RegularConv(3, 4, order=order)
    last, bank = SubpixelProjection(4, 6, 4, gain=1, order=order), FilterBank(4, 4, order=order)

    def layers(x: torch.Tensor) -> torch.Tensor:
        features = torch.tanh(inner(torch.tanh(lift(x))))
        return torch.cat((last(features), bank(x, features)), dim=1)

    x = torch.randn(2, 5, 7, 6)
    with torch.no_grad():
        plain, other = layers(x), layers(oriented(x, turn))
    for part in (slice(6), slice(6, None)):
        assert farthest(other[:, part], oriented(plain, turn)[:, part]) < 1e-5


def test_every_pixel_is_filtered_by_its_own_kernels() -> None:
    torch.manual_seed(0)
    lr, kernels = torch.randn(2, 3, 4, 5), torch.randn(2, 4, 5, 9, 6)
    around = torch.nn.functional.pad(lr, (1, 1, 1, 1), mode="replicate")
    found = filtered(lr, kernels.flatten(3), 3).reshape(2, 4, 5, 3, 6)
    for row, col in np.ndindex(4, 5):
        window = around[:, :, row : row + 3, col : col + 3].flatten(2)
        expected = torch.einsum("nbt,ntk->nbk", window, kernels[:, row, col])
        torch.testing.assert_close(found[:, row, col], expected)


def test_filters_add_nothing_to_a_level_and_nothing_to_the_mean_of_an_lr_pixel() -> None:
    torch.manual_seed(0)
    bank, mixture = FilterBank(3, 4, order=4), torch.randn(2, 12, 6, 7)
    with torch.no_grad():
        assert bank(torch.full((2, 5, 6, 7), 3.0), mixture).abs().max() < 1e-5
        assert area_average(bank(torch.randn(2, 5, 6, 7), mixture), 4).abs().max() < 1e-5


@pytest.mark.parametrize(("order", "turn"), SYMMETRIES)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_turned_scene_gives_the_turned_result(order: int, turn: int, scale: int) -> None:
    network = trained(scale, dataclasses.replace(SMALL, symmetries=order, filters=2))
    lr, zero = torch.randn(1, 32, 11, 9), torch.randn(1, 32, 1, 1)
    with torch.no_grad():
        assert network.detail(lr, zero).std() > 0.001
        plain, other = network(lr, zero), network(oriented(lr, turn), zero)
    assert farthest(other, oriented(plain, turn)) < 1e-4


def test_a_mirrored_scene_is_another_one_to_rotations_alone() -> None:
    network = trained(4, dataclasses.replace(SMALL, symmetries=4))
    lr = torch.randn(1, 32, 8, 8)
    with torch.no_grad():
        plain, other = network.detail(lr), network.detail(oriented(lr, 1))
    assert farthest(other, oriented(plain, 1)) > 0.1


def test_detail_leaves_every_lr_pixel_as_it_is() -> None:
    network = trained()
    lr = torch.randn(2, 32, 8, 10)
    with torch.no_grad():
        assert area_average(network.detail(lr), 4).abs().max() < 1e-5
        hr = network(lr)
        again = back_project(hr, lr, KERNELS["bicubic"], 4)
        assert agrees(for_inference(network))
    assert (again - hr).abs().max() < 0.02  # ten rounds leave little to do


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(WeightsError, match="multiple of heads"):
        EquivariantSize(features=6)
    with pytest.raises(WeightsError, match="4 or 8 symmetries"):
        EquivariantSize(symmetries=2)
