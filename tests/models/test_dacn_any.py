"""What is special about dacn-any: its base, its agreement, its size."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hsisr.errors import WeightsError
from hsisr.models.dacn_any import AnySize, DacnAny

TINY = AnySize(width=8, blocks=2, heads=2, window=4)


def network(scale: int = 2, size: AnySize = TINY) -> DacnAny:
    torch.manual_seed(0)
    return DacnAny.of(DacnAny.descriptor(scale, size)).eval()


def noise(rows: int, cols: int) -> torch.Tensor:
    return torch.randn(1, 32, rows, cols, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_it_sees_how_far_values_are_from_a_stored_zero() -> None:
    one, lr = network(), noise(6, 6)
    near, far = (torch.full((1, 32, 1, 1), value) for value in (-0.5, -50.0))
    torch.testing.assert_close(one(lr), one(lr, torch.zeros(1, 32, 1, 1)))
    assert float((one(lr, near) - one(lr, far)).abs().max()) > 1e-5
    assert bool(torch.isfinite(one(lr, 1e6 * far)).all())


@torch.no_grad()
def test_training_may_follow_inference_with_the_same_sizes() -> None:
    with torch.inference_mode():
        network()(noise(6, 6))
    with torch.enable_grad():
        network()(noise(6, 6)).sum().backward()


@torch.no_grad()
def test_in_bfloat16_the_base_stays_exact() -> None:
    one, lr = network(), noise(8, 8) + 1000
    with torch.autocast("cpu", torch.bfloat16):
        half = one(lr)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, one(lr), rtol=1e-4, atol=1.0)


@pytest.mark.parametrize("scale", [2, 4, 8])
@torch.no_grad()
def test_detail_is_made_of_as_many_patterns_as_asked_for(scale: int) -> None:
    few, all_of_them = network(scale, replace(TINY, basis=2)), network(scale)
    patterns, last = few.upsampling[-3], few.upsampling[-2]
    assert isinstance(patterns, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    assert (patterns.out_channels, last.kernel_size) == (2, (1, 1))
    counts = [sum(p.numel() for p in n.parameters()) for n in (few, all_of_them)]
    values = 32 * min(scale, 4) ** 2
    assert counts[1] - counts[0] == (9 * 8 + 1) * values - (9 * 8 + 1) * 2 - (2 + 1) * values
    assert few(noise(5, 6)).shape == all_of_them(noise(5, 6)).shape


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"widht": 8}, "knows no parameter 'widht'; it has basis, blocks, heads, width"),
        (
            {"width": 6, "heads": 4},
            "impossible dacn-any with width 6, blocks 6, heads 4, window 8, basis 0; expected",
        ),
        ({"window": 5}, "impossible dacn-any"),
        ({"blocks": 0}, "impossible dacn-any"),
    ],
)
def test_impossible_sizes_are_refused(table: dict[str, int], message: str) -> None:
    descriptor = DacnAny.descriptor(2)
    descriptor.hparams.clear()
    descriptor.hparams.update(table)
    with pytest.raises(WeightsError, match=message):
        DacnAny.of(descriptor)
