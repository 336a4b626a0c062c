"""Losses: laws, then the paper's terms by hand, then refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hsisr.errors import UsageError
from hsisr.training.losses import Distance, Loss, squared_weights


def pair(bands: int, rows: int, cols: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 2, bands, rows, cols, generator=generator)
    return one, other


sizes = st.integers(1, 6)


@settings(max_examples=25, deadline=None)
@given(bands=sizes, rows=sizes, cols=sizes, distance=st.sampled_from(["l1", "mse"]))
def test_a_perfect_estimate_costs_nothing_and_any_other_something(
    bands: int, rows: int, cols: int, distance: Distance
) -> None:
    one, other = pair(bands, rows, cols)
    loss = Loss(distance=distance, spatial=1.0, spectral=1.0)
    assert loss(one, one).item() == 0
    assert loss(one, other).item() > 0


@settings(max_examples=25, deadline=None)
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


def test_a_mask_that_keeps_nothing_costs_nothing() -> None:
    one, other = pair(3, 4, 5)
    assert Loss(spatial=1.0)(one, other, torch.zeros(2, 1, 4, 5, dtype=torch.bool)).item() == 0


def test_the_spectral_gradient_is_one_along_bands_and_not_always_zero() -> None:
    flat = torch.zeros(1, 3, 2, 2)
    same_everywhere = flat + 5
    steeper = torch.arange(3.0).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    only_spectral = Loss(distance="mse", spectral=1.0)
    plain = Loss(distance="mse")
    assert only_spectral(same_everywhere, flat) == plain(same_everywhere, flat)
    assert (only_spectral(steeper, flat) - plain(steeper, flat)).item() == pytest.approx(1.0)


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


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"distance": "l3"}, "no distance 'l3'; expected l1 or mse"),
        ({"spatial": -1.0}, "found loss weights -1 and 0, expected 0 or more"),
        ({"spectral": float("nan")}, "found loss weights 0 and nan"),
    ],
)
def test_impossible_losses_are_refused(table: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Loss(**table)  # type: ignore[arg-type]
