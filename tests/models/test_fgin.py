"""FGIN: as large as its published code, widths of upsampling."""

import pytest
import torch
from torch import nn

from hsisr.models.literature.fgin import build_fgin, fgin_descriptor
from hsisr.models.literature.widths_by_scale import repeated

PUBLISHED_MILLIONS = {2: 0.48, 4: 1.07, 8: 1.82}
"""As the notebooks print it, moving statistics included."""


@pytest.mark.parametrize("scale", sorted(PUBLISHED_MILLIONS))
def test_it_is_as_large_as_its_published_code(scale: int) -> None:
    with torch.device("meta"):
        state = build_fgin(fgin_descriptor(scale)).state_dict()
    count = sum(t.numel() for name, t in state.items() if not name.endswith("batches_tracked"))
    assert round(count / 1e6, 2) == PUBLISHED_MILLIONS[scale]


def test_repeating_pixels_and_convolving_them_one_by_one_can_change_places() -> None:
    convolution, x = nn.Conv2d(3, 5, 1), torch.randn(2, 3, 4, 3)
    torch.testing.assert_close(repeated(convolution(x)), convolution(repeated(x)))
    assert torch.equal(repeated(x)[0, 0, 2:4, 4:6], x[0, 0, 1, 2].expand(2, 2))
