"""What is special about AS3 ITransUNet: windows, subsets one after another, to and fro."""

import pytest
import torch

from hsisr.models.descriptor import SCALES
from hsisr.models.literature.as3_itransunet import (
    Alternation,
    As3Itransunet,
    As3ItransunetSize,
    InteractiveAttention,
    WindowAttention,
)

TINY = As3ItransunetSize(width=8, window=4, refinements=1)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def network(bands: int) -> As3Itransunet:
    torch.manual_seed(0)
    return As3Itransunet(2, bands, TINY).eval()


def attention() -> WindowAttention:
    torch.manual_seed(0)
    return WindowAttention(8, 2, 4)


@torch.no_grad()
def test_pixels_see_their_own_window_and_no_other() -> None:
    one, x = attention(), noise(1, 8, 8, 8)
    changed = x.clone()
    changed[:, 1, 6] += 1
    seen = (one(changed) - one(x)).abs().amax((0, 3)) > 0
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:4, 4:] = True
    assert torch.equal(seen, expected)


@torch.no_grad()
def test_features_stay_at_their_pixels() -> None:
    torch.manual_seed(0)
    one = InteractiveAttention(8, 2, 4)
    x = noise(1, 8, 8, 8)
    gate = one.spectral_gate.get_submodule("2")
    for parameter in (*one.halve.parameters(), *gate.parameters()):
        parameter.zero_()
    gate.get_parameter("bias").fill_(1)
    expected = one.join.weight[:, 4:, 0, 0] @ one.windows(one.to_windows(x))[0, 5, 2]
    torch.testing.assert_close(one(x)[0, :, 5, 2], expected)


@torch.no_grad()
def test_subsets_see_those_before_them_and_none_behind() -> None:
    one, lr = network(15), noise(1, 15, 4, 5)
    first, last = lr.clone(), lr.clone()
    first[:, 0] += 1
    last[:, -1] += 1
    assert torch.equal(one(last)[:, :10], one(lr)[:, :10])
    assert float((one(first)[:, 10:] - one(lr)[:, 10:]).abs().min(0).values.max()) > 1e-6


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_it_goes_to_the_hr_grid_and_back(scale: int) -> None:
    ways, lr = Alternation(scale, 8), noise(1, 16, 3, 2)
    hr = ways.to_hr[0](lr)
    assert hr.shape == (1, 8, 3 * scale, 2 * scale)
    assert ways.to_lr[0](hr).shape == lr.shape
