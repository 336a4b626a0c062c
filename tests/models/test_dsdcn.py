"""DSDCN: as large as its published code, reach of the dilated kernels."""

import pytest
import torch

from hsisr.models.literature.dsdcn import build_dsdcn, dilated_fusion, dsdcn_descriptor

PUBLISHED_MILLIONS = {2: 0.30, 4: 0.96, 8: 0.72}
"""As the notebooks print it, moving statistics included."""
SMALLER_KERNELS = {4: 3 * 64 * 64 * (9 - 1)}
"""What the notebook of a scale saves by 1x1 in place of dilated 3x3 kernels."""


@pytest.mark.parametrize("scale", sorted(PUBLISHED_MILLIONS))
def test_it_is_as_large_as_its_published_code(scale: int) -> None:
    with torch.device("meta"):
        state = build_dsdcn(dsdcn_descriptor(scale)).state_dict()
    count = sum(t.numel() for name, t in state.items() if not name.endswith("batches_tracked"))
    count -= SMALLER_KERNELS.get(scale, 0)
    assert round(count / 1e6, 2) == PUBLISHED_MILLIONS[scale]


def test_dilated_kernels_reach_one_two_and_three_pixels_far() -> None:
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[..., 4, 4] = 1
    for far, branch in enumerate(dilated_fusion(1).branches, start=1):
        for parameter in branch.parameters():
            torch.nn.init.ones_(parameter)
        response = branch(impulse) - 1
        rows = response[0, 0].any(dim=1).nonzero().flatten().tolist()
        assert rows == [4 - far, 4, 4 + far]
        assert int(response.count_nonzero()) == 9
