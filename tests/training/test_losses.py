"""Losses: laws, then the paper's terms by hand, then refusals."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hsisr.models.interpolation import KERNELS, interpolate
from hsisr.training.feed import Tensors
from hsisr.training.losses import Distance, Loss, in_unit, squared_weights


def pair(bands: int, rows: int, cols: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 2, bands, rows, cols, generator=generator)
    return one, other


sizes = st.integers(1, 6)


@settings(max_examples=25)
@given(bands=sizes, rows=sizes, cols=sizes, distance=st.sampled_from(["l1", "mse"]))
def test_a_perfect_estimate_costs_nothing_and_any_other_something(
    bands: int, rows: int, cols: int, distance: Distance
) -> None:
    one, other = pair(bands, rows, cols)
    loss = Loss(distance=distance, spatial=1.0, spectral=1.0)
    assert loss(one, one).item() == 0
    assert loss(one, other).item() > 0


@settings(max_examples=25)
@given(bands=sizes, rows=sizes, cols=sizes)
def test_a_mask_that_keeps_all_changes_nothing(bands: int, rows: int, cols: int) -> None:
    one, other = pair(bands, rows, cols)
    loss = Loss(spatial=0.3, spectral=0.7)
    everywhere = torch.ones(2, 1, rows, cols, dtype=torch.bool)
    torch.testing.assert_close(loss(one, other, everywhere), loss(one, other))


def test_what_is_masked_has_no_part_in_any_term() -> None:
    one, other = pair(3, 4, 5)
    valid = torch.ones(2, 1, 4, 5, dtype=torch.bool)
    valid[:, :, 1, 2] = False
    loss = Loss(distance="mse", spatial=1.0, spectral=1.0)
    before = loss(one, other, valid)
    other[:, :, 1, 2] = 1e6
    assert loss(one, other, valid) == before


def test_the_terms_are_those_of_the_paper() -> None:
    estimate, reference = pair(4, 5, 6)
    found = Loss(distance="mse", spatial=1.0, spectral=1.0)(estimate, reference)

    def mse(axis: int) -> torch.Tensor:
        return (estimate.diff(dim=axis) - reference.diff(dim=axis)).square().mean()

    expected = (estimate - reference).square().mean() + mse(-1) + mse(-2) + mse(-3)
    torch.testing.assert_close(found, expected)


def test_the_penalty_counts_every_weight_and_has_its_gradient() -> None:
    layer = nn.Linear(2, 1)
    penalty = squared_weights(layer.parameters())
    penalty.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(layer.weight.grad, 2 * layer.weight.detach())
    assert penalty.item() == pytest.approx(sum(p.square().sum().item() for p in layer.parameters()))


def spectra(*columns: list[float]) -> torch.Tensor:
    """Spectra side by side in one row, shape (1, bands, 1, n)."""
    return torch.tensor(columns).T[None, :, None]


@pytest.mark.parametrize("gain", [1.0, 1e-4, 5000.0])
def test_the_angle_is_that_of_stored_numbers(gain: float) -> None:
    only_angle = Loss(spectral=0.0, angle=1.0)
    plain = Loss()
    mean, deviation = torch.tensor([[[[3.0]], [[4.0]]]]), torch.tensor([[[[0.5]], [[2.0]]]])
    tilted, straight = spectra([3.0, 4.1], [6.0, 8.2]), spectra([3.0, 4.0], [6.0, 8.0])
    expected = math.atan2(4.1, 3.0) - math.atan2(4.0, 3.0)
    one, other = ((s - mean) / deviation for s in (tilted, straight))
    found = only_angle(one, other, None, gain * mean, gain * deviation) - plain(one, other)
    assert found.item() == pytest.approx(expected, rel=2e-2)


def test_invalid_pixels_have_no_angle_and_right_ones_a_gradient() -> None:
    reference = spectra([1.0, 1.0], [1.0, 1.0])
    estimate = spectra([1.0, 1.0], [5.0, -5.0]).requires_grad_()
    valid = torch.tensor([[[[True, False]]]])
    loss = Loss(angle=1.0)(estimate, reference, valid)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() < 2e-4
    assert estimate.grad is not None
    assert bool(torch.isfinite(estimate.grad).all())


def test_in_units_of_bicubic_every_contrast_counts_alike() -> None:
    """Equally good estimates of a sharp and of a faint scene cost the same, band by band."""
    hr, _ = pair(3, 8, 8)
    hr = torch.cat((100 * hr[:1], hr[:1]))  # a faint scene, and the same with all contrasts larger
    lr = hr.reshape(2, 3, 4, 2, 4, 2).mean((3, 5))
    mean, deviation = torch.full((2, 3, 1, 1), 5.0), torch.full((2, 3, 1, 1), 2.0)
    valid = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    valid[..., :2] = False
    halfway = (interpolate(lr, KERNELS["bicubic"], 2) + hr) / 2
    hr[..., 0] = 1e6  # not valid: without part in any error
    estimate, reference, mask, centre, unit = in_unit(
        "bicubic", halfway, Tensors(hr, lr, mean, deviation, valid)
    )
    squares = ((estimate - reference).square() * valid).sum((-2, -1)) / valid[0].sum()
    assert squares.flatten().tolist() == pytest.approx([0.25] * 6, rel=0.02)
    assert mask is valid
    torch.testing.assert_close(estimate * unit + centre, halfway * deviation + mean)
