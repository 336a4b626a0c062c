"""`dacn` in use: the trained network's numbers, borders included, from fewer operations."""

import math

import pytest
import torch
from torch.nn import functional

from hsisr.benchmark.speed.network_cost import operations
from hsisr.benchmark.speed.plain import PlainDacn, lively_dacn
from hsisr.benchmark.speed.tile_speed import difference
from hsisr.models.dacn import build_dacn, dacn_descriptor
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.fast.attention import attention
from hsisr.models.registry import for_inference


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 7)])
@torch.no_grad()
def test_it_gives_what_the_trained_network_gives(scale: int, size: tuple[int, int]) -> None:
    network, _ = lively_dacn(scale)
    lr = torch.rand(2, 32, *size)
    expected = PlainDacn(network)(lr)
    span = float(expected.max() - expected.min())
    found = for_inference(network)(lr)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * span)


@pytest.mark.parametrize("left_out", ["self_attention", "channel_attention"])
@torch.no_grad()
def test_it_knows_networks_without_an_attention_and_the_notebooks_pooling(left_out: str) -> None:
    whole = dacn_descriptor(4, "notebook")
    descriptor = ModelDescriptor(
        arch="dacn",
        scale=4,
        group_size=16,
        group_overlap=8,
        tile_lr_px=8,
        overlap_lr_px=2,
        hparams={**whole.hparams, left_out: False},
    )
    network = build_dacn(descriptor).eval()
    lr = torch.rand(1, 16, 5, 6)
    torch.testing.assert_close(for_inference(network)(lr), network(lr), rtol=1e-4, atol=1e-5)


def test_at_x4_it_takes_at_least_a_sixth_fewer_operations_and_differs_by_less_than_asked() -> None:
    network, descriptor = lively_dacn(4)
    lean, plain = for_inference(network), PlainDacn(network)
    lr, zero = torch.rand(1, 32, 36, 36), torch.zeros(1, 32, 1, 1)
    assert operations(plain, lr, zero) / operations(lean, lr, zero) >= 1.2
    assert difference(lean, plain, descriptor) < 1e-5


@torch.no_grad()
def test_half_precision_is_as_close_as_the_trained_network_under_autocast() -> None:
    network, _ = lively_dacn(4)
    lean, lr = for_inference(network, torch.bfloat16), torch.rand(1, 32, 12, 9)
    exact = network(lr)
    with torch.autocast("cpu", torch.bfloat16):
        trained, found = (n(lr).float() for n in (network, lean))
    errors = [float((hr - exact).square().mean().sqrt()) for hr in (found, trained)]
    assert errors[0] < 1.5 * errors[1]
    torch.testing.assert_close(lean(lr), exact, rtol=1e-4, atol=1e-5)  # full without autocast


@pytest.mark.parametrize("size", [0.1, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("pixels", [1, 7, 1500])
@pytest.mark.parametrize("features", [8, 16])
@torch.no_grad()
def test_attention_equals_torchs_however_large_the_likenesses(
    pixels: int, size: float, features: int
) -> None:
    torch.manual_seed(2)
    query, key, value = (torch.randn(2, 3, pixels, features) for _ in range(3))
    query *= size
    expected = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
    found = _attended(query, key, value)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * max(1.0, size / 100))


@pytest.mark.parametrize("size", [0.1, 1.0, 3.0, 30.0])
@pytest.mark.parametrize("features", [8, 16, 32])
@torch.no_grad()
def test_attention_in_bfloat16_keeps_to_its_precision(features: int, size: float) -> None:
    torch.manual_seed(3)
    query, key, value = (torch.randn(1, 4, 1500, features).bfloat16() for _ in range(3))
    query *= size / math.sqrt(features)
    parts = (query.double(), key.double(), value.double())
    exact = functional.scaled_dot_product_attention(*parts, scale=1.0)
    error = _attended(query, key, value).double() - exact
    assert float(error.square().mean() / exact.square().mean()) < 0.006**2


def _attended(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Shape (n, heads, pixels, features) in and out, as torch has it."""
    heads = query.shape[1]
    parts = torch.stack((query, key, value)).permute(1, 3, 0, 2, 4).flatten(2)
    return attention(parts, heads).reshape(*parts.shape[:2], heads, -1).transpose(1, 2)
