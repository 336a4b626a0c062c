"""Networks as they are run give what the trained ones give, borders and half precision included."""

import pytest
import torch

from hsisr.models.dacn_equivariant import EquivariantSize
from hsisr.models.interpolation import area_average
from hsisr.models.registry import agrees, for_inference
from tests.networks import lively_equivariant

every_scale = pytest.mark.parametrize("scale", [2, 4, 8])
every_symmetry = pytest.mark.parametrize("symmetries", [4, 8])


@every_scale
@every_symmetry
@torch.no_grad()
@pytest.mark.parametrize("filters", [0, 3])
def test_it_gives_what_the_trained_network_gives(symmetries: int, scale: int, filters: int) -> None:
    size = EquivariantSize(symmetries=symmetries, filters=filters)
    network = lively_equivariant(scale, size)
    fast = for_inference(network)
    assert type(fast) is not type(network)
    for number, side in enumerate([(1, 1), (3, 2), (8, 8), (9, 14), (13, 10)]):
        lr, zero = torch.randn(2, 32, *side), torch.randn(1, 32, 1, 1) if number % 2 else None
        expected, found = network(lr, zero), fast(lr, zero)
        span = float(expected.max() - expected.min())
        assert found.dtype == torch.float32
        assert found.is_contiguous()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * span)


@every_scale
@torch.no_grad()
def test_half_precision_is_as_close_as_the_trained_network_under_autocast(scale: int) -> None:
    network = lively_equivariant(scale, EquivariantSize(filters=3))
    fast, lr = for_inference(network, torch.bfloat16), torch.randn(1, 32, 12, 9)
    exact = network(lr)
    with torch.autocast("cpu", torch.bfloat16):
        trained, found = (n(lr).float() for n in (network, fast))
    errors = [float((hr - exact).square().mean().sqrt()) for hr in (found, trained)]
    assert errors[0] < 1.5 * errors[1]
    torch.testing.assert_close(fast(lr), exact, rtol=1e-4, atol=1e-4)  # full without autocast


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@torch.no_grad()
def test_what_is_not_finite_stays_visible(bad: float) -> None:
    network, lr = lively_equivariant(2, EquivariantSize(filters=3)), torch.randn(1, 32, 6, 6)
    lr[0, 3, 2, 2] = bad
    assert not bool(torch.isfinite(for_inference(network)(lr)).all())
    assert not bool(torch.isfinite(network(lr)).all())


@every_scale
@torch.no_grad()
def test_it_agrees_with_the_observed_pixels_by_itself(scale: int) -> None:
    network = for_inference(lively_equivariant(scale, EquivariantSize(filters=3)))
    lr = torch.randn(2, 32, 9, 14)
    assert agrees(network)
    found = area_average(network(lr), scale)
    torch.testing.assert_close(found, lr, rtol=0, atol=1e-2)  # noise converges slowest
