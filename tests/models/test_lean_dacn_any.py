"""`dacn-any` in use: the trained network's numbers, borders included, from fewer operations."""

import pytest
import torch
from torch.nn import functional

from hsisr.models.back_projection import back_project
from hsisr.models.dacn_any import AnySize
from hsisr.models.fast import dacn_any as lean_dacn_any
from hsisr.models.fast.attention import attention_of_powers
from hsisr.models.fast.back_projection import consistent_bicubic
from hsisr.models.interpolation import KERNELS
from hsisr.models.registry import agrees, for_inference
from tests.contracts.test_fast_forms import FEW_PATTERNS, SMALL, lively_any


@pytest.mark.parametrize("side", [(1, 1), (3, 2), (8, 8), (9, 14)])
@torch.no_grad()
def test_windows_filled_up_give_the_same_as_counted_pixels(
    side: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, lr = for_inference(lively_any(2)), torch.randn(2, 32, *side)
    expected = network(lr)
    monkeypatch.setattr(lean_dacn_any, "counts_missing", lambda _: False)
    torch.testing.assert_close(network(lr), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@torch.no_grad()
def test_what_is_not_finite_stays_visible(bad: float) -> None:
    network, lr = lively_any(2), torch.randn(1, 32, 6, 6)
    lr[0, 3, 2, 2] = bad
    assert not bool(torch.isfinite(for_inference(network)(lr)).all())
    assert not bool(torch.isfinite(network(lr)).all())


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [SMALL, FEW_PATTERNS], ids=["all patterns", "few patterns"])
@torch.no_grad()
def test_it_draws_itself_towards_the_scene_as_that_is_done_afterwards(
    scale: int, size: AnySize
) -> None:
    network, lr = lively_any(scale, size), torch.randn(2, 32, 9, 14)
    raw, agreeing = for_inference(network), for_inference(network, agreeing=True)
    assert (agrees(raw), agrees(agreeing)) == (False, True)
    expected = back_project(raw(lr), lr, KERNELS["bicubic"], scale)
    span = float(expected.max() - expected.min())
    torch.testing.assert_close(agreeing(lr), expected, rtol=0, atol=1e-5 * span)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [SMALL, FEW_PATTERNS], ids=["all patterns", "few patterns"])
@torch.no_grad()
def test_in_half_precision_only_rounding_stands_between_the_two(scale: int, size: AnySize) -> None:
    network, coarse = lively_any(scale, size), torch.randn(2, 32, 4, 5)
    lr = functional.interpolate(coarse, (12, 15), mode="bicubic")
    raw, agreeing = (for_inference(network, torch.bfloat16, agreeing=a) for a in (False, True))
    with torch.autocast("cpu", torch.bfloat16):
        without, found = raw(lr), agreeing(lr)
    drawn = back_project(without, lr, KERNELS["bicubic"], scale)
    detail = without - consistent_bicubic(lr, scale)
    assert float((found - drawn).abs().max()) < 2**-8 * float(detail.abs().max())


@pytest.mark.parametrize("size", [0.1, 1.0, 30.0, 1e4])
@torch.no_grad()
def test_attention_in_windows_equals_torchs_however_large_the_likenesses(size: float) -> None:
    torch.manual_seed(2)
    windows = torch.randn(70, 64, 3 * 16)
    windows[..., :16] *= size
    query, key, value = windows.reshape(70, 64, 3, 2, 8).permute(2, 0, 3, 1, 4).double()
    expected = ((query @ key.transpose(-2, -1)) * 0.6931471805599453).softmax(-1) @ value
    found = attention_of_powers(windows, 2)
    expected = expected.transpose(1, 2).flatten(-2).float()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * max(1.0, size / 100))


@pytest.mark.parametrize("size", [0.1, 1.0, 30.0, 1e4])
@torch.no_grad()
def test_missing_pixels_are_those_with_keys_and_values_of_zero(size: float) -> None:
    torch.manual_seed(3)
    windows = torch.randn(5, 16, 3 * 16)
    windows[..., :16] *= size
    windows[:, 10:, 16:] = 0
    whole = attention_of_powers(windows, 2)[:, :10]
    found = attention_of_powers(windows[:, :10], 2, missing=6)
    torch.testing.assert_close(found, whole, rtol=1e-3, atol=1e-5)
