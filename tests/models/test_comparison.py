"""Networks of other papers: as large as their papers say, and sizes checked."""

from dataclasses import replace

import pytest
import torch

from hsisr.errors import WeightsError
from hsisr.models.registry import ARCHITECTURES, architecture_named, build

COMPARISON = sorted(ARCHITECTURES.keys() - {"dacn", "dacn-any"})
PARAMETERS = {
    ("edsr", 2): 40_863_264,
    ("edsr", 4): 43_223_584,
    ("edsr", 8): 45_583_904,
}
"""Counted by hand or published; each file says which."""


@pytest.mark.parametrize(("arch", "scale"), sorted(PARAMETERS))
def test_networks_are_as_large_as_stated(arch: str, scale: int) -> None:
    with torch.device("meta"):
        network = build(architecture_named(arch).descriptor(scale))
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[arch, scale]


@pytest.mark.parametrize("arch", COMPARISON)
def test_every_network_is_stated(arch: str) -> None:
    assert {scale for name, scale in PARAMETERS if name == arch} == {2, 4, 8}


@pytest.mark.parametrize("arch", COMPARISON)
def test_unknown_parameters_are_refused(arch: str) -> None:
    wrong = replace(architecture_named(arch).descriptor(2), hparams={"colour": 3})
    with pytest.raises(WeightsError, match=f"{arch} knows no parameter 'colour'"):
        build(wrong)
