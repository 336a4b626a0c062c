"""When a graph is recorded, used and dropped; on the processor, by a recording that stands in."""

import logging
from collections.abc import Callable

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hsisr.models.dacn_equivariant import DacnEquivariant
from hsisr.models.fast.cuda_graph import SETTLED_AFTER, Graphed, Recording
from hsisr.models.fast.dacn_equivariant import FastDacnEquivariant

Work = Callable[[], torch.Tensor]


class Tenfold(torch.nn.Module):
    """Counts the calls that compute."""

    calls = 0

    def forward(self, lr: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        self.calls += 1
        return 10 * lr if zero is None else 10 * lr + zero


class Recorder:
    """Replays by doing the work again, into the memory of the first time."""

    def __init__(self) -> None:
        self.shapes: list[torch.Size] = []
        self.given: list[object] = []
        self.replays = 0

    def __call__(self, work: Work, device: torch.device, shared: object) -> Recording:
        assert device.type == "cpu"
        result = work()
        self.shapes.append(result.shape)
        self.given.append(shared)
        return Recording(lambda: self.replayed(work, result), result, "memory")

    def replayed(self, work: Work, result: torch.Tensor) -> None:
        self.replays += 1
        result.copy_(work())


class WithoutInput(Recorder):
    """What depends on the input is not recorded."""

    def replayed(self, work: Work, result: torch.Tensor) -> None:
        pass


def graphed(recorder: Recorder) -> Graphed:
    return Graphed(Tenfold(), recorder, "cpu")


def tiles(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_a_graph_is_recorded_when_a_shape_comes_again_and_again() -> None:
    recorder = Recorder()
    network = graphed(recorder)
    for seed in range(SETTLED_AFTER - 1):
        network(tiles(2, seed))
    network(tiles(1))  # a last batch
    assert recorder.shapes == []
    network(tiles(2, 8))
    assert recorder.shapes == [(2, 3, 4, 4)]
    replays = recorder.replays
    torch.testing.assert_close(network(tiles(2, 9)), 10 * tiles(2, 9), rtol=0, atol=0)
    assert recorder.replays == replays + 1


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_results_are_the_callers_own(mode: Callable[[], torch.no_grad]) -> None:
    network, zero = graphed(Recorder()), torch.full((1, 3, 1, 1), 0.5)
    with mode():
        found = [network(tiles(2, seed), zero) for seed in range(6)]
    for seed, hr in enumerate(found):
        torch.testing.assert_close(hr, 10 * tiles(2, seed) + 0.5, rtol=0, atol=0)


@torch.no_grad()
def test_shapes_types_precisions_and_stored_zeros_have_graphs_of_their_own() -> None:
    recorder = Recorder()
    network, zero = graphed(recorder), torch.ones(1, 3, 1, 1)
    for _ in range(SETTLED_AFTER + 2):
        network(tiles(2))
        network(tiles(2), zero)
        network(tiles(2).double())
        with torch.autocast("cpu", torch.bfloat16):
            network(tiles(2))
    assert len(recorder.shapes) == 4
    assert recorder.given == [None, "memory", "memory", "memory"]


@torch.no_grad()
def test_a_graph_that_does_not_agree_is_never_used(caplog: pytest.LogCaptureFixture) -> None:
    recorder = WithoutInput()
    network = graphed(recorder)
    with caplog.at_level(logging.INFO, "hsisr"):
        found = [network(tiles(2, seed)) for seed in range(8)]
    for seed, hr in enumerate(found):
        torch.testing.assert_close(hr, 10 * tiles(2, seed), rtol=0, atol=0)
    assert len(recorder.shapes) == 1
    assert "not used any more: a replay differs by" in caplog.text


@pytest.mark.parametrize(
    "error",
    [RuntimeError("operation not permitted"), torch.OutOfMemoryError("CUDA out of memory")],
    ids=["capture", "memory"],
)
@torch.no_grad()
def test_where_recording_fails_the_network_runs_plainly(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def fails(work: Work, device: torch.device, shared: object) -> Recording:  # noqa: ARG001
        tried.append(work)
        raise error

    network = Graphed(Tenfold(), fails, "cpu")
    with caplog.at_level(logging.INFO, "hsisr"):
        found = [network(tiles(2, seed)) for seed in range(8)]
    for seed, hr in enumerate(found):
        torch.testing.assert_close(hr, 10 * tiles(2, seed), rtol=0, atol=0)
    assert len(tried) == 1
    assert "not used any more: recording failed (" in caplog.text


class NoQuestions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Nothing that would wait for a device, or copy from the processor."""

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "item")

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        assert func.overloadpacket.__name__ not in self.FORBIDDEN, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("scale", [2, 4])
@torch.no_grad()
def test_the_fast_form_asks_nothing_of_the_device(scale: int) -> None:
    """In float16 the processor runs what a GPU would."""
    descriptor = DacnEquivariant.descriptor(scale)
    network = FastDacnEquivariant(DacnEquivariant.of(descriptor)).half()
    lr, zero = torch.rand(1, descriptor.group_size, 9, 8), torch.zeros(1, 64, 1, 1)
    network(lr, zero)  # tables are made once
    with NoQuestions():  # type: ignore[no-untyped-call]
        network(lr, zero)
