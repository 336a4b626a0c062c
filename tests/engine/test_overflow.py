"""Numbers that leave float32 never reach an output, and whoever is to blame is named."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from hsisr.engine.plan import network_groups, plan_interpolation, plan_network
from hsisr.engine.statistics import scene_statistics
from hsisr.engine.upscaler import InterpolationUpscaler, NetworkUpscaler
from hsisr.errors import HsisrWarning, InputDataError, WeightsError
from hsisr.models.interpolation import KERNELS, Trim
from tests import memory
from tests.engine.standing_in import upscaler
from tests.memory import MemoryScene, MemoryWriter, layout_of

NO_TRIM = Trim(0, 0, 0, 0)


class Repeat(torch.nn.Module):
    """Repeats pixels, times a gain; in half precision, what is above `most` becomes infinite."""

    def __init__(self, gain: float = 1.0, most: float = torch.inf, far: float = torch.inf) -> None:
        super().__init__()
        self.gain, self.most, self.far = gain, most, far
        self.calls: list[tuple[bool, int]] = []

    def forward(self, lr: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        half = torch.is_autocast_enabled("cpu")
        self.calls.append((half, len(lr)))
        hr = lr.repeat_interleave(2, -1).repeat_interleave(2, -2) * self.gain
        return hr.where(hr <= self.most, self.far) if half else hr


def cube(dtype: str = "float32") -> npt.NDArray[Any]:
    return np.random.default_rng(3).uniform(1, 2, (6, 16, 16)).astype(dtype)


def stitched(
    scene: MemoryScene,
    network: NetworkUpscaler | None,
    *,
    consistent: bool = True,
    dtype: str | None = None,
) -> MemoryWriter:
    layout = layout_of(scene)
    if network is None:
        plain = InterpolationUpscaler(KERNELS["bicubic"], 2, consistent)
        plan = plan_interpolation(plain, layout, tile=4)
    else:
        groups = network_groups(range(layout.bands), network, size=3, overlap=0)
        plan = plan_network(network, groups, layout, tile=4, overlap=0, batch_size=2)
    target = MemoryScene(np.zeros(scene.cube.shape, dtype or scene.cube.dtype), scene.nodata_of(0))
    return memory.stitched(
        scene, plan, MemoryWriter(target.metadata.finer(2)), consistent=consistent
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16"])
@pytest.mark.parametrize(
    ("by_network", "consistent"), [(False, False), (False, True), (True, True)]
)
def test_numbers_of_a_scene_that_are_too_large_are_refused_and_named(
    dtype: str, *, consistent: bool, by_network: bool
) -> None:
    values = cube()
    values[4, 6:9, 6:9] = 3.3e38
    values[4, 7, 7] = -3.3e38
    scene = MemoryScene(values)
    network = upscaler(Repeat(), statistics=scene_statistics(scene)) if by_network else None
    with pytest.raises(InputDataError, match=r"memory.tif: band 5 holds numbers up to 3.3e\+38"):
        stitched(scene, network, consistent=consistent, dtype=dtype)


def test_what_float32_cannot_hold_is_refused_when_it_is_read() -> None:
    values = cube("float64")
    values[2, 3, 3] = 1e200
    with pytest.raises(InputDataError, match=r"band 3 holds 1e\+200, expected numbers up to 3.403"):
        stitched(MemoryScene(values), None)


def test_nodata_and_infinity_beyond_float32_are_still_no_data() -> None:
    values = cube("float64")
    values[:, 3, 3], values[:, 5, 5] = -np.finfo(np.float64).max, np.inf
    scene = MemoryScene(values, nodata=-np.finfo(np.float64).max)
    with pytest.warns(HsisrWarning, match="6 numbers are infinite and count as no data"):
        done = stitched(scene, None).cube
    empty = done == -np.finfo(np.float64).max
    assert np.count_nonzero(empty) == 6 * 2 * 4
    assert np.abs(done[~empty]).max() < 3


@pytest.mark.parametrize("consistent", [True, False])
def test_finite_values_of_a_network_that_overflow_afterwards_are_its_fault(
    *, consistent: bool
) -> None:
    scene = MemoryScene(cube() * 1e4)
    network = upscaler(Repeat(gain=1e37), statistics=scene_statistics(scene))
    with pytest.raises(WeightsError, match=r"bands 1, 2, 3 hold .* too large for float32; these"):
        stitched(scene, network, consistent=consistent)


@pytest.mark.parametrize("far", [torch.inf, torch.nan, 3e38])
def test_only_the_tiles_that_leave_half_precision_are_done_in_full(far: float) -> None:
    scene = MemoryScene(cube()[:3] * 1e4)
    statistics = scene_statistics(scene)
    network = Repeat(most=5, far=far)  # 3e38 overflows only once it is multiplied back
    tiles = torch.from_numpy(scene.cube[:, :4, :4]).repeat(4, 1, 1, 1)
    tiles[1, 0, 0, 0] = tiles[3, 2, 1, 1] = 1e6
    with pytest.warns(HsisrWarning, match=r"2 tiles were computed in float32, .* of bfloat16$"):
        done = upscaler(network, statistics=statistics, precision=torch.bfloat16).run(
            tiles, (0, 1, 2), NO_TRIM
        )
    assert network.calls == [(True, 4), (False, 2)]
    whole = tiles.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(done, whole, rtol=1e-4, atol=1)
