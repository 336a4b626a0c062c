"""Folding changes the arithmetic, not the numbers; borders included."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from hsisr.models.dacn import build_dacn, dacn_descriptor
from hsisr.models.fast.folding import folding_pays, upsampled_and_convolved


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


@pytest.mark.parametrize("scale", [2, 4, 8])
@torch.no_grad()
def test_the_whole_network_gives_what_it_gives_layer_by_layer(scale: int) -> None:
    torch.manual_seed(1)
    network = build_dacn(dacn_descriptor(scale)).eval()
    lr = torch.rand(1, 32, 9, 7)
    plain = network.output(network.upsampling(network.blocks(lr)))
    torch.testing.assert_close(network(lr), plain, rtol=1e-5, atol=1e-5)


def test_it_is_used_only_where_it_takes_less() -> None:
    assert [folding_pays(*sizes, 32) for sizes in ((256, 256), (512, 128), (256, 16))] == [
        *(True, True, False),
    ]
