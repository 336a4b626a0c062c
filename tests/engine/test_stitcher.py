"""Tiling, grouping and blending change nothing; invalid stays invalid; block means agree."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.multiprocessing.reductions import StorageWeakRef

from hsisr.commands.job import estimated_seconds
from hsisr.engine.machine import torch_threads
from hsisr.engine.plan import (
    BANDS_FINISHED_AT_ONCE,
    BandGroup,
    Plan,
    network_groups,
    plan_interpolation,
    plan_network,
)
from hsisr.engine.reading import fill_invalid, observe, scene_statistics
from hsisr.engine.stitch import TileRow, stitch
from hsisr.engine.upscaler import InterpolationUpscaler, Upscaler
from hsisr.models.interpolation import (
    KERNELS,
    Trim,
    area_average,
    interpolate,
    interpolate_consistently,
)
from tests.engine.standing_in import network_plan
from tests.memory import MemoryScene, MemoryWriter, layout_of, stitched


class Enlarge(torch.nn.Module):
    """A network that interpolates: whatever tiles and groups it gets, the truth is known."""

    def __init__(self, kernel: str, scale: int) -> None:
        super().__init__()
        self.kernel, self.scale = KERNELS[kernel], scale

    def forward(self, lr: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        return interpolate(lr, self.kernel, self.scale)


class Recording(Enlarge):
    """Keeps the first row of pixels of what it saw last."""

    def forward(self, lr: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
        self.seen = lr[0, :, 0, 0].tolist()
        return super().forward(lr, zero)


def smooth(bands: int, rows: int, cols: int, dtype: str = "float32") -> npt.NDArray[Any]:
    rng = np.random.default_rng(bands * 10_000 + rows * 100 + cols)
    cube = 1000 + 300 * rng.standard_normal((bands, rows, cols))
    return cube.astype(dtype)


def run(
    scene: MemoryScene, plan: Plan, *, block: tuple[int, int] = (1, 1), consistent: bool = False
) -> MemoryWriter:
    writer = MemoryWriter(scene.metadata.finer(plan.scale), block)
    return stitched(scene, plan, writer, consistent=consistent)


Size = tuple[int, int, int]
sizes = st.tuples(st.integers(1, 7), st.integers(1, 18), st.integers(1, 18))


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(1, 2), st.integers(1, 40), st.integers(1, 40)),
    scale=st.sampled_from([2, 4, 8]),
    kernel=st.sampled_from(["nearest", "bicubic"]),
    tile=st.integers(2, 20),
    block=st.sampled_from([(1, 1), (16, 16), (32, 16), (64, 64)]),
    budget=st.sampled_from([1, 10**5, 10**9]),
    consistent=st.booleans(),
)
def test_interpolation_in_strips_and_panels_equals_that_of_the_whole(
    size: Size, scale: int, kernel: str, tile: int, block: Any, budget: int, consistent: bool
) -> None:
    scene = MemoryScene(smooth(*size))
    upscaler = InterpolationUpscaler(KERNELS[kernel], scale, consistent)
    plan = plan_interpolation(upscaler, layout_of(scene, block, budget), tile=tile)
    rounds = 5 if consistent else 0
    whole = interpolate_consistently(
        torch.from_numpy(scene.cube), KERNELS[kernel], scale, rounds=rounds
    )
    got = run(scene, plan, block=block, consistent=False).cube
    np.testing.assert_allclose(got, whole.numpy(), rtol=1e-6, atol=1e-3)


@settings(max_examples=25)
@given(
    size=sizes,
    scale=st.sampled_from([2, 4]),
    tile=st.integers(2, 12),
    overlap=st.integers(0, 11),
    group=st.tuples(st.integers(1, 6), st.integers(0, 5)).filter(lambda g: g[1] < g[0]),
    batch=st.integers(1, 4),
    block=st.sampled_from([(1, 1), (16, 16), (32, 16)]),
    working_bytes=st.sampled_from([1, 10**9]),
)
def test_a_network_that_repeats_pixels_is_not_changed_by_tiles_groups_and_blending(
    size: Size, scale: int, tile: int, overlap: int, block: Any, **how: Any
) -> None:
    scene, overlap = MemoryScene(smooth(*size)), min(overlap, tile - 1)
    how |= {"scale": scale, "tile": tile, "overlap": overlap, "block": block}
    plan = network_plan(scene, Enlarge("nearest", scale), **how)
    got = run(scene, plan, block=block).cube
    whole = scene.cube.repeat(scale, axis=1).repeat(scale, axis=2)
    np.testing.assert_allclose(got, whole, rtol=1e-6, atol=1e-3)


@settings(max_examples=25)
@given(
    size=sizes,
    tile=st.integers(3, 16),
    normalisation=st.sampled_from(["none", "band"]),
    extra=st.integers(0, 3),
)
def test_with_margin_tiles_change_nothing(size: Size, tile: int, extra: int, **how: Any) -> None:
    scene = MemoryScene(smooth(*size))
    plan = network_plan(scene, Enlarge("bicubic", 2), tile=tile, overlap=0, margin=2 + extra, **how)
    whole = interpolate(torch.from_numpy(scene.cube), KERNELS["bicubic"], 2)
    np.testing.assert_allclose(run(scene, plan).cube, whole.numpy(), rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "uint16", "int16", "uint8", "int32"])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_block_means_equal_the_observed_pixels_in_every_type(dtype: str, scale: int) -> None:
    cube = np.random.default_rng(3).integers(0, 200, (3, 11, 13)).astype(dtype)
    scene = MemoryScene(cube)
    upscaler = InterpolationUpscaler(KERNELS["bicubic"], scale, consistent=True)
    plan = plan_interpolation(upscaler, layout_of(scene))
    got = run(scene, plan, consistent=True).cube.astype(np.float64)
    means = area_average(torch.from_numpy(got), scale).numpy()
    np.testing.assert_allclose(means, cube, atol=0 if cube.dtype.kind != "f" else 1e-4)


@pytest.mark.parametrize("consistent", [True, False])
def test_invalid_pixels_stay_and_never_spread(consistent: bool) -> None:
    cube = smooth(3, 30, 30)
    holed = cube.copy()
    holed[:, 10:14, 5:9] = -9999
    holed[1, 20, 20] = np.nan
    scene, other = MemoryScene(holed, nodata=-9999), MemoryScene(cube.copy(), nodata=-9999)
    other.cube[:, 10:14, 5:9], other.cube[1, 20, 20] = -9999, -9999
    upscaler = InterpolationUpscaler(KERNELS["bicubic"], 2, consistent)
    for tile in (4, 30):
        plan = plan_interpolation(upscaler, layout_of(scene), tile=tile)
        got = run(scene, plan, consistent=consistent).cube
        np.testing.assert_array_equal(got, run(other, plan, consistent=consistent).cube)
        invalid = ~np.isfinite(holed) | (holed == -9999)
        np.testing.assert_array_equal(got == -9999, invalid.repeat(2, axis=1).repeat(2, axis=2))
        assert np.isfinite(got).all()


def test_tiles_around_holes_agree_with_the_whole() -> None:
    cube = smooth(2, 60, 50)
    cube[:, 22:40, 10:30] = -1
    scene = MemoryScene(cube, nodata=-1)
    upscaler = InterpolationUpscaler(KERNELS["bicubic"], 4, consistent=True)
    results = [
        run(
            scene,
            plan_interpolation(upscaler, layout_of(scene, (1, 1), budget), tile=tile),
            consistent=True,
        ).cube
        for tile, budget in ((60, 10**9), (7, 10**9), (16, 10**6))
    ]
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=1e-6, atol=2e-3)


def test_bad_bands_between_good_ones_keep_their_place() -> None:
    scene = MemoryScene(smooth(7, 12, 12))
    plan = network_plan(scene, Enlarge("nearest", 2), scale=2, tile=5, overlap=2)
    upscaler = plan.groups[0].upscaler
    plain = InterpolationUpscaler(KERNELS["nearest"], 2, consistent=False)
    good = network_groups((0, 2, 3, 5, 6), upscaler, size=4, overlap=1)
    groups = (*good, BandGroup((1, 4), plain))
    whole = scene.cube.repeat(2, axis=1).repeat(2, axis=2)
    got = run(scene, replace(plan, groups=groups)).cube
    np.testing.assert_allclose(got, whole, rtol=1e-6, atol=1e-3)


@given(st.integers(0, 3), st.data())
@settings(max_examples=30)
def test_filling_keeps_valid_samples_and_leaves_no_gap(rounds: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    valid = rng.random((3, 9, 8)) > data.draw(st.floats(0, 1))
    values = rng.normal(50, 5, valid.shape).astype(np.float32)
    values[~valid] = np.nan
    filled = fill_invalid(values, valid, rounds)
    np.testing.assert_array_equal(filled[valid], values[valid])
    assert np.isfinite(filled).all()
    for band, mask in zip(filled, valid, strict=True):
        if mask.any():
            low, high = band[mask].min(), band[mask].max()
            assert ((band >= low - 1e-3) & (band <= high + 1e-3)).all()


def test_statistics_in_strips_equal_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    cube = smooth(4, 40, 9)
    cube[2, ::2] = -1
    cube[3] = 7
    monkeypatch.setattr("hsisr.engine.reading._ROWS_BYTES", 4 * 9 * 8 * 3)
    found = scene_statistics(MemoryScene(cube, nodata=-1))
    valid = np.ma.masked_equal(cube.astype(np.float64), -1)
    np.testing.assert_allclose(found.mean, valid.mean(axis=(1, 2)))
    np.testing.assert_allclose(found.variance, valid.var(axis=(1, 2)), atol=1e-9)
    assert found.constant.tolist() == [False, False, False, True]
    assert (found.deviation > 0).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [(5, [0, 1, 2, 1, 0]), (64, [band for band in range(3) for _ in range(21)] + [2])],
    ids=["there and back", "each many times"],
)
def test_few_bands_fill_a_group_and_come_back_as_they_were(size: int, expected: list[int]) -> None:
    values = np.broadcast_to(np.arange(3, dtype=np.float32)[:, None, None], (3, 6, 5)).copy()
    scene, network = MemoryScene(values), Recording("nearest", 2)
    plan = network_plan(scene, network, tile=6, overlap=0, group=(size, 0))
    found = stitched(scene, plan).cube
    np.testing.assert_array_equal(found[:, ::2, ::2], values)
    assert network.seen == expected


BANDS, ROWS, COLS, SCALE = 21, 6, 30, 2


class Watched(Upscaler):
    """Repeats pixels, and knows how many of its results are alive when it is called again."""

    scale = SCALE
    margin_lr_px = 0

    def __init__(self) -> None:
        self.made: list[StorageWeakRef] = []
        self.alive: list[int] = []
        self.sizes: list[int] = []

    def run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        assert trim == Trim()
        assert tiles.shape[1] == len(bands)
        self.sizes.append(len(tiles))
        self.alive.append(sum(not made.expired() for made in self.made))  # type: ignore[no-untyped-call]
        fine = tiles.repeat_interleave(SCALE, dim=-1).repeat_interleave(SCALE, dim=-2)
        self.made.append(StorageWeakRef(fine.untyped_storage()))  # type: ignore[no-untyped-call]
        return fine


def upscaled(
    scene: MemoryScene, upscaler: Watched, batch_size: int
) -> list[tuple[tuple[int, ...], torch.Tensor]]:
    groups = network_groups(range(BANDS), upscaler, size=9, overlap=3)
    layout = layout_of(scene)
    plan = plan_network(upscaler, groups, layout, tile=ROWS, overlap=2, batch_size=batch_size)
    (panel,), (rows,) = plan.panels, plan.rows
    observed = observe(scene, tuple(range(BANDS)), panel.between(rows), plan.halo)
    found: list[tuple[tuple[int, ...], torch.Tensor]] = []

    def take(bands: tuple[int, ...], values: torch.Tensor) -> None:
        found.append((bands, values.clone()))

    with ThreadPoolExecutor(1) as thread:
        TileRow(plan, panel, rows, observed, lambda _: None).upscale(thread, take)
    return found


def test_bands_come_in_handfuls_and_no_result_is_held_while_the_next_is_made() -> None:
    numbers = np.arange(BANDS * ROWS * COLS, dtype=np.float32).reshape(BANDS, ROWS, COLS)
    upscaler = Watched()
    found = upscaled(MemoryScene(numbers), upscaler, batch_size=2)

    handfuls = [bands for bands, _ in found]
    assert [band for bands in handfuls for band in bands] == list(range(BANDS))
    assert max(map(len, handfuls)) == BANDS_FINISHED_AT_ONCE
    assert all(a + 1 == b for bands in handfuls for a, b in pairwise(bands))
    wanted = torch.from_numpy(numbers.repeat(SCALE, axis=1).repeat(SCALE, axis=2))
    torch.testing.assert_close(torch.cat([values for _, values in found]), wanted)
    assert len(upscaler.alive) > 3  # several batches for each of three groups
    assert set(upscaler.alive) == {0}


def test_no_batch_is_much_smaller_than_another() -> None:
    upscaler = Watched()
    upscaled(MemoryScene(np.ones((BANDS, ROWS, COLS), np.float32)), upscaler, batch_size=3)
    assert upscaler.sizes == 3 * [2, 2, 3]  # seven tiles for each of three groups


class BesideOthers(Watched):
    in_threads = True


def test_time_is_estimated_of_as_many_tiles_at_once_as_a_row_has() -> None:
    upscaler, scene = BesideOthers(), MemoryScene(smooth(3, 9, 9))
    groups = network_groups(range(3), upscaler, size=3, overlap=0)
    plan = plan_network(upscaler, groups, layout_of(scene), tile=9, overlap=0, batch_size=4)
    assert estimated_seconds(plan) > 0
    assert upscaler.sizes == [1, 1]  # the first is not timed


class Together(Upscaler):
    """Repeats pixels; a tile is done when as many others are at work as there are threads."""

    scale = SCALE
    margin_lr_px = 0
    in_threads = True

    def __init__(self, threads: int) -> None:
        self.barrier = threading.Barrier(threads, timeout=20)

    def run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:  # noqa: ARG002
        self.barrier.wait()
        assert (torch.get_num_threads(), len(tiles)) == (1, 1)
        return tiles.repeat_interleave(SCALE, dim=-1).repeat_interleave(SCALE, dim=-2)


@pytest.mark.parametrize(("tile", "at_once"), [(3, 3), (16, 2)], ids=["many", "one per group"])
def test_tiles_are_computed_side_by_side_on_a_thread_each(tile: int, at_once: int) -> None:
    numbers = smooth(7, 9, 16)
    upscaler, scene = Together(at_once), MemoryScene(numbers)
    groups = network_groups(range(7), upscaler, size=4, overlap=1)
    plan = plan_network(upscaler, groups, layout_of(scene), tile=tile, overlap=0, batch_size=3)
    here: list[threading.Thread] = []

    def advance(tiles: int) -> None:
        here.extend([threading.current_thread()] * tiles)

    found = MemoryWriter(scene.metadata.finer(SCALE))
    with torch_threads(3):
        stitch(scene, (*range(7),), found, plan, consistent=True, masked=False, advance=advance)
        assert torch.get_num_threads() == 3
    np.testing.assert_allclose(found.cube, numbers.repeat(SCALE, 1).repeat(SCALE, 2), rtol=1e-6)
    assert here == [threading.current_thread()] * plan.tiles


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_threads_change_no_number(dtype: str) -> None:
    numbers = np.abs(smooth(40, 30, 30, "float32")).astype(dtype)
    numbers[3, 4:9, 5:7] = 0
    scene = MemoryScene(numbers, nodata=0)
    by_network = network_plan(scene, Enlarge("bicubic", 2), tile=8, overlap=2, group=(16, 4))
    by_kernel = plan_interpolation(
        InterpolationUpscaler(KERNELS["bicubic"], 2), layout_of(scene, (16, 16)), tile=8
    )
    for plan in (by_network, by_kernel):
        found = []
        for threads in (1, 3):
            with torch_threads(threads):
                found.append(stitched(scene, replace(plan, batch_size=threads)))
        np.testing.assert_array_equal(found[0].cube, found[1].cube)
        assert found[0].moved == found[1].moved
