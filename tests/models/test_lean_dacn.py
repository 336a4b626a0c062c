"""`dacn` in use: the trained network's numbers, borders included, from fewer operations."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from hsisr.benchmark.speed.network_cost import operations
from hsisr.benchmark.speed.plain import PlainDacn, lively_dacn
from hsisr.benchmark.speed.tile_speed import difference
from hsisr.models.dacn import build_dacn, dacn_descriptor
from hsisr.models.descriptor import ModelDescriptor
from hsisr.models.fast.attention import attention
from hsisr.models.fast.folding import upsampled_and_convolved
from hsisr.models.registry import for_inference


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


def layers(channels: int, features: int, out: int) -> tuple[nn.ConvTranspose2d, nn.Conv2d]:
    torch.manual_seed(0)
    upsampling = nn.ConvTranspose2d(channels, features, 4, stride=2, padding=1)
    return upsampling.double(), nn.Conv2d(features, out, 3, padding=1, bias=False).double()


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 4), (3, 2), (6, 7)])
def test_it_equals_the_two_layers_with_their_gradients(rows: int, cols: int) -> None:
    upsampling, convolution = layers(5, 4, 3)
    x = torch.randn(2, 5, rows, cols, dtype=torch.float64, requires_grad=True)
    parameters = [x, *upsampling.parameters(), *convolution.parameters()]
    plain = functional.conv2d(upsampling(x), convolution.weight, padding=1)
    folded = upsampled_and_convolved(x, upsampling, convolution.weight)
    torch.testing.assert_close(folded, plain, rtol=1e-12, atol=1e-12)
    direction = torch.randn_like(plain)
    expected = torch.autograd.grad(plain, parameters, direction)
    found = torch.autograd.grad(folded, parameters, direction)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
