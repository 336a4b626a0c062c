"""What is special about PDE-Net: gates, a learnt degradation, correction by what it disproves."""

import pytest
import torch
from torch.nn import functional

from hsisr.models.common import bicubic
from hsisr.models.descriptor import SCALES
from hsisr.models.literature.pdenet import Gates, Pdenet, PdenetSize, Resampling

TINY = PdenetSize(stages=2, blocks=3, width=8)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def network(scale: int = 2) -> Pdenet:
    torch.manual_seed(0)
    return Pdenet(scale, 6, TINY)


@torch.no_grad()
def test_gates_are_drawn_in_training_and_probable_in_evaluation() -> None:
    torch.manual_seed(0)
    gates, x = Gates(3, temperature=0.01), torch.ones(20_000, 3, 1, 1, 1)
    gates.probability.copy_(torch.tensor([0.3, 0.8, 1.0]))
    drawn = gates(x).flatten(1)
    probable = torch.tensor([0.3, 0.8, 0.98])  # the last is at its bound
    torch.testing.assert_close(drawn.mean(0), probable, rtol=0, atol=0.02)
    assert float(((drawn > 0.1) & (drawn < 0.9)).float().mean()) < 0.05
    torch.testing.assert_close(gates.eval()(x)[7].flatten(), probable)


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_its_degradation_can_be_the_mean_over_lr_pixels(scale: int) -> None:
    resampling, hr = Resampling(scale, TINY), noise(2, 3, 3 * scale, 2 * scale)
    spread = torch.full((scale + 1, scale + 1), -1e4)
    spread[:scale, :scale] = 0
    resampling.spread.copy_(spread.flatten())
    expected = functional.avg_pool2d(hr, scale)
    torch.testing.assert_close(resampling.degraded(hr), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_without_detail_it_is_bicubic(scale: int) -> None:
    one, lr = network(scale).eval(), noise(1, 6, 4, 5)
    for parameter in one.upsampling.raising.parameters():
        parameter.zero_()
    torch.testing.assert_close(one(lr), bicubic(lr, scale))


@torch.no_grad()
def test_later_stages_see_what_is_left_of_the_lr_image() -> None:
    one, lr = network().eval(), noise(1, 6, 4, 5)
    seen: list[torch.Tensor] = []
    one.stages[1].register_forward_pre_hook(lambda _, args: seen.append(args[0][:, 0]))
    first = bicubic(lr, 2) + one.upsampling.raised(0, one.stages[0](lr[:, None]))
    one(lr)
    torch.testing.assert_close(seen[0], lr - one.upsampling.degraded(first))
