"""Networks of other papers: as large as their papers say, and sizes checked."""

import pytest
import torch

from hsisr.models.registry import ARCHITECTURES, build, descriptor_for

COMPARISON = sorted(ARCHITECTURES.keys() - {"dacn", "dacn-any", "dacn-equivariant"})
PARAMETERS = {
    "edsr": (40_863_264, 43_223_584, 45_583_904),
    "vdsr": (701_664, 701_664, 701_664),
    "mcnet": (1_928_334, 2_174_094, 2_960_526),
    "msfmnet": (776_973, 924_685, 1_072_397),
    "fgin": (479_608, 1_071_456, 1_821_208),
    "dsdcn": (299_520, 1_061_352, 715_072),
    "msdformer": (10_139_261, 12_213_821, 14_288_381),
    "as3-itransunet": (2_204_582, 3_547_238, 4_889_894),
    "pdenet": (2_293_493, 2_301_189, 2_325_821),
    "linear": (100, 400, 1_600),
    "sspsr": (10_540_424, 12_900_744, 15_261_064),
    "cssfenet": (2_012_720, 2_033_468, 2_116_460),
}
"""At x2, x4 and x8; counted by hand or published, each file says which."""


@pytest.mark.parametrize("arch", COMPARISON)
def test_networks_are_as_large_as_stated(arch: str) -> None:
    for scale, parameters in zip((2, 4, 8), PARAMETERS[arch], strict=True):
        with torch.device("meta"):
            network = build(descriptor_for(arch, scale))
        assert sum(p.numel() for p in network.parameters()) == parameters


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
