"""Pseudo-bands change the work, and nothing else: agreement, masks, places and clean bands stay."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import torch

from hsisr.commands import job
from hsisr.commands.upscale import plan_upscale, upscale
from hsisr.engine import mixing as mixing_module
from hsisr.engine.mixing import Mixing, SceneStatistics, measure_scene
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.plan import Plan, plan_interpolation
from hsisr.engine.reading import scene_statistics
from hsisr.engine.session import Session
from hsisr.engine.upscaler import InterpolationUpscaler
from hsisr.errors import InputDataError, UsageError
from hsisr.io.open import PartScene, open_scene
from hsisr.models.dacn_any import AnySize, DacnAny
from hsisr.models.dacn_equivariant import DacnEquivariant
from hsisr.models.interpolation import (
    KERNELS,
    AddsDetail,
    DetailOf,
    area_average,
    interpolate,
    interpolate_consistently,
)
from hsisr.models.registry import for_inference
from hsisr.tiling import Window
from tests import memory
from tests.commands.runs import break_off
from tests.engine.standing_in import network_plan
from tests.memory import MemoryScene, layout_of
from tests.networks import tiny_weights
from tests.program import assert_holds, values_of
from tests.scenes import TRANSFORM, UTM, write_geotiff

Values = npt.NDArray[Any]
NARROW = "dacn-equivariant-x2-4"
"""Weights that take 32 bands at once."""


class Sharpen(torch.nn.Module):
    """A network whose detail is three times that of nearest neighbour; known, linear and local."""

    def __init__(self, gain: float = 3.0, scale: int = 2) -> None:
        super().__init__()
        self.gain, self.scale = gain, scale

    def forward(self, lr: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        base = interpolate_consistently(lr, KERNELS["bicubic"], self.scale)
        return base + self.gain * (interpolate(lr, KERNELS["nearest"], self.scale) - base)


def correlated(
    bands: int, rows: int = 36, cols: int = 30, rank: int = 4, noise: float = 0.01
) -> Values:
    rng = np.random.default_rng(bands + rows + cols)
    maps = rng.standard_normal((rank, rows * cols))
    at = np.linspace(0, 1, bands)[:, None]
    spectra = np.stack([np.cos(np.pi * k * at[:, 0]) for k in range(rank)], axis=1)
    values = spectra @ maps + noise * rng.standard_normal((bands, rows * cols))
    return (1000 + 100 * values).reshape(bands, rows, cols).astype("float32")


def every_band(values: Values) -> npt.NDArray[np.bool_]:
    return np.ones(len(values), np.bool_)


def mixing_of(values: Values, used: npt.NDArray[np.bool_] | None = None) -> Mixing:
    found = measure_scene(MemoryScene(values), every_band(values) if used is None else used).mixing
    assert found is not None
    return found


def plan_of(values: Values, network: torch.nn.Module, mixing: Mixing | None, **how: Any) -> Plan:
    used = for_inference(network, detail_only=mixing is not None)
    how = {"tile": 12, "overlap": 4, "margin": 12, "group": (32, 8), **how}
    return network_plan(MemoryScene(values), used, normalisation="band", mixing=mixing, **how)


def stitched(values: Values, plan: Plan, nodata: float | None = None) -> Values:
    return memory.stitched(MemoryScene(values, nodata), plan).cube


def sharpened(values: Values) -> Values:
    return stitched(values, plan_of(values, Sharpen(), mixing_of(values)))


def bicubic(values: Values, scale: int = 2) -> Values:
    upscaler = InterpolationUpscaler(KERNELS["baseline"], scale)
    return stitched(values, plan_interpolation(upscaler, layout_of(MemoryScene(values))))


def identity(values: Values) -> Mixing:
    statistics, bands = scene_statistics(MemoryScene(values)), len(values)
    return Mixing(
        order=np.arange(bands),
        edges=np.arange(bands + 1),
        expansion=np.eye(bands, dtype=np.float32),
        centre=statistics.mean.astype("float32"),
        scale=statistics.deviation.astype("float32"),
        spread=np.full(bands, 1e6, np.float32),
        mean=statistics.mean.astype("float32"),
        variance=statistics.variance.astype("float32"),
    )


@pytest.mark.parametrize("scale", [2, 4])
def test_identity_mixing_equals_the_bands_themselves(scale: int) -> None:
    torch.manual_seed(0)
    descriptor = replace(DacnEquivariant.descriptor(scale), group_size=4, group_overlap=2)
    network = DacnEquivariant.of(descriptor).eval()
    for parameter in network.pixels.parameters():
        parameter.data.mul_(30)
    values = correlated(6, 21, 26)
    kind: dict[str, Any] = {"scale": scale, "group": (4, 2)}
    expected = stitched(values, plan_of(values, network, None, **kind))
    found = stitched(values, plan_of(values, network, identity(values), **kind))
    deviation = values.std(axis=(1, 2))[:, None, None]
    assert (np.abs(expected - bicubic(values, scale)) / deviation).max() > 0.1  # it adds something
    assert (np.abs(found - expected) / deviation).max() < 1e-3


def test_a_network_without_detail_equals_bicubic_with_agreement() -> None:
    values = correlated(40)
    found = stitched(values, plan_of(values, Sharpen(0.0), mixing_of(values)))
    np.testing.assert_allclose(found, bicubic(values), rtol=1e-5)


@pytest.mark.parametrize("working_bytes", [10**9, 2 * 10**6])
def test_bands_get_their_own_detail_back_and_agree(working_bytes: int) -> None:
    values = correlated(40, noise=0.0)
    plan = plan_of(values, Sharpen(), mixing_of(values), working_bytes=working_bytes)
    assert (len(plan.panels) > 1) == (working_bytes < 10**9)
    found = stitched(values, plan)
    base = bicubic(values)
    nearest = values.repeat(2, axis=1).repeat(2, axis=2)
    detail = 3 * (nearest - base)
    error = found - base - detail
    assert np.sqrt((error**2).mean()) < 0.05 * np.sqrt((detail**2).mean())
    back = area_average(torch.from_numpy(found), 2).numpy()
    np.testing.assert_allclose(back, values, rtol=1e-5)


@pytest.mark.parametrize("deviations", [5, 400])
def test_a_spike_in_one_band_stays_in_that_band(deviations: int) -> None:
    values = correlated(45)
    struck = values.copy()
    struck[20, 17, 14] += deviations * values[20].std()
    others = np.delete(sharpened(struck) - sharpened(values), 20, axis=0)
    assert np.abs(others).max() < 0.05 * values.std(axis=(1, 2)).min()


def test_bands_that_are_bad_empty_or_constant_get_no_weight_and_no_detail() -> None:
    values = correlated(45)
    values[5], values[11], values[30, :9] = -1, 7, -1
    used = every_band(values)
    used[2] = False
    found = measure_scene(MemoryScene(values, nodata=-1), used).mixing
    assert found is not None
    assert not {2, 5, 11} & set(found.order.tolist())
    assert len(found.order) == 42
    assert not found.expansion[[2, 5, 11]].any()
    made = stitched(values, plan_of(values, Sharpen(), found), nodata=-1)
    assert (made[5] == -1).all()
    assert (made[30, :18] == -1).all()
    assert (made[30, 18:] != -1).all()
    np.testing.assert_allclose(made[11], 7)


def test_a_band_without_data_in_a_window_takes_its_neighbours_shape() -> None:
    values = correlated(45)
    mixing, valid = mixing_of(values), np.ones(values.shape, np.bool_)
    whole, _ = mixing.mixed(values, valid)
    valid[20], values[20] = False, 0
    without, some = mixing.mixed(values, valid)
    assert some.all()
    assert np.sqrt(((whole - without) ** 2).mean(axis=(1, 2))).max() < 0.2 * 100


@pytest.mark.parametrize(
    ("bands", "rows", "cols"), [(32, 40, 40), (40, 20, 31)], ids=["few bands", "few pixels"]
)
def test_with_few_bands_or_pixels_it_sees_the_bands(bands: int, rows: int, cols: int) -> None:
    values = correlated(bands, rows, cols)
    assert measure_scene(MemoryScene(values), every_band(values)).mixing is None


@pytest.mark.parametrize(("rank", "expected"), [(8, 32), (32, 32), (64, 64), (96, 96)])
def test_as_many_pseudo_bands_as_the_scene_needs(rank: int, expected: int) -> None:
    """Ground of `rank` materials, each of which shows in a few neighbouring bands alone."""
    rng = np.random.default_rng(rank)
    edges = np.linspace(0, 128, rank + 1).round()
    place = (np.searchsorted(edges, np.arange(128), "right") - 1)[:, None] == np.arange(rank)
    maps = rng.standard_normal((rank, 50 * 50))
    values = (place @ maps + 0.02 * rng.standard_normal((128, 2500))).reshape(128, 50, 50)
    assert mixing_of(values.astype("float32")).count == expected


@pytest.mark.parametrize(
    ("bands", "rows", "expected"),
    [(130, 40, 64), (130, 31, None), (128, 40, None)],
    ids=["32 would do", "too few pixels for 64", "two passes see all bands"],
)
def test_a_network_of_64_bands_sees_no_fewer(bands: int, rows: int, expected: int | None) -> None:
    values = correlated(bands, rows, 40)
    scene, used = MemoryScene(values), every_band(values)
    found = measure_scene(scene, used, least=64).mixing
    assert (found and found.count) == expected
    asked = measure_scene(scene, used, least=64, asked=True).mixing
    assert (asked and asked.count) == (64 if rows == 40 else None)


def test_statistics_of_pseudo_bands_are_those_of_their_values() -> None:
    values = correlated(45, noise=0.1)
    found = mixing_of(values)
    pseudo, _ = found.mixed(values, np.broadcast_to(np.True_, values.shape))
    np.testing.assert_allclose(found.mean, pseudo.mean(axis=(1, 2)), rtol=1e-4)
    np.testing.assert_allclose(found.variance, pseudo.var(axis=(1, 2)), rtol=2e-2)


def test_what_is_measured_survives_being_stored() -> None:
    found = measure_scene(MemoryScene(correlated(40)), every_band(correlated(40)))
    for one in (found, SceneStatistics(found.bands), replace(found, reference=found.bands)):
        again = SceneStatistics.from_bytes(one.as_bytes())
        assert again.digest == one.digest
    assert found.digest != SceneStatistics(found.bands).digest
    with pytest.raises(ValueError, match="not the statistics"):
        SceneStatistics.from_bytes(found.as_bytes()[:-40])


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_forward_is_interpolation_plus_detail(scale: int) -> None:
    torch.manual_seed(1)
    network = DacnAny(scale, 8, AnySize(width=16, blocks=2, heads=2, window=4)).eval()
    assert isinstance(network, AddsDetail)
    lr, zero = torch.randn(2, 8, 9, 7), torch.randn(1, 8, 1, 1)
    detail = network.detail(lr, zero)
    base = interpolate_consistently(lr, KERNELS["bicubic"], scale)
    torch.testing.assert_close(network(lr, zero), base + detail, rtol=1e-4, atol=1e-4)
    for found in (for_inference(network, detail_only=True), DetailOf(Sharpen(scale=scale))):
        one = found(lr, zero)
        assert one.shape == detail.shape
        assert area_average(one, scale).abs().max() < 1e-5
    fast = for_inference(network, detail_only=True)(lr, zero)
    torch.testing.assert_close(fast, detail, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "bands", "pseudo", "groups"), [(None, 130, 64, 3), (NARROW, 40, 32, 2)]
)
def test_networks_see_pseudo_bands_and_say_so(
    tmp_path: Path, model: str | None, bands: int, pseudo: int, groups: int
) -> None:
    whole = write_geotiff(tmp_path / "whole.tif", correlated(bands, 48, 40))
    options = UpscaleOptions(scale=2, model=model)
    made = plan_upscale(whole, tmp_path / "o.tif", options)
    assert (made.pseudo_bands, made.groups) == (pseudo, 1)
    made = plan_upscale(whole, tmp_path / "o.tif", replace(options, band_groups="all"))
    assert (made.pseudo_bands, made.groups) == (None, groups)


def test_resumed_runs_measure_nothing_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_geotiff(tmp_path / "a.tif", correlated(36, 80, 24))
    options = UpscaleOptions(scale=2, model=str(tiny_weights(tmp_path)), tile=32, overlap=4)
    whole = upscale(source, tmp_path / "whole.tif", options)
    assert whole.pseudo_bands == 32
    break_off(source, tmp_path / "b.tif", options)
    monkeypatch.setattr(job, "measure_scene", lambda *_: pytest.fail("is measured again"))
    upscale(source, tmp_path / "b.tif", replace(options, resume=True))
    assert_holds(whole.output, values_of(tmp_path / "b.tif"))


def test_statistics_from_another_scene(tmp_path: Path) -> None:
    values = correlated(40, 40, 60)
    whole = write_geotiff(tmp_path / "whole.tif", values)
    left = write_geotiff(tmp_path / "left.tif", values[:, :, :30])
    options = UpscaleOptions(scale=2, model=NARROW, statistics_from=whole)
    with open_scene(whole) as one, open_scene(left) as two:
        there = measure_scene(one, np.ones(40, np.bool_))
        here = job.measure_if_needed(two, options, Session(options))
        own = scene_statistics(two)
    assert here is not None
    assert here.digest == SceneStatistics(own, there.mixing, there.bands).digest
    other = write_geotiff(tmp_path / "few.tif", correlated(39))
    with pytest.raises(InputDataError, match="found 39 bands, expected the 40"):
        upscale(left, tmp_path / "o.tif", replace(options, statistics_from=other))
    for name, values, words in (
        ("unit", correlated(40) / 1e4, "found numbers like .* in the same unit"),
        ("empty", np.full((40, 48, 50), -1), "found no valid pixel"),
    ):
        path = write_geotiff(tmp_path / f"{name}.tif", values.astype(np.float32))
        elsewhere = replace(options, statistics_from=path, nodata="-1")
        with pytest.raises(InputDataError, match=words):
            upscale(left, tmp_path / "o.tif", elsewhere)
    with pytest.raises(UsageError, match="bicubic is none"):
        upscale(left, tmp_path / "o.tif", replace(options, model="bicubic"))


@pytest.mark.parametrize("holes", [False, True])
def test_a_window_equals_the_same_part_of_the_whole(*, holes: bool) -> None:
    values = correlated(40, 48, 50)
    if holes:
        values[:, 8:13, 20:33] = -1
    scene, mixing = MemoryScene(values, -1), mixing_of(values)
    whole = stitched(values, plan_of(values, Sharpen(), mixing, tile=48, overlap=0), -1)
    part = PartScene(scene, Window(10, 15, 20, 22))
    cut = values[:, 10:30, 15:37]
    plan = plan_of(cut, Sharpen(), mixing, tile=12)
    np.testing.assert_allclose(memory.stitched(part, plan).cube, whole[:, 20:60, 30:74], rtol=1e-4)


@pytest.mark.parametrize("groups", ["pseudo", "all", None])
def test_chosen_bands_are_those_of_the_whole(tmp_path: Path, groups: str | None) -> None:
    values = correlated(40, 27, 26)
    nm = [400 + 10 * band for band in range(40)]
    source = write_geotiff(tmp_path / "a.tif", values, crs=UTM, transform=TRANSFORM)
    with rasterio.open(source, "r+") as dataset:
        for band, centre in enumerate(nm, start=1):
            dataset.update_tags(band, wavelength=str(centre), wavelength_units="Nanometers")
    options = UpscaleOptions(scale=2, model="bicubic")
    if groups is not None:
        weights = tiny_weights(tmp_path, group_size=16, group_overlap=4)
        options = replace(options, model=str(weights), band_groups=groups)
    whole = upscale(source, tmp_path / "whole.tif", options)
    some = upscale(source, tmp_path / "some.tif", replace(options, bands="3-5,30"))
    assert some.pseudo_bands == whole.pseudo_bands
    assert some.agreement is not None
    chosen = [2, 3, 4, 29]
    with open_scene(whole.output) as one, open_scene(some.output) as two:
        np.testing.assert_array_equal(two.read().values, one.read(bands=chosen).values)
        assert two.metadata.spectral_axis == one.metadata.spectral_axis.subset(chosen)
    by_nm = upscale(source, tmp_path / "nm.tif", replace(options, wavelengths="420-440,690-690"))
    assert_holds(by_nm.output, values_of(some.output))
    with pytest.raises(InputDataError, match="has bands 1 to 40, found --bands 40-41"):
        upscale(source, tmp_path / "o.tif", replace(options, bands="40-41"))
    with pytest.raises(InputDataError, match="from 400 to 790 nm, none within"):
        upscale(source, tmp_path / "o.tif", replace(options, wavelengths="900-1000"))
    with pytest.raises(UsageError, match="expected one of them"):
        upscale(source, tmp_path / "o.tif", replace(options, bands="1", wavelengths="4-500"))


def test_window_and_bbox_keep_place_and_statistics(tmp_path: Path) -> None:
    values = correlated(3, 20, 30)
    source = write_geotiff(tmp_path / "a.tif", values, crs=UTM, transform=TRANSFORM)
    options = UpscaleOptions(scale=2, model="baseline")
    upscale(source, tmp_path / "whole.tif", options)
    part = replace(options, window=(4, 6, 10, 12))
    left, top = TRANSFORM @ (6, 4)
    right, bottom = TRANSFORM @ (18, 14)
    same = replace(options, bbox=(right, top, left, bottom))
    with open_scene(tmp_path / "whole.tif") as one:
        for name, how in (("window", part), ("bbox", same)):
            made = upscale(source, tmp_path / f"{name}.tif", how)
            with open_scene(made.output) as two:
                expected = one.read(Window(8, 12, 20, 24))
                np.testing.assert_allclose(two.read().values, expected.values, rtol=1e-5)
                assert two.metadata.georeference == expected.georeference
    with pytest.raises(InputDataError, match="expected a window inside"):
        upscale(source, tmp_path / "o.tif", replace(options, window=(15, 0, 10, 12)))
    with pytest.raises(InputDataError, match="expected a --bbox that touches it"):
        upscale(source, tmp_path / "o.tif", replace(options, bbox=(0.0, 0.0, 1.0, 1.0)))
    with pytest.raises(UsageError, match="expected one of them"):
        replace(part, bbox=same.bbox)


def test_ridge_and_noise_keep_noise_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A band of pure noise gets little detail; by the noise that it shares it would get all."""
    values = correlated(48, 60, 60, noise=0.02)
    values[24] = 1000 + 100 * np.random.default_rng(5).standard_normal((60, 60))
    base = bicubic(values)[24]
    quiet = sharpened(values)[24] - base
    monkeypatch.setattr(mixing_module, "_noise", lambda c, _: np.zeros(len(c)))
    loud = sharpened(values)[24] - base
    assert quiet.std() < 0.3 * loud.std()
