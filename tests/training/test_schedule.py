"""Learning rate and weight average."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hsisr.training.schedule import WeightAverage, rate_factor


@settings(max_examples=50)
@given(step=st.integers(0, 500), progress=st.floats(0, 2), warmup=st.integers(0, 100))
def test_the_rate_stays_between_zero_and_one(step: int, progress: float, warmup: int) -> None:
    assert 0 < rate_factor(step, progress, warmup, "cosine") <= 1


def test_the_rate_rises_falls_and_ends_at_a_hundredth() -> None:
    assert rate_factor(0, 0, 9, "cosine") == 0.1
    assert rate_factor(9, 0, 9, "cosine") == 1
    assert rate_factor(100, 1, 9, "cosine") == 0.01
    assert rate_factor(100, 1, 9, "constant") == 1


def test_the_rate_has_risen_after_its_share_of_the_run_if_that_is_sooner() -> None:
    assert rate_factor(1, 0.01, 100, "constant", 0.02) == 0.5
    assert rate_factor(2, 0.02, 100, "constant", 0.02) == 1
    assert rate_factor(100, 0.001, 100, "constant", 0.02) == 1


def test_an_average_of_equal_states_is_that_state_and_shares_no_memory() -> None:
    state = {"w": torch.ones(2)}
    average = WeightAverage(state, 0.99)
    for updates in range(5):
        average.update(state, updates)
    state["w"].zero_()
    torch.testing.assert_close(average.tensors["w"], torch.ones(2))
