"""Networks as they are run give what the trained ones give, borders and half precision included."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from hsisr.benchmark.speed.plain import PlainDacn, lively_dacn
from hsisr.models.dacn import Dacn
from hsisr.models.dacn_any import AnySize, DacnAny, build_dacn_any, dacn_any_descriptor
from hsisr.models.dacn_equivariant import (
    DacnEquivariant,
    EquivariantSize,
    build_dacn_equivariant,
    dacn_equivariant_descriptor,
)
from hsisr.models.registry import for_inference

SMALL = AnySize(width=16, blocks=2, heads=2, window=4)
FEW_PATTERNS = replace(SMALL, basis=6)


def lively_any(scale: int, size: AnySize = SMALL) -> DacnAny:
    """No layer idle: norms and biases differ from those of a fresh network, detail is large."""
    torch.manual_seed(0)
    network = build_dacn_any(dacn_any_descriptor(scale, size)).eval()
    with torch.no_grad():
        for name, table in network.named_parameters():
            if "norm" in name or name.endswith("bias"):
                table.add_(torch.empty_like(table).uniform_(-0.2, 0.2))
        network.upsampling.get_parameter(f"{len(network.upsampling) - 2}.weight").mul_(100)
    return network


def lively_equivariant(scale: int, size: EquivariantSize) -> DacnEquivariant:
    """A network whose branches all count, as after training."""
    torch.manual_seed(1)
    network = build_dacn_equivariant(dacn_equivariant_descriptor(scale, size))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network.eval()


LIVELY: dict[str, Callable[[int], nn.Module]] = {
    "dacn": lambda scale: lively_dacn(scale)[0],
    "dacn-any": lively_any,
    "dacn-any of few patterns": lambda scale: lively_any(scale, FEW_PATTERNS),
    "dacn-equivariant of 4": lambda scale: lively_equivariant(scale, EquivariantSize(symmetries=4)),
    "dacn-equivariant of 8": lambda scale: lively_equivariant(scale, EquivariantSize(symmetries=8)),
}
every_scale = pytest.mark.parametrize("scale", [2, 4, 8])


@pytest.mark.parametrize("kind", LIVELY)
@every_scale
@torch.no_grad()
def test_it_gives_what_the_trained_network_gives(kind: str, scale: int) -> None:
    network = LIVELY[kind](scale)
    fast = for_inference(network)
    assert type(fast) is not type(network)
    plain = PlainDacn(network) if isinstance(network, Dacn) else network
    for number, side in enumerate([(1, 1), (3, 2), (8, 8), (9, 14), (13, 10)]):
        lr, zero = torch.randn(2, 32, *side), torch.randn(1, 32, 1, 1) if number % 2 else None
        expected, found = plain(lr, zero), fast(lr, zero)
        span = float(expected.max() - expected.min())
        assert found.dtype == torch.float32
        assert found.is_contiguous() or kind == "dacn"
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * span)


@pytest.mark.parametrize("kind", ["dacn", "dacn-any", "dacn-any of few patterns"])
@every_scale
@torch.no_grad()
def test_half_precision_is_as_close_as_the_trained_network_under_autocast(
    kind: str, scale: int
) -> None:
    network = LIVELY[kind](scale)
    lean, lr = for_inference(network, torch.bfloat16), torch.randn(1, 32, 12, 9)
    exact = network(lr)
    with torch.autocast("cpu", torch.bfloat16):
        trained, found = (n(lr).float() for n in (network, lean))
    errors = [float((hr - exact).square().mean().sqrt()) for hr in (found, trained)]
    assert errors[0] < 1.5 * errors[1]
    torch.testing.assert_close(lean(lr), exact, rtol=1e-4, atol=1e-4)  # full without autocast
