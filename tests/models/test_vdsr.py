"""VDSR: a residual over bicubic interpolation, the same network at every scale."""

from dataclasses import replace

import pytest
import torch

from hsisr.models.common import bicubic
from hsisr.models.descriptor import SCALES
from hsisr.models.literature.vdsr import Vdsr, VdsrSize, build_vdsr, vdsr_descriptor

SMALL = VdsrSize(hidden=1, width=8)


@pytest.mark.parametrize("scale", SCALES)
def test_what_the_last_layer_gives_is_added_to_bicubic(scale: int) -> None:
    network, lr = Vdsr(scale, 3, SMALL), torch.randn(2, 3, 5, 4)
    for parameter in network.exit.parameters():
        torch.nn.init.constant_(parameter, 0.0)
    assert torch.equal(network(lr), bicubic(lr, scale))
    torch.nn.init.constant_(network.exit.bias, 0.25)  # type: ignore[arg-type]
    assert torch.equal(network(lr), bicubic(lr, scale) + 0.25)


def test_for_one_band_it_is_as_large_as_published() -> None:
    one = replace(vdsr_descriptor(4), group_size=1, group_overlap=0)
    count = sum(parameter.numel() for parameter in build_vdsr(one).parameters())
    assert count == 665_921
