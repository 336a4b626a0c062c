"""`evaluate` on files: with a reference, with an observed scene, with limits."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from hsisr.commands.degrade import degrade
from hsisr.commands.evaluation.agreement import measure_agreement, require_same_grid
from hsisr.commands.evaluation.evaluate import evaluate
from hsisr.commands.info import info
from hsisr.commands.options import DegradeOptions, EvaluateOptions, PartOptions, ViewOptions
from hsisr.commands.upscale import upscale
from hsisr.commands.view import view
from hsisr.degradation import DEGRADATIONS
from hsisr.engine.options import UpscaleOptions
from hsisr.errors import HsisrWarning, InputDataError, UsageError
from hsisr.io.geotiff.gdal import same_crs
from hsisr.scene.georeference import Georeference
from hsisr.view.maps import error_maps, ranked, write_picture
from tests.memory import MemoryScene
from tests.metrics.pairs import random_pair, score
from tests.program import values_of
from tests.scenes import (
    NORTH_UP,
    TRANSFORM,
    UTM,
    counts,
    edited,
    write_geotiff,
    write_mat5,
    write_tif,
)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A reference of 5 bands, one of them marked bad, and an estimate."""
    x = counts(5, 24, 20)
    reference = write_tif(tmp_path / "reference.tif", x, bad=(2,))
    estimate = write_tif(tmp_path / "estimate.tif", counts(5, 24, 20, seed=1))
    return reference, estimate


def test_files_score_like_the_arrays_in_them(pair: tuple[Path, Path]) -> None:
    live = [0, 1, 3, 4]
    x, y = (counts(5, 24, 20, seed)[live].astype(np.float32) for seed in (0, 1))
    report = evaluate(*pair, EvaluateOptions(scale=4))
    assert report.values == pytest.approx(score(x, y, scale=4).values)
    assert report.scores is not None
    assert report.scores.excluded == {2: "bad by the bad-band list"}


def test_invalid_pixels_of_either_file_are_left_out(tmp_path: Path) -> None:
    x, y = counts(3, 20, 20), counts(3, 20, 20, seed=1)
    x[:, :2], y[:, :, :3] = 0, 0
    files = (write_tif(tmp_path / "x.tif", x, nodata=0), write_tif(tmp_path / "y.tif", y, nodata=0))
    with pytest.warns(HsisrWarning, match=r"y\.tif has no data for 162 values \(15\.00%\)"):
        report = evaluate(*files)
    assert report.scores is not None
    assert report.scores.pixels == 18 * 17
    assert report.scores.lost == 3 * 18 * 3
    inner = np.s_[:, 2:, 3:]
    expected = score(x[inner].astype(np.float32), y[inner].astype(np.float32), scale=None)
    assert report.values == pytest.approx(expected.values, nan_ok=True)


def test_scaled_integers_and_reflectances_are_compared_as_physical_values(tmp_path: Path) -> None:
    stored = counts(3, 16, 16)
    reference = write_tif(tmp_path / "x.tif", stored, scale=1e-4)
    estimate = write_tif(tmp_path / "y.tif", (stored * 1e-4).astype(np.float32))
    report = evaluate(reference, estimate)
    assert report.numbers == "physical values"
    assert report.values["rmse"] < 1e-7


@pytest.mark.parametrize(
    ("scales", "offsets"), [((1e-4,) * 3, (-0.1,) * 3), ((1e-4, 2e-4, 2e-4), (0.0,) * 3)]
)
def test_angles_are_those_of_physical_values_where_scaling_changes_them(
    tmp_path: Path, scales: tuple[float, ...], offsets: tuple[float, ...]
) -> None:
    pair = counts(3, 16, 16), counts(3, 16, 16, seed=1)
    files, plain = [], []
    for name, stored in zip("xy", pair, strict=True):
        files.append(write_geotiff(tmp_path / f"{name}.tif", stored))
        with edited(files[-1]) as dataset:
            dataset.scales, dataset.offsets = scales, offsets
        values = stored * np.array(scales)[:, None, None] + np.array(offsets)[:, None, None]
        plain.append(write_geotiff(tmp_path / f"{name}-plain.tif", values))
    report, expected = evaluate(files[0], files[1]), evaluate(plain[0], plain[1])
    assert (report.numbers, expected.numbers) == ("physical values", "stored numbers")
    assert report.values == pytest.approx(expected.values, rel=1e-4, nan_ok=True)


