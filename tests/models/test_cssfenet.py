"""What is special about CSSFENet: kernels along axes, and where its sub-pixels go."""

import pytest
import torch

from hsisr.models.common import bicubic
from hsisr.models.descriptor import SCALES
from hsisr.models.literature.cssfenet import AxisConvolution, Cssfenet, CssfenetSize

TINY = CssfenetSize(modules=2, width=8)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_its_convolution_sees_along_axes_only() -> None:
    torch.manual_seed(0)
    impulse = torch.zeros(1, 1, 5, 5, 5)
    impulse[..., 2, 2, 2] = 1
    seen = AxisConvolution(1, 4)(impulse)[0].abs().sum(0) > 0
    distance = (torch.arange(5) - 2).abs()
    steps = distance[:, None, None] + distance[:, None] + distance
    assert torch.equal(seen, steps <= 1)


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_subpixels_lie_inside_their_pixel(scale: int) -> None:
    one, lr = Cssfenet(scale, 4, TINY), noise(2, 4, 3, 2)
    one.upsampling.weight.zero_()
    within = torch.arange(float(scale**2))
    one.upsampling.get_parameter("bias").copy_(within)
    expected = bicubic(lr, scale) + within.reshape(scale, scale).tile(3, 2)
    torch.testing.assert_close(one(lr), expected)
