"""Comparing two scenes: grids, units, agreement with the observed scene, maps of errors."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from affine import Affine

from hsisr.commands.evaluation.agreement import measure_agreement, require_same_grid
from hsisr.degradation import DEGRADATIONS
from hsisr.errors import HsisrWarning, InputDataError
from hsisr.scene.georeference import Georeference
from hsisr.view.maps import error_maps, ranked, write_picture
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


def test_maps_hold_the_error_of_every_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsisr.commands.evaluation.agreement.strip_rows", lambda _: 3)
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