def test_fill_of_an_estimate_is_told_and_left_out_by_nodata(tmp_path: Path) -> None:
    x = counts(3, 20, 20)
    y = x.copy()
    y[:, :4] = 65535
    files = write_geotiff(tmp_path / "x.tif", x), write_geotiff(tmp_path / "y.tif", y)
    with pytest.warns(HsisrWarning, match=r"y\.tif: many samples are 65535, .* --nodata 65535"):
        evaluate(*files)
    with pytest.warns(HsisrWarning, match=r"y\.tif has no data for 240 values"):
        report = evaluate(*files, EvaluateOptions(nodata="65535"))
    assert report.values["rmse"] == 0
    with edited(files[1]) as dataset:
        dataset.nodata = 65535
    with pytest.warns(HsisrWarning, match=r"y\.tif has no data for 240 values"):
        assert evaluate(*files, EvaluateOptions(nodata="1")).values["rmse"] == 0


def test_an_observed_scene_gives_the_scale_and_the_agreement(tmp_path: Path) -> None:
    hr = counts(3, 24, 24).astype(np.float32)
    estimate = write_tif(tmp_path / "hr.tif", hr)
    lr = DEGRADATIONS["area"](hr, 4)
    observed = write_tif(tmp_path / "lr.tif", lr, transform=NORTH_UP @ NORTH_UP.scale(4))
    alone = evaluate(None, estimate, EvaluateOptions(observed=observed))
    assert alone.values["lr_max"] == 0
    assert alone.scores is None
    both = evaluate(estimate, estimate, EvaluateOptions(observed=observed))
    assert both.scale == 4
    assert both.values["ergas"] == 0
    with pytest.raises(UsageError, match=r"--lr are 4 times as large .*leave --scale out"):
        evaluate(estimate, estimate, EvaluateOptions(observed=observed, scale=2))
    few = write_tif(tmp_path / "few.tif", hr[:2])
    with pytest.raises(InputDataError, match="give --wavelengths that both have"):
        evaluate(None, few, EvaluateOptions(observed=observed))
    chosen = EvaluateOptions(observed=observed, wavelengths="400-410")
    assert evaluate(None, few, chosen).values["lr_max"] == 0


def test_a_part_across_observed_pixels_is_refused_with_what_to_do(tmp_path: Path) -> None:
    fine = write_geotiff(tmp_path / "hr.tif", counts(3, 24, 24), crs=UTM, transform=TRANSFORM)
    coarse = degrade(fine, tmp_path / "lr.tif", DegradeOptions(scale=4)).output
    (left, top), (right, bottom) = (TRANSFORM @ corner for corner in ((4, 4), (12, 12)))
    along = EvaluateOptions(observed=coarse, bbox=(left, top, right, bottom))
    assert evaluate(None, fine, along).values["lr_max"] <= 0.5
    across = replace(along, bbox=(left + 30, top, right + 30, bottom))
    with pytest.raises(InputDataError, match="lay a --bbox along the borders of its pixels"):
        evaluate(None, fine, across)


def test_a_cube_of_the_estimate_is_chosen_by_its_own_option(pair: tuple[Path, Path]) -> None:
    reference, two = pair[0], pair[0].with_name("two.mat")
    cube = values_of(reference)
    write_mat5(two, cube, "one", other=cube.transpose(1, 2, 0))
    with pytest.raises(InputDataError, match=r"2 cubes.*; choose one with --estimate-variable"):
        evaluate(reference, two)
    assert evaluate(reference, two, EvaluateOptions(estimate_variable="one")).values["rmse"] == 0


def test_the_order_of_axes_is_for_every_array_that_hsisr_did_not_write(tmp_path: Path) -> None:
    hr, lr = np.kron(counts(3, 12, 12), np.ones((1, 2, 2), "uint16")), tmp_path / "lr.mat"
    truth, guess = tmp_path / "truth.npy", tmp_path / "guess.npy"
    for file in (truth, guess):
        np.save(file, hr)
    degrade(truth, lr, DegradeOptions(scale=2, axes="brc"))  # (rows, cols, bands)
    values = evaluate(truth, guess, EvaluateOptions(axes="brc", observed=lr)).values
    assert (values["rmse"], values["lr_max"]) == (0, 0)
    tif = write_geotiff(tmp_path / "truth.tif", hr)
    assert evaluate(tif, guess, EvaluateOptions(axes="brc")).values["rmse"] == 0
    view(lr, [truth, guess], tmp_path / "page.html", ViewOptions(axes="brc"))
    with pytest.raises(UsageError, match=r"truth\.tif: --axes brc has no meaning"):
        evaluate(tif, tif, EvaluateOptions(axes="brc", observed=tif))


