"""Layers by oneDNN: torch's numbers, whether the processor has it or not."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from hsisr.engine.machine import tile_bytes
from hsisr.models.dacn_equivariant import DacnEquivariant
from hsisr.models.fast import onednn
from hsisr.models.fast.dacn_equivariant import FastDacnEquivariant, FixedLayer
from hsisr.models.fast.onednn import GELU, NONE, Activation, linear

ACTIVATIONS: dict[str, tuple[Activation, Callable[[torch.Tensor], torch.Tensor]]] = {
    "none": (NONE, lambda x: x),
    "gelu": (GELU, functional.gelu),
}


@pytest.fixture(params=["oneDNN", "torch"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        monkeypatch.setattr(onednn, "CONVOLUTION", None)
    elif not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pytest.skip("this torch has no oneDNN")
    return str(request.param)


def numbers(*shape: int) -> torch.Tensor:
    torch.manual_seed(sum(shape))
    return torch.randn(*shape)


@pytest.mark.parametrize("change", ["arguments", "numbers"])
@torch.no_grad()
def test_changed_private_operations_are_out(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(x: torch.Tensor, *_: object) -> torch.Tensor:
        if change == "arguments":
            raise RuntimeError("expected 12 arguments")
        return x[..., :2]

    monkeypatch.setattr(onednn, "LINEAR", changed)
    x, matrix = numbers(3, 4), numbers(2, 4)
    assert not onednn.available(x, matrix)
    torch.testing.assert_close(linear(x, matrix), functional.linear(x, matrix))


def test_a_memory_estimate_does_not_decide_for_the_work(library: str) -> None:
    onednn._work.cache_clear()  # as in a program that begins
    trained = DacnEquivariant.of(DacnEquivariant.descriptor(2))
    tile_bytes(FastDacnEquivariant(trained), bands=64, side_px=8)
    with torch.no_grad():
        assert onednn.available(numbers(3, 4), numbers(2, 4)) == (library == "oneDNN")


@pytest.mark.parametrize("name", ACTIVATIONS)
@torch.no_grad()
def test_every_layer_equals_torchs_with_its_activation(name: str) -> None:
    activation, expected = ACTIVATIONS[name]
    x, bias = numbers(2, 6, 7, 5), numbers(4)
    kernel, matrix = numbers(4, 6, 3, 3), numbers(4, 5)
    layer = FixedLayer(kernel, bias)
    close = torch.testing.assert_close
    close(layer.convolved(x, activation), expected(functional.conv2d(x, kernel, bias, padding=1)))
    close(linear(x, matrix, bias), functional.linear(x, matrix, bias))


@torch.no_grad()
def test_a_layer_that_has_worked_is_copied_sent_and_converted() -> None:
    x = numbers(1, 6, 5, 5)
    layer = FixedLayer(numbers(4, 6, 3, 3), numbers(4))
    expected = layer.convolved(x)
    for made in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):  # noqa: S301
        torch.testing.assert_close(made.convolved(x), expected, rtol=0, atol=0)
    half = layer.bfloat16().convolved(x.bfloat16())
    assert half.dtype is torch.bfloat16
    torch.testing.assert_close(half.float(), expected, rtol=0.05, atol=0.2)
    assert layer.to("meta").convolved(x.bfloat16().to("meta")).shape == expected.shape


def test_with_gradients_torch_itself_does_the_work() -> None:
    x, weight = numbers(2, 3).requires_grad_(), numbers(4, 3)
    linear(x, weight).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
