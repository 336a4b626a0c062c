"""Comparing two scenes: grids, units, agreement with the observed scene, maps of errors."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from affine import Affine

from hsisr.commands.agreement import measure_agreement, scale_between
from hsisr.commands.pairing import (
    STRIP_BYTES,
    paired_strips,
    require_same_grid,
    same_unit,
    strip_rows,
)
from hsisr.degradation import DEGRADATIONS
from hsisr.errors import (
    HsisrWarning,
    InputDataError,
)
from hsisr.io.base import Scene
from hsisr.metrics.report import Scores
from hsisr.scene.georeference import Georeference
from hsisr.view.errors import error_maps, write_picture
from tests.memory import MemoryScene
from tests.metrics.pairs import random_pair, score

NORTH_UP = Affine(30, 0, 3e5, 0, -30, 5.8e6)


def scene(
    values: npt.NDArray[Any],
    name: str = "reference.tif",
    *,
    nodata: float | None = None,
    place: Georeference | None = None,
    scales: tuple[float, ...] | None = None,
    wavelengths_nm: tuple[float, ...] | None = None,
) -> MemoryScene:
    made = MemoryScene(values, nodata)
    made.path = Path(name)
    meta = made.metadata
    made.metadata = replace(
        meta,
        stored=replace(meta.stored, scales=scales),
        spectral_axis=replace(meta.spectral_axis, wavelengths_nm=wavelengths_nm),
        georeference=place or Georeference(),
    )
    return made


def placed(transform: Affine, crs: str | None = None) -> Georeference:
    return Georeference(transform=transform, crs_wkt=crs)


def test_strips_cover_the_pair_once_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsisr.commands.pairing.strip_rows", lambda _: 4)
    x, y = random_pair(2, 11, 5)
    strips = list(paired_strips(scene(x), scene(y)))
    assert [s.reference.shape[1] for s in strips] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate([s.predicted for s in strips], axis=1), y)


def test_strips_have_a_bounded_size() -> None:
    meta = scene(np.zeros((2, 8, 8), np.uint8)).metadata
    large = replace(meta, rows=10**6, cols=1000)
    assert strip_rows(large) * 1000 * 2 * 4 <= STRIP_BYTES
    assert strip_rows(replace(meta, cols=10**9)) == 1


def test_numbers_scaled_alike_are_compared_as_stored() -> None:
    x, y = random_pair(2, 4, 5)
    pair = scene(x, scales=(0.1, 0.1)), scene(y, scales=(0.1, 0.1))
    assert same_unit(*pair)
    np.testing.assert_array_equal(next(paired_strips(*pair)).reference, x)


def test_numbers_scaled_differently_are_compared_as_physical_values() -> None:
    x = np.full((2, 4, 5), 5000, np.int16)
    pair = scene(x, scales=(1e-4, 1e-4)), scene(np.full(x.shape, 0.5, np.float32))
    assert not same_unit(*pair)
    strip = next(paired_strips(*pair))
    np.testing.assert_allclose(strip.reference, 0.5)
    np.testing.assert_allclose(strip.predicted, 0.5)


def test_equal_grids_are_accepted_with_and_without_a_place() -> None:
    x, y = random_pair(2, 4, 5)
    place = placed(NORTH_UP)
    nudged = placed(NORTH_UP @ Affine.translation(0.004, -0.004))
    for one, other in ((place, place), (place, None), (None, None), (place, nudged)):
        require_same_grid(scene(x, place=one), scene(y, "estimate.tif", place=other))


@pytest.mark.parametrize(
    ("shape", "what"), [((3, 4, 5), "bands"), ((2, 4, 6), "size"), ((3, 8, 5), "bands and size")]
)
def test_other_sizes_are_refused_naming_both(shape: tuple[int, int, int], what: str) -> None:
    one, other = scene(np.zeros((2, 4, 5))), scene(np.zeros(shape), "estimate.tif")
    with pytest.raises(InputDataError, match=f"the grids differ in {what}: reference.tif has 2 "):
        require_same_grid(one, other)


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


def test_another_crs_is_refused_naming_both() -> None:
    rasterio_crs = pytest.importorskip("rasterio.crs")
    utm = [rasterio_crs.CRS.from_epsg(code).to_wkt() for code in (32632, 32633)]
    pair = [scene(np.zeros((2, 4, 5)), place=placed(NORTH_UP, wkt)) for wkt in utm]
    with pytest.raises(InputDataError, match=r"differ in CRS.*EPSG:32632.*EPSG:32633"):
        require_same_grid(*pair)


def test_the_same_crs_in_another_spelling_is_accepted() -> None:
    crs = pytest.importorskip("rasterio.crs").CRS.from_epsg(32633)
    spellings = crs.to_wkt(), crs.to_wkt(version="WKT1_ESRI")
    assert spellings[0] != spellings[1]
    require_same_grid(
        *(scene(np.zeros((2, 4, 5)), place=placed(NORTH_UP, wkt)) for wkt in spellings)
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


def test_a_constant_error_is_found_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsisr.commands.agreement.STRIP_BYTES", 1)
    hr, _ = random_pair(3, 8, 12)
    observed = DEGRADATIONS["area"](hr, 4)
    found = measure_agreement(scene(observed), scene(hr + 2))
    assert found.rmse == pytest.approx(2, rel=1e-5)
    assert found.maximum == pytest.approx(2, rel=1e-4)
    assert found.as_dict()["scores"]["lr_rmse"] == found.rmse


def test_invalid_values_take_no_part_in_agreement() -> None:
    hr, _ = random_pair(3, 8, 12)
    observed = DEGRADATIONS["area"](hr, 4)
    observed[1], hr[1] = -1, -1  # a dead band
    observed[0, 1, 2] = hr[0, 4:, 8:] = -1
    hr[2, 0, 0] = -1  # an estimate that lost a value
    found = measure_agreement(scene(observed, nodata=-1), scene(hr, nodata=-1))
    assert found.values == 3 * 6 - 6 - 2
    assert found.maximum == 0


def test_an_estimate_of_another_size_cannot_agree() -> None:
    with pytest.raises(InputDataError, match="expected the same bands and sides that are 2, 3, 4"):
        scale_between(scene(np.zeros((2, 4, 5))), scene(np.zeros((2, 8, 11))))


def test_a_pair_without_common_values_cannot_agree() -> None:
    nothing = scene(np.full((2, 8, 8), -1.0), nodata=-1)
    with pytest.raises(InputDataError, match="have no valid value in common"):
        measure_agreement(scene(np.ones((2, 4, 4))), nothing)


def test_maps_hold_the_error_of_every_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsisr.commands.pairing.strip_rows", lambda _: 3)
    x, y = random_pair(3, 8, 7)
    maps = error_maps(scene(x), scene(y), [0, 2])
    expected = np.sqrt(((x[[0, 2]].astype(float) - y[[0, 2]]) ** 2).mean(axis=0))
    np.testing.assert_allclose(maps.rmse, expected)
    worst = np.unravel_index(int(maps.angle_deg.argmax()), maps.angle_deg.shape)
    assert maps.pixel("worst") == tuple(map(int, worst))


def test_maps_of_large_scenes_show_every_kth_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsisr.commands.pairing.strip_rows", lambda _: 4)
    monkeypatch.setattr("hsisr.view.errors.LONGEST_PX", 5)
    x, y = random_pair(2, 13, 9)
    maps = error_maps(scene(x), scene(y), [0, 1])
    expected = np.sqrt(((x.astype(float) - y) ** 2).mean(axis=0))[::3, ::3]
    assert maps.step == 3
    np.testing.assert_allclose(maps.rmse, expected)


def write_errors(path: Path, reference: Scene, estimate: Scene, scores: Scores) -> None:
    write_picture(path, reference=reference, observed=None, estimate=estimate, scores=scores)


def test_the_picture_is_a_png_and_nothing_else_is_left(tmp_path: Path) -> None:
    x, y = random_pair(3, 12, 12)
    x[:, 0, 0] = -1
    path = tmp_path / "map.png"
    pair = scene(x, nodata=-1, wavelengths_nm=(400.0, 600.0, 500.0)), scene(y)
    write_errors(path, *pair, score(x, y))
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_of_nothing_but_invalid_pixels_is_still_drawn(tmp_path: Path) -> None:
    x, y = random_pair(2, 12, 12)
    path = tmp_path / "map.png"
    write_errors(path, scene(np.full(x.shape, -1.0), nodata=-1), scene(y), score(x, y))
    assert path.exists()
