"""`dacn-any` in use: the trained network's numbers, borders included, from fewer operations."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from hsisr.models.back_projection import back_project
from hsisr.models.dacn_any import AnySize, DacnAny, build_dacn_any, dacn_any_descriptor
from hsisr.models.fast import dacn_any as lean_dacn_any
from hsisr.models.fast.back_projection import consistent_bicubic
from hsisr.models.fast.fixed_layer import shuffled
from hsisr.models.interpolation import KERNELS
from hsisr.models.registry import agrees, for_inference

SMALL = AnySize(width=16, blocks=2, heads=2, window=4)
FEW_PATTERNS = replace(SMALL, basis=6)


def lively(scale: int, size: AnySize = SMALL) -> DacnAny:
    """No layer idle: norms and biases differ from those of a fresh network, detail is large."""
    torch.manual_seed(0)
    network = build_dacn_any(dacn_any_descriptor(scale, size)).eval()
    with torch.no_grad():
        for name, table in network.named_parameters():
            if "norm" in name or name.endswith("bias"):
                table.add_(torch.empty_like(table).uniform_(-0.2, 0.2))
        network.upsampling.get_parameter(f"{len(network.upsampling) - 2}.weight").mul_(100)
    return network


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("side", [(1, 1), (3, 2), (8, 8), (9, 14)])
@pytest.mark.parametrize("with_zero", [False, True])
@pytest.mark.parametrize("size", [SMALL, FEW_PATTERNS], ids=["all patterns", "few patterns"])
@torch.no_grad()
def test_it_gives_what_the_trained_network_gives(
    scale: int, side: tuple[int, int], with_zero: bool, size: AnySize
) -> None:
    network, lr = lively(scale, size), torch.randn(2, 32, *side)
    zero = torch.randn(1, 32, 1, 1) if with_zero else None
    expected = network(lr, zero)
    found = for_inference(network)(lr, zero)
    span = float(expected.max() - expected.min())
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * span)


@pytest.mark.parametrize("side", [(1, 1), (3, 2), (8, 8), (9, 14)])
@torch.no_grad()
def test_windows_filled_up_give_the_same_as_counted_pixels(
    side: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, lr = for_inference(lively(2)), torch.randn(2, 32, *side)
    expected = network(lr)
    monkeypatch.setattr(lean_dacn_any, "counts_missing", lambda _: False)
    torch.testing.assert_close(network(lr), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [SMALL, FEW_PATTERNS], ids=["all patterns", "few patterns"])
@torch.no_grad()
def test_half_precision_is_as_close_as_the_trained_network_under_autocast(
    scale: int, size: AnySize
) -> None:
    network = lively(scale, size)
    lean, lr = for_inference(network, torch.bfloat16), torch.randn(1, 32, 12, 9)
    exact = network(lr)
    with torch.autocast("cpu", torch.bfloat16):
        trained, found = network(lr), lean(lr)
    errors = [float((hr - exact).square().mean().sqrt()) for hr in (found, trained)]
    assert errors[0] < 1.5 * errors[1]
    torch.testing.assert_close(lean(lr), exact, rtol=1e-4, atol=1e-4)  # full without autocast


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@torch.no_grad()
def test_what_is_not_finite_stays_visible(bad: float) -> None:
    network, lr = lively(2), torch.randn(1, 32, 6, 6)
    lr[0, 3, 2, 2] = bad
    assert not bool(torch.isfinite(for_inference(network)(lr)).all())
    assert not bool(torch.isfinite(network(lr)).all())


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [SMALL, FEW_PATTERNS], ids=["all patterns", "few patterns"])
@torch.no_grad()
def test_it_draws_itself_towards_the_scene_as_that_is_done_afterwards(
    scale: int, size: AnySize
) -> None:
    network, lr = lively(scale, size), torch.randn(2, 32, 9, 14)
    raw, agreeing = for_inference(network), for_inference(network, agreeing=True)
    assert (agrees(raw), agrees(agreeing)) == (False, True)
    expected = back_project(raw(lr), lr, KERNELS["bicubic"], scale)
    span = float(expected.max() - expected.min())
    torch.testing.assert_close(agreeing(lr), expected, rtol=0, atol=1e-5 * span)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [SMALL, FEW_PATTERNS], ids=["all patterns", "few patterns"])
@torch.no_grad()
def test_in_half_precision_only_rounding_stands_between_the_two(scale: int, size: AnySize) -> None:
    network, coarse = lively(scale, size), torch.randn(2, 32, 4, 5)
    lr = functional.interpolate(coarse, (12, 15), mode="bicubic")
    raw, agreeing = (for_inference(network, torch.bfloat16, agreeing=a) for a in (False, True))
    with torch.autocast("cpu", torch.bfloat16):
        without, found = raw(lr), agreeing(lr)
    drawn = back_project(without, lr, KERNELS["bicubic"], scale)
    detail = without - consistent_bicubic(lr, scale)
    assert float((found - drawn).abs().max()) < 2**-8 * float(detail.abs().max())


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_shuffling_equals_torchs(scale: int, kind: torch.dtype) -> None:
    x = torch.randn(2, 3 * scale**2, 4, 5).to(kind).contiguous(memory_format=torch.channels_last)
    assert torch.equal(shuffled(x, scale), functional.pixel_shuffle(x, scale))
