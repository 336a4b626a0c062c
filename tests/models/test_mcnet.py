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


def test_kernels_have_the_norm_that_is_learnt() -> None:
    entry = Mcnet(2, 3, SMALL).entry
    norms = torch.linalg.vector_norm(entry.weight.flatten(1), dim=1)
    learnt = dict(entry.named_parameters())["parametrizations.weight.original0"]
    torch.testing.assert_close(norms, learnt.flatten())
