"""Batches under way while others are blended; on the processor, by transfers that stand in."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from hsisr.engine.plan import network_groups, plan_network
from hsisr.engine.reading import scene_statistics
from hsisr.engine.upscaler import NetworkUpscaler, Transfers
from hsisr.errors import HsisrWarning, ResourceError, WeightsError
from hsisr.models.interpolation import Trim
from tests import memory
from tests.engine.standing_in import Repeating, upscaler
from tests.memory import MemoryScene, MemoryWriter, layout_of

TRIM = Trim(1, 0, 0, 1)
SHORT: list[Exception] = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]
each_error = pytest.mark.parametrize("error", SHORT, ids=["cuda", "cpu", "python"])


class Deferred(Transfers):
    """Results come when they are waited for, and not before."""

    def __init__(self) -> None:  # no device
        self.log: list[str] = []
        self.begun = self.waited = self.most = 0

    def to_device(self, host: torch.Tensor) -> torch.Tensor:
        return host.clone()

    def to_host(self, found: Sequence[torch.Tensor]) -> Callable[[], list[torch.Tensor]]:
        assert all(x.is_contiguous() for x in found)
        hosts = [torch.full_like(x, 0) for x in found]
        number = self.begun
        self.begun += 1
        self.most = max(self.most, self.begun - self.waited)
        self.log.append(f"begin {number}")

        def wait() -> list[torch.Tensor]:
            self.waited += 1
            self.log.append(f"wait {number}")
            for host, x in zip(hosts, found, strict=True):
                host.copy_(x)
            return hosts

        return wait


def tiles(n: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(n).random((n, 3, 4, 5), np.float32))


def pair(network: torch.nn.Module, **more: object) -> tuple[NetworkUpscaler, NetworkUpscaler]:
    plain = upscaler(network, **more)  # type: ignore[arg-type]
    return plain, replace(plain, transfers=Deferred())


def test_what_is_begun_gives_what_is_run() -> None:
    statistics = scene_statistics(MemoryScene(tiles(3)[0].numpy()))
    plain, ahead = pair(Repeating(), statistics=statistics)
    whole, part = tiles(3), tiles(2)[:, :2]
    first, second = ahead.begin(whole, (0, 1, 2), TRIM), ahead.begin(part, (1, 2), TRIM)
    torch.testing.assert_close(first(), plain.run(whole, (0, 1, 2), TRIM), rtol=0, atol=0)
    torch.testing.assert_close(second(), plain.run(part, (1, 2), TRIM), rtol=0, atol=0)
    assert plain.most_under_way == 1
    assert ahead.most_under_way == 2


def stitched(upscaler: NetworkUpscaler, *, ahead: bool) -> MemoryWriter:
    values = np.random.default_rng(0).random((7, 9, 26), np.float32)
    values[:, :4, 15:22] = np.nan  # a batch without data
    scene, groups = MemoryScene(values), network_groups(range(7), upscaler, size=3, overlap=1)
    plan = plan_network(upscaler, groups, layout_of(scene), tile=4, overlap=1, batch_size=2)
    return memory.stitched(scene, replace(plan, ahead=ahead), consistent=False)


@pytest.mark.parametrize("ahead", [False, True], ids=["groups in turn", "next group ahead"])
def test_a_scene_with_two_batches_under_way_equals_one_with_one(ahead: bool) -> None:
    plain, two = pair(Repeating())
    expected, found = stitched(plain, ahead=False), stitched(two, ahead=ahead)
    np.testing.assert_array_equal(found.cube, expected.cube)
    assert isinstance(two.transfers, Deferred)
    assert two.transfers.most == 2
    assert two.transfers.begun == two.transfers.waited > 10
    assert two.transfers.log[:4] == ["begin 0", "begin 1", "wait 0", "begin 2"]


def test_tiles_that_break_in_half_precision_are_computed_anew() -> None:
    network = Repeating(most=0.99)
    plain, ahead = pair(network, precision=torch.bfloat16)
    lr = tiles(4).clamp_max(0.9)
    lr[1, 0, 2, 2] = lr[3, 0, 2, 2] = 1
    with pytest.warns(HsisrWarning, match="2 tiles were computed in float32"):
        expected = plain.run(lr, (0, 1, 2), TRIM)
    network.calls.clear()
    wait = ahead.begin(lr, (0, 1, 2), TRIM)
    assert network.calls == [(True, 4)]
    with pytest.warns(HsisrWarning, match="2 tiles were computed in float32"):
        torch.testing.assert_close(wait(), expected, rtol=0, atol=0)


@pytest.mark.parametrize("ahead", [False, True])
def test_an_error_of_a_batch_ends_a_scene(ahead: bool) -> None:
    network = Repeating(most=0.5, always=True)
    with pytest.raises(WeightsError, match="returned values that are not finite"):
        stitched(pair(network)[1], ahead=ahead)


@each_error
def test_what_does_not_fit_is_halved_when_it_is_waited_for(error: Exception) -> None:
    network = Repeating(too_many=3, error=error)
    plain, ahead = pair(network)
    wait = ahead.begin(tiles(5), (0, 1, 2), TRIM)
    assert network.calls == [(False, 5)]
    found = wait()
    assert [n for _, n in network.calls] == [5, 5, 2, 3, 1, 2]
    torch.testing.assert_close(found, plain.run(tiles(5), (0, 1, 2), TRIM), rtol=0, atol=0)
    with_room, _ = pair(Repeating())
    torch.testing.assert_close(found, with_room.run(tiles(5), (0, 1, 2), TRIM), rtol=0, atol=0)


@each_error
def test_one_tile_too_large_is_said(error: Exception) -> None:
    with pytest.raises(ResourceError, match=r"memory of cpu; use .*, or fewer --threads"):
        upscaler(Repeating(too_many=1, error=error)).run(tiles(2), (0, 1, 2), TRIM)


def test_other_errors_of_a_network_are_not_taken_for_memory() -> None:
    network = Repeating(too_many=1, error=RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        upscaler(network).run(tiles(2), (0, 1, 2), TRIM)
