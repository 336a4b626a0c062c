"""Networks of other papers: as large as their papers say, and sizes checked."""

import pytest
import torch

from hsisr.models.registry import ARCHITECTURES, build, descriptor_for

COMPARISON = sorted(ARCHITECTURES.keys() - {"dacn", "dacn-any", "dacn-equivariant"})
PARAMETERS = {
    ("edsr", 2): 40_863_264,
    ("edsr", 4): 43_223_584,
    ("edsr", 8): 45_583_904,
    ("vdsr", 2): 701_664,
    ("vdsr", 4): 701_664,
    ("vdsr", 8): 701_664,
    ("mcnet", 2): 1_928_334,
    ("mcnet", 4): 2_174_094,
    ("mcnet", 8): 2_960_526,
    ("msfmnet", 2): 776_973,
    ("msfmnet", 4): 924_685,
    ("msfmnet", 8): 1_072_397,
    ("fgin", 2): 479_608,
    ("fgin", 4): 1_071_456,
    ("fgin", 8): 1_821_208,
    ("dsdcn", 2): 299_520,
    ("dsdcn", 4): 1_061_352,
    ("dsdcn", 8): 715_072,
    ("msdformer", 2): 10_139_261,
    ("msdformer", 4): 12_213_821,
    ("msdformer", 8): 14_288_381,
    ("as3-itransunet", 2): 2_204_582,
    ("as3-itransunet", 4): 3_547_238,
    ("as3-itransunet", 8): 4_889_894,
    ("pdenet", 2): 2_293_493,
    ("pdenet", 4): 2_301_189,
    ("pdenet", 8): 2_325_821,
    ("linear", 2): 100,
    ("linear", 4): 400,
    ("linear", 8): 1_600,
    ("sspsr", 2): 10_540_424,
    ("sspsr", 4): 12_900_744,
    ("sspsr", 8): 15_261_064,
    ("cssfenet", 2): 2_012_720,
    ("cssfenet", 4): 2_033_468,
    ("cssfenet", 8): 2_116_460,
}
"""Counted by hand or published; each file says which."""


@pytest.mark.parametrize(("arch", "scale"), sorted(PARAMETERS))
def test_networks_are_as_large_as_stated(arch: str, scale: int) -> None:
    with torch.device("meta"):
        network = build(descriptor_for(arch, scale))
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[arch, scale]


@pytest.mark.parametrize("arch", COMPARISON)
def test_every_network_is_stated(arch: str) -> None:
    assert {scale for name, scale in PARAMETERS if name == arch} == {2, 4, 8}


@pytest.mark.parametrize("arch", [arch for arch in COMPARISON if arch != "linear"])
def test_only_upsampling_and_output_depend_on_the_scale(arch: str) -> None:
    shapes = []
    for scale in (2, 4, 8):
        with torch.device("meta"):
            state = build(descriptor_for(arch, scale)).state_dict()
        lent = {name for name in state if not name.startswith(("upsampling.", "output."))}
        shapes.append({name: state[name].shape for name in lent})
    assert shapes[0] == shapes[1] == shapes[2]
    assert shapes[0]
