"""Infinite numbers are no data and counted; a finite spike is data and named."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from hsisr.commands.degrade import degrade
from hsisr.commands.evaluation.evaluate import evaluate
from hsisr.commands.options import DegradeOptions, EvaluateOptions
from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.plan import network_groups, plan_interpolation, plan_network
from hsisr.engine.reading import OddNumbers, scene_statistics
from hsisr.engine.upscaler import InterpolationUpscaler, NetworkUpscaler
from hsisr.errors import HsisrWarning, InputDataError, MovedValuesWarning, WeightsError
from hsisr.models.interpolation import KERNELS, Trim
from hsisr.tiling import Window
from tests import memory
from tests.engine.standing_in import Repeating, upscaler
from tests.memory import MemoryScene, MemoryWriter, layout_of
from tests.program import cube_at, metadata_at, values_of, warned
from tests.scenes import write_geotiff

RANDOM = np.random.default_rng(5)


def reflectance() -> np.ndarray:
    return RANDOM.uniform(0.1, 0.5, (3, 20, 16)).astype(np.float32)


def test_infinite_numbers_are_counted_once_and_stay_invalid(tmp_path: Path) -> None:
    values = reflectance()
    values[0, 3, 4] = values[1, 19, 0] = np.inf
    values[2, 7, 7] = -np.inf
    values[2, 0, 0] = np.nan
    path = write_geotiff(tmp_path / "x.tif", values)
    with pytest.warns(HsisrWarning, match=r"x\.tif: 3 numbers are infinite and count as no data"):
        upscale(path, tmp_path / "o.tif", UpscaleOptions(scale=2, model="bicubic"))
    valid = cube_at(tmp_path / "o.tif").valid
    np.testing.assert_array_equal(valid, np.isfinite(values).repeat(2, axis=1).repeat(2, axis=2))


def test_infinite_numbers_are_counted_where_a_scene_is_degraded_or_judged(tmp_path: Path) -> None:
    values = reflectance()
    values[0, 3, 4] = values[1, 19, 0] = np.inf
    path = write_geotiff(tmp_path / "x.tif", values)
    with pytest.warns(HsisrWarning, match=r"x\.tif: 2 numbers are infinite and count as no data"):
        degrade(path, tmp_path / "o.tif", DegradeOptions(scale=2, method="mtf"))
    plain = write_geotiff(tmp_path / "y.tif", np.where(np.isinf(values), 0.2, values))
    with warned() as said:
        evaluate(path, plain)
    assert ["x.tif: 2 numbers are infinite" in one for one in said] == [True]


def test_fill_that_nobody_names_is_said_where_a_scene_is_judged(tmp_path: Path) -> None:
    values = reflectance()
    values[:, :, :4] = -9999
    path = write_geotiff(tmp_path / "x.tif", values)
    with pytest.warns(HsisrWarning, match="many samples are -9999.*--nodata -9999"):
        evaluate(path, path)
    named = evaluate(path, path, EvaluateOptions(nodata="-9999"))
    assert named.scores is not None


@pytest.mark.parametrize("number", [1e30, -1e30])
def test_a_spike_stays_data_and_is_named_with_its_reach(number: float, tmp_path: Path) -> None:
    values = reflectance()
    values[1, 5, 2] = number
    path = write_geotiff(tmp_path / "x.tif", values)
    options = UpscaleOptions(scale=2, model="bicubic")
    where = re.escape(f"band 2 holds {number:g} in row 5, column 2, ")
    with pytest.warns(HsisrWarning, match=where + r".* stays data and reaches \d+ pixels"):
        upscale(path, tmp_path / "o.tif", options)
    block = values_of(tmp_path / "o.tif")[1, 10:12, 4:6]
    assert block.mean(dtype=np.float64) == pytest.approx(number, rel=1e-6)


@pytest.mark.parametrize("nodata", [-np.inf, float(np.finfo("f4").min), 1e30])
def test_nodata_is_neither_infinite_nor_a_spike(nodata: float) -> None:
    values = reflectance()
    values[0, 3, 4] = nodata
    odd = OddNumbers(MemoryScene(values, nodata), range(3), 4)
    odd.look(values, Window(0, 0, 20, 16), range(16))
    odd.warn()  # a warning is an error here


def test_half_precision_numbers_are_looked_at_too() -> None:
    values = reflectance().astype(np.float16)
    odd = OddNumbers(MemoryScene(values), range(3), 4)
    odd.look(values, Window(0, 0, 20, 16), range(16))
    odd.warn()  # a warning is an error here, numpy's too
    values[:, :10] /= 100
    values[1, 5, 2] = 65504
    odd.look(values[:, :10], Window(0, 0, 10, 16), range(16))
    with pytest.warns(HsisrWarning, match="band 2 holds 65504 in row 5, column 2, "):
        odd.warn()


@pytest.mark.parametrize(
    ("nodata", "stored", "dtype", "chosen"),
    [
        (-np.inf, "f4", "uint16", 65535),
        (-9999.0, "f4", "uint16", 65535),
        (-1.7e308, "f8", "float32", np.nan),
        (-1.7e308, "f8", "int16", -32768),
    ],
)
def test_nodata_that_the_output_cannot_hold_becomes_another_number(
    nodata: float, stored: str, dtype: str, chosen: float, tmp_path: Path
) -> None:
    values = (1000 * reflectance()).astype(stored)
    values[:, 3, 4] = nodata
    path = write_geotiff(tmp_path / "x.tif", values, nodata=nodata)
    options = UpscaleOptions(scale=2, model="nearest", dtype=dtype)
    with warned() as said:
        upscale(path, tmp_path / "o.tif", options)
    assert any(f"does not fit {dtype}; {chosen:g} marks" in one for one in said)
    found = metadata_at(tmp_path / "o.tif").stored.nodata
    assert found == pytest.approx(chosen, nan_ok=True)
    valid = cube_at(tmp_path / "o.tif").valid
    np.testing.assert_array_equal(valid, (values != nodata).repeat(2, axis=1).repeat(2, axis=2))


def test_sums_stay_exact_where_numbers_lie_around_nodata(tmp_path: Path) -> None:
    values = RANDOM.integers(-9, 9, (3, 20, 16)).astype("int16")
    path = write_geotiff(tmp_path / "x.tif", values, nodata=0)
    with pytest.warns(MovedValuesWarning, match="did not fit int16, or met nodata 0, and"):
        upscale(path, tmp_path / "o.tif", UpscaleOptions(scale=4, model="bicubic"))
    found = cube_at(tmp_path / "o.tif")
    means = found.values.reshape(3, 20, 4, 16, 4).mean(axis=(2, 4))
    np.testing.assert_array_equal(means, values)
    assert found.valid.mean() == (values != 0).mean()


def test_columns_of_other_panels_are_not_counted() -> None:
    values = reflectance()
    values[0, 3, [2, 9, 15]] = np.inf
    odd = OddNumbers(MemoryScene(values), range(3), 4)
    odd.look(values[:, :, :12], Window(0, 0, 20, 12), range(8))
    odd.look(values[:, :, 4:], Window(0, 4, 20, 12), range(8, 16))
    with pytest.warns(HsisrWarning, match="3 numbers are infinite"):
        odd.warn()


@pytest.mark.parametrize("number", [2**24, -(2**24), None])
@pytest.mark.parametrize("act", [upscale, degrade])
def test_integers_beyond_float32_are_told(act: Any, number: int | None, tmp_path: Path) -> None:
    values = RANDOM.integers(10_000_000, 16_000_000, (3, 20, 16)).astype("int32")
    values[1, :4, :4] = -(2**31)
    if number is not None:
        values[2, 19, 15] = number + np.sign(number)
    path = write_geotiff(tmp_path / "x.tif", values, nodata=-(2**31))
    how: Any = UpscaleOptions(scale=2, model="bicubic") if act is upscale else DegradeOptions()
    with warned() as said:
        act(path, tmp_path / "o.tif", how)
    told = [one for one in said if "int32 numbers are computed in float32" in one]
    assert len(told) == (number is not None)


@pytest.mark.parametrize("masked", [True, False])
def test_integers_beyond_float32_are_told_where_a_scene_is_judged(
    tmp_path: Path, *, masked: bool
) -> None:
    values = RANDOM.integers(10_000_000, 16_000_000, (3, 20, 16)).astype("uint32")
    values[1, 9, 9] = 2**24 + 1
    large = write_geotiff(tmp_path / "x.tif", values, nodata=2**24 + 1 if masked else 0)
    small = write_geotiff(tmp_path / "y.tif", values.clip(max=2**24 - 1))
    told = "x.tif: uint32 numbers are computed in float32"
    for files in ((large, small), (small, large)):
        with warned() as said:
            evaluate(*files)
        assert [one for one in said if told in one] == ([] if masked else [said[0]])


def test_whole_numbers_that_a_resumed_run_does_not_read_again_may_be_such() -> None:
    for dtype, told in (("int32", 1), ("uint16", 0)):
        odd = OddNumbers(MemoryScene(np.ones((3, 20, 16), dtype)), range(3), 4)
        odd.skip()
        with warned() as said:
            odd.warn()
        assert len(said) == told


NO_TRIM = Trim(0, 0, 0, 0)


def cube(dtype: str = "float32") -> npt.NDArray[Any]:
    return np.random.default_rng(3).uniform(1, 2, (6, 16, 16)).astype(dtype)


def stitched(
    scene: MemoryScene, network: NetworkUpscaler | None, dtype: str | None = None, **how: Any
) -> MemoryWriter:
    layout = layout_of(scene)
    if network is None:
        plain = InterpolationUpscaler(KERNELS["bicubic"], 2, how.get("consistent", True))
        plan = plan_interpolation(plain, layout, tile=4)
    else:
        groups = network_groups(range(layout.bands), network, size=3, overlap=0)
        plan = plan_network(network, groups, layout, tile=4, overlap=0, batch_size=2)
    target = MemoryScene(np.zeros(scene.cube.shape, dtype or scene.cube.dtype), scene.nodata_of(0))
    return memory.stitched(scene, plan, MemoryWriter(target.metadata.finer(2)), **how)


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
    network = upscaler(Repeating(), statistics=scene_statistics(scene)) if by_network else None
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
def test_values_of_a_network_that_overflow_are_its_fault(*, consistent: bool) -> None:
    scene = MemoryScene(cube() * 1e4)
    network = upscaler(Repeating(gain=1e37), statistics=scene_statistics(scene))
    with pytest.raises(WeightsError, match=r"bands 1, 2, 3 hold .* too large for float32; these"):
        stitched(scene, network, consistent=consistent)


@pytest.mark.parametrize("far", [torch.inf, torch.nan, 3e38])
def test_only_the_tiles_that_leave_half_precision_are_done_in_full(far: float) -> None:
    scene = MemoryScene(cube()[:3] * 1e4)
    statistics = scene_statistics(scene)
    network = Repeating(most=5, far=far)  # 3e38 overflows only once it is multiplied back
    tiles = torch.from_numpy(scene.cube[:, :4, :4]).repeat(4, 1, 1, 1)
    tiles[1, 0, 0, 0] = tiles[3, 2, 1, 1] = 1e6
    with pytest.warns(HsisrWarning, match=r"2 tiles were computed in float32, .* of bfloat16$"):
        done = upscaler(network, statistics=statistics, precision=torch.bfloat16).run(
            tiles, (0, 1, 2), NO_TRIM
        )
    assert network.calls == [(True, 4), (False, 2)]
    whole = tiles.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(done, whole, rtol=1e-4, atol=1)
