"""Networks around which memory is short: smaller batches, the same numbers."""

import numpy as np
import pytest
import torch

from hsisr.errors import ResourceError
from hsisr.models.interpolation import Trim
from tests.engine.standing_in import upscaler

NO_TRIM = Trim(0, 0, 0, 0)


class Greedy(torch.nn.Module):
    """Repeats pixels; has memory for a few tiles at once."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        self.most, self.error = most, error
        self.batches: list[int] = []

    def forward(self, lr: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        if len(lr) > self.most:
            raise self.error
        self.batches.append(len(lr))
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)


SHORT = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", SHORT, ids=["cuda", "cpu", "python"])
def test_a_batch_too_large_is_halved_until_it_fits(error: Exception) -> None:
    tiles = torch.from_numpy(np.random.default_rng(0).random((7, 3, 4, 4), np.float32))
    network = Greedy(2, error)
    fine = upscaler(network).run(tiles, (0, 1, 2), NO_TRIM)
    torch.testing.assert_close(fine, tiles.repeat_interleave(2, -1).repeat_interleave(2, -2))
    assert network.batches == [1, 2, 2, 2]


@pytest.mark.parametrize("error", SHORT, ids=["cuda", "cpu", "python"])
def test_one_tile_too_large_is_said(error: Exception) -> None:
    with pytest.raises(ResourceError, match="does not fit into the memory of cpu; use a smaller"):
        upscaler(Greedy(0, error)).run(torch.zeros(2, 3, 4, 4), (0, 1, 2), NO_TRIM)


def test_other_errors_of_a_network_are_not_taken_for_memory() -> None:
    network = Greedy(0, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        upscaler(network).run(torch.zeros(2, 3, 4, 4), (0, 1, 2), NO_TRIM)