def test_limits_are_judged(pair: tuple[Path, Path]) -> None:
    options = EvaluateOptions(minimum=("mpsnr=30", "mssim=1"), maximum=("sam=5", "ergas=1"))
    report = evaluate(*pair, options)
    assert [str(limit) for limit in report.failed] == ["mssim >= 1", "ergas <= 1"]
    table = {row["figure"]: row["holds"] for row in report.as_dict()["thresholds"]}
    perfect = evaluate(pair[0], pair[0], EvaluateOptions(minimum=("mpsnr=inf",)))
    assert perfect.as_dict()["thresholds"][0]["min"] == "inf"
    assert table == {"mpsnr": True, "mssim": False, "sam": True, "ergas": False}


def test_a_part_is_judged_described_and_degraded_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(100, 200, (4, 16, 16)).astype("f4")
    guess = truth + rng.normal(0, 2, truth.shape).astype("f4")
    place = {"crs": UTM, "transform": TRANSFORM}
    whole = [write_geotiff(tmp_path / f"{n}.tif", x, **place) for n, x in enumerate((truth, guess))]
    cut = (x[1:3, 4:, :12] for x in (truth, guess))
    part = [write_geotiff(tmp_path / f"{n}_part.tif", x) for n, x in enumerate(cut)]
    how = EvaluateOptions(window=(4, 0, 12, 12), bands="2-3")
    found, expected = evaluate(whole[0], whole[1], how), evaluate(part[0], part[1])
    assert found.values == pytest.approx(expected.values, nan_ok=True)
    one = PartOptions(window=(4, 0, 12, 12), bands="2-3")
    assert info(whole[0], one).metadata.shape == (2, 12, 12)
    some = DegradeOptions(scale=4, window=(4, 0, 12, 12), bands="2-3")
    made = degrade(whole[0], tmp_path / "lr.tif", some)
    assert made.output_shape == (2, 3, 3)
    blocks = truth[1:3, 4:, :12].reshape(2, 3, 4, 3, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(values_of(made.output), blocks, rtol=1e-5)
    with pytest.raises(UsageError, match="bbox fits all that have map coordinates, others"):
        replace(how, observed=whole[0])


def test_numbers_in_another_unit_are_told(tmp_path: Path) -> None:
    values = counts(3, 8, 9)
    one = write_geotiff(tmp_path / "a.tif", values)
    other = write_geotiff(tmp_path / "b.tif", (values / 1e4).astype(np.float32))
    with pytest.warns(HsisrWarning, match=r"b\.tif are 0\.0001 times as large as the reference's"):
        evaluate(one, other)


def scene(values: Any, name: str = "reference.tif", **said: Any) -> MemoryScene:
    """A scene in memory, of which nodata, place or wavelengths_nm are known."""
    made = MemoryScene(values, said.get("nodata"))
    made.path, meta = Path(name), made.metadata
    axis = replace(meta.spectral_axis, wavelengths_nm=said.get("wavelengths_nm"))
    place = said.get("place") or Georeference()
    made.metadata = replace(meta, spectral_axis=axis, georeference=place)
    return made


def placed(transform: Affine, crs: str | None = None) -> Georeference:
    return Georeference(transform=transform, crs_wkt=crs)


@pytest.mark.parametrize(
    ("shape", "what"), [((3, 4, 5), "bands"), ((2, 4, 6), "size"), ((3, 8, 5), "bands and size")]
)
def test_other_sizes_are_refused_naming_both(shape: tuple[int, int, int], what: str) -> None:
    one, other = scene(np.zeros((2, 4, 5))), scene(np.zeros(shape), "estimate.tif")
    with pytest.raises(InputDataError, match=f"the grids differ in {what}: reference.tif has 2 "):
        require_same_grid(one, other)


def test_an_observed_scene_in_place_of_the_truth_is_led_to_lr() -> None:
    observed, estimate = scene(np.zeros((2, 4, 5))), scene(np.zeros((2, 8, 10)), "estimate.tif")
    with pytest.raises(InputDataError, match="an observed scene goes with --lr"):
        require_same_grid(observed, estimate)


@pytest.mark.parametrize(
    "moved",
    [
        NORTH_UP @ Affine.translation(1, 0),
        NORTH_UP @ Affine.translation(0, 0.5),
        NORTH_UP @ Affine.scale(1.01),
        NORTH_UP @ Affine.rotation(1),
    ],
)
def test_another_place_is_refused_naming_both(moved: Affine) -> None:
    one = scene(np.zeros((2, 4, 5)), place=placed(NORTH_UP))
    other = scene(np.zeros((2, 4, 5)), "estimate.tif", place=placed(moved))
    with pytest.raises(InputDataError, match=r"differ in place.*estimate\.tif has 2 bands"):
        require_same_grid(one, other)


def test_the_same_crs_in_another_spelling_is_accepted() -> None:
    crs = pytest.importorskip("rasterio.crs").CRS.from_epsg(32633)
    spellings = crs.to_wkt(), crs.to_wkt(version="WKT1_ESRI")
    assert spellings[0] != spellings[1]
    require_same_grid(
        *(scene(np.zeros((2, 4, 5)), place=placed(NORTH_UP, wkt)) for wkt in spellings)
    )


def test_an_engineering_system_is_known_by_name_and_unit() -> None:
    ends = 'CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'
    own = f'ENGCRS["site",EDATUM["post"],{ends}'
    in_geotiff = 'LOCAL_CS["site",UNIT["metre",1,AUTHORITY["EPSG","9001"]]]'
    assert same_crs(own, in_geotiff)
    assert not same_crs(own, in_geotiff.replace("site", "other site"))
    assert not same_crs(
        own, in_geotiff.replace('"metre",1,AUTHORITY["EPSG","9001"]', '"foot",0.3048')
    )


def test_other_wavelengths_are_warned_about() -> None:
    x = np.zeros((2, 4, 5))
    one = scene(x, wavelengths_nm=(400.0, 500.0))
    require_same_grid(one, scene(x, wavelengths_nm=(400.4, 500.0)))
    with pytest.warns(HsisrWarning, match="band 2 lies at 500 nm in reference.tif but at 510 nm"):
        require_same_grid(one, scene(x, wavelengths_nm=(400.0, 510.0)))


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_an_estimate_whose_average_is_the_observed_scene_agrees(scale: int) -> None:
    hr, _ = random_pair(3, 4 * scale, 5 * scale)
    found = measure_agreement(scene(DEGRADATIONS["area"](hr, scale)), scene(hr))
    assert found.scale == scale
    assert found.maximum == 0
    assert found.sam_deg == pytest.approx(0, abs=1e-5)
    assert found.values == 3 * 4 * 5


def test_invalid_values_take_no_part_in_agreement() -> None:
    hr, _ = random_pair(3, 8, 12)
    observed = DEGRADATIONS["area"](hr, 4)
    observed[1], hr[1] = -1, -1  # a dead band
    observed[0, 1, 2] = hr[0, 4:, 8:] = -1
    hr[2, 0, 0] = -1  # an estimate that lost a value
    found = measure_agreement(scene(observed, nodata=-1), scene(hr, nodata=-1))
    assert found.values == 3 * 6 - 6 - 2
    assert found.maximum == 0


@pytest.mark.parametrize(("row", "scales"), [(0, (0.5, 1.0, 3.0)), (4, (1.0,) * 3), (8, None)])
def test_upscaling_tells_the_agreement_that_evaluate_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: int, scales: tuple[float, ...] | None
) -> None:
    x = counts(3, 9, 10).astype(np.float32)
    x[2, row, 7] = 60_000
    x[:, 0, :4] = x[1, 4, 3] = 0
    source = write_tif(tmp_path / "lr.tif", x, nodata=0)
    if scales:
        with edited(source) as dataset:
            dataset.scales = scales
    monkeypatch.setattr("hsisr.commands.upscale._SAMPLED_BYTES", 3 * 10 * 4 * 4 * 3)  # 3 rows
    how = UpscaleOptions(scale=2, model="bicubic", consistency=False, overwrite=True)
    made = upscale(source, tmp_path / "hr.tif", how)
    report = evaluate(None, made.output, EvaluateOptions(observed=source))
    assert made.agreement == report.values["lr_max"] > 0


def test_maps_hold_the_error_of_every_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsisr.commands.evaluation.agreement.STRIP_BYTES", 3 * 3 * 7 * 4)
    x, y = random_pair(3, 8, 7)
    maps = error_maps(scene(x), scene(y), [0, 2])
    expected = np.sqrt(((x[[0, 2]].astype(float) - y[[0, 2]]) ** 2).mean(axis=0))
    np.testing.assert_allclose(maps.rmse, expected)
    worst = np.unravel_index(int(maps.angle_deg.argmax()), maps.angle_deg.shape)
    assert ranked(maps.angle_deg)[-1].tolist() == list(map(int, worst))


def test_the_picture_is_a_png_and_nothing_else_is_left(tmp_path: Path) -> None:
    x, y = random_pair(3, 12, 12)
    x[:, 0, 0] = -1
    path = tmp_path / "map.png"
    pair = scene(x, nodata=-1, wavelengths_nm=(400.0, 600.0, 500.0)), scene(y)
    write_picture(path, reference=pair[0], observed=None, estimate=pair[1], scores=score(x, y))
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]
