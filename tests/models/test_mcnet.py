"""MCNet: bands as a third axis, 2D units within each, 3D units across them."""

import torch
from torch import nn

from hsisr.models.common import per_band
from hsisr.models.literature.mcnet import Mcnet, McnetSize, MixedModule

SMALL = McnetSize(modules=2, width=4)


def changed_bands(network: nn.Module, band: int, *, alone: bool) -> list[int]:
    """Bands of the output that a change of one band of the input reaches."""
    x = torch.randn(1, 4, 9, 3, 3, generator=torch.Generator().manual_seed(1))
    other = x.clone()
    other[:, :, band] += 1
    with torch.inference_mode():
        one, two = ((per_band(network, t) if alone else network(t)) for t in (x, other))
    return sorted({int(i) for i in (one != two).nonzero()[:, 2]})


def test_2d_units_see_one_band_and_modules_see_neighbours() -> None:
    torch.manual_seed(0)
    module = MixedModule(SMALL)
    assert changed_bands(module.spatial[0], 4, alone=True) == [4]
    # three 3D units and the last convolution reach one band further each
    assert changed_bands(module, 4, alone=False) == list(range(9))
    assert changed_bands(module.exit, 4, alone=False) == [3, 4, 5]


def test_bands_do_not_change_what_there_is_to_learn() -> None:
    few, many = Mcnet(2, 3, SMALL), Mcnet(2, 40, SMALL)
    many.load_state_dict(few.state_dict())
    assert many(torch.randn(1, 40, 2, 3)).shape == (1, 40, 4, 6)


def test_levels_count_by_their_shares() -> None:
    torch.manual_seed(0)
    module, x = MixedModule(SMALL), torch.randn(1, 4, 3, 3, 3)
    with torch.inference_mode():
        before = module(x)
        module.shares[1] = 2.0
        assert not torch.equal(module(x), before)


def test_every_module_adds_to_the_shallow_features() -> None:
    torch.manual_seed(0)
    network, lr = Mcnet(2, 3, SMALL), torch.randn(1, 3, 4, 4)
    for block, value in zip(network.blocks, (1.0, 0.0), strict=True):
        block.exit = Constant(value)
    shallow = network.output(network.upsampling(network.entry(lr[:, None])))[:, 0]
    torch.testing.assert_close(network(lr), shallow)


class Constant(nn.Module):
    """A number, of the shape that comes in."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x, self.value)


def test_kernels_have_the_norm_that_is_learnt() -> None:
    entry = Mcnet(2, 3, SMALL).entry
    norms = torch.linalg.vector_norm(entry.weight.flatten(1), dim=1)
    learnt = dict(entry.named_parameters())["parametrizations.weight.original0"]
    torch.testing.assert_close(norms, learnt.flatten())
