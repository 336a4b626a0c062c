"""Pictures of a scene before and after."""

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import torch
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from hsisr.commands.view import view
from hsisr.errors import InputDataError, OutputExistsError
from hsisr.models.interpolation import KERNELS, interpolate
from hsisr.scene.metadata import SpectralAxis
from hsisr.tiling import Window
from hsisr.view.encoding import Float32, PackedCube, pack
from hsisr.view.figure import Quicklook, bicubic_values, draw_quicklook, write_quicklook
from hsisr.view.maps import band_pairs, detail_maps, draw_errors, overview_cube
from hsisr.view.page import PageScenes, page_content, page_text
from tests.io.written import PLACED, rich_metadata, writer_for
from tests.memory import MemoryScene
from tests.program import hsisr, refusal, succeed
from tests.scenes import write_geotiff


class Held(MemoryScene):
    """A scene in memory that notes how much was read at once."""

    def __init__(self, cube: npt.NDArray[Any], axis: SpectralAxis, nodata: float) -> None:
        super().__init__(cube, nodata)
        self.metadata = replace(self.metadata, spectral_axis=axis)
        self.largest = 0

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        part = super().read_stored(window, bands)
        self.largest = max(self.largest, part.nbytes)
        return part


AXIS = SpectralAxis(count=4, wavelengths_nm=(461.0, 551.0, 641.0, 900.0))


def pair(rows: int, cols: int, scale: int) -> tuple[Held, Held]:
    lr = np.random.default_rng(0).random((4, rows, cols)).astype(np.float32)
    hr = lr.repeat(scale, 1).repeat(scale, 2)
    return Held(lr, AXIS, -1), Held(hr, AXIS, -1)


def picture_of(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def drawn(shown: Quicklook) -> dict[str, npt.NDArray[np.uint8]]:
    """The panels of the figure by their titles, as bytes of shape (rows, cols, 3)."""
    figure = Figure()
    draw_quicklook(figure, shown)
    return {axes.get_title(): np.asarray(axes.images[0].get_array()) for axes in figure.axes}


def test_a_scene_enlarged_by_repetition_looks_the_same_in_all_panels() -> None:
    lr, hr = pair(9, 7, 4)
    panels = drawn(Quicklook(observed=lr, result=hr, truth=hr, name="net"))
    assert list(panels) == ["observed", "bicubic", "hsisr x4: net", "truth"]
    enlarged = panels["observed"].repeat(4, 0).repeat(4, 1)
    np.testing.assert_array_equal(enlarged, panels["hsisr x4: net"])
    np.testing.assert_array_equal(panels["truth"], panels["hsisr x4: net"])


def test_numbers_of_files_that_are_scaled_differently_are_drawn_as_values() -> None:
    lr, hr = pair(9, 7, 4)
    expected = drawn(Quicklook(observed=lr, result=hr, truth=hr, name="net"))
    stored = replace(hr.metadata.stored, scales=(0.5,) * 4, offsets=(0.25,) * 4)
    other = Held((hr.cube - 0.25) / 0.5, AXIS, -1)
    other.metadata = replace(other.metadata, stored=stored)
    for name, panel in drawn(Quicklook(observed=lr, result=other, truth=hr, name="net")).items():
        np.testing.assert_allclose(panel.astype(int), expected[name], atol=1)


def test_spectra_are_those_that_are_scored() -> None:
    lr, _ = pair(9, 7, 2)
    scaled = replace(lr.metadata.stored, scales=(1.0, 2.0, 3.0, 4.0), offsets=(0.25,) * 4)
    lr.metadata = replace(lr.metadata, stored=scaled)
    figure = Figure()
    bands = [SimpleNamespace(band=band) for band in range(4)]
    draw_errors(figure, lr, lr, SimpleNamespace(bands=bands))  # type: ignore[arg-type]
    label = str(figure.axes[2].lines[0].get_label())
    row, col = (int(number) for number in re.findall(r"\d+", label))
    values = lr.cube[:, row, col] * [1, 2, 3, 4] + 0.25
    np.testing.assert_allclose(figure.axes[2].lines[1].get_ydata(), values, rtol=1e-6)  # type: ignore[arg-type]


def test_bicubic_is_the_interpolation_of_upscale_and_keeps_invalid_pixels_out() -> None:
    lr, _ = pair(12, 11, 2)
    lr.cube[:, 3, 4] = -1
    made = bicubic_values(lr, Window(2, 3, 5, 6), [1, 1], 2)
    assert np.isnan(made[:, 2:4, 2:4]).all()
    assert np.isnan(made).sum() == 2 * 4
    whole = torch.from_numpy(lr.cube[1])
    expected = interpolate(whole, KERNELS["bicubic"], 2).numpy()[4:14, 6:18]
    np.testing.assert_allclose(made[0, 8:], expected[8:], rtol=1e-5)


def test_pixels_without_data_are_black_and_do_not_stretch() -> None:
    lr, hr = pair(10, 10, 2)
    whole = drawn(Quicklook(observed=lr, result=hr))
    hr.cube[:, 4:8, 4:8] = -1
    right = drawn(Quicklook(observed=lr, result=hr))[hr.path.name]
    assert not right[4:8, 4:8].any()
    np.testing.assert_array_equal(right[8:], whole[hr.path.name][8:])


def test_of_a_large_scene_the_crop_with_most_change_is_shown_and_little_is_read() -> None:
    cube = np.zeros((4, 9000, 3000), np.float32)
    cube[:, 7000:7100, 500:700] = 1.0
    hr = Held(cube, AXIS, -1)
    lr = Held(cube[:, ::2, ::2], AXIS, -1)
    panels = drawn(Quicklook(observed=lr, result=hr))
    assert panels["scene, and what is enlarged"].shape == (500, 167, 3)
    assert panels[hr.path.name].shape == (512, 512, 3)
    assert panels[hr.path.name].max() == 255
    assert hr.largest <= 40 * 2**20


def test_the_scale_bar_is_round_and_only_there_where_the_grid_says_metres() -> None:
    figure = Figure()
    lr, hr = pair(20, 20, 4)
    draw_quicklook(figure, Quicklook(observed=lr, result=hr))
    assert not figure.axes[-1].texts
    lr.metadata = replace(lr.metadata, georeference=PLACED)
    hr.metadata = replace(lr.metadata.finer(4), tags={"HSISR_MODEL": "net"})
    figure = Figure()
    draw_quicklook(figure, Quicklook(observed=lr, result=hr))
    assert [axes.get_title() for axes in figure.axes] == [
        *("observed, 7.5 m", "bicubic, 1.88 m", "hsisr x4: net, 1.88 m")
    ]
    assert [text.get_text() for text in figure.axes[-1].texts] == ["50 m"]


def test_an_existing_picture_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    lr, hr = pair(4, 4, 2)
    shown = Quicklook(observed=lr, result=hr)
    (tmp_path / "q.png").write_text("precious")
    with pytest.raises(OutputExistsError, match=r"q.png exists and is kept"):
        write_quicklook(tmp_path / "q.png", shown)
    write_quicklook(tmp_path / "q.png", shown, overwrite=True)
    assert picture_of(tmp_path / "q.png").shape[2] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["q.png"]


def test_bicubic_adds_no_detail_and_what_is_moved_does_not_agree() -> None:
    lr, hr = pair(12, 10, 2)
    hr.cube[:] = bicubic_values(lr, Window(0, 0, 12, 10), range(4), 2)
    hr.cube[:, 4:6, 6:8] += 0.5
    maps = detail_maps(lr, hr)
    expected = np.zeros((12, 10))
    expected[2, 3] = 0.5
    np.testing.assert_allclose(maps.detail, expected, atol=1e-6)
    assert maps.most_detail() == (2, 3)
    block = hr.cube.reshape(4, 12, 2, 10, 2).mean(axis=(2, 4))
    apart = np.sqrt(np.square(block - lr.cube).mean(axis=0))
    np.testing.assert_allclose(maps.agreement, apart, atol=1e-6)


def test_pixels_of_errors_are_counted_from_0_and_scales_are_as_high_as_maps() -> None:
    truth, estimate = pair(6, 9, 1)
    estimate.cube[0] += 0.5
    estimate.cube[0, 0, 0] -= 0.5
    figure = Figure(layout="constrained")
    scored: Any = SimpleNamespace(bands=[SimpleNamespace(band=band) for band in range(4)])
    draw_errors(figure, truth, estimate, scored)
    figure.draw_without_rendering()
    (scale,) = figure.axes[0].child_axes  # an arrow at its end takes a little
    high, whole = (axes.get_window_extent().height for axes in (scale, figure.axes[0]))
    assert 0.9 * whole < high <= whole
    assert figure.axes[2].get_legend_handles_labels()[1][0] == "best: row 0, column 0"


def test_an_overview_is_made_of_means_of_what_is_valid() -> None:
    lr, _ = pair(5, 4, 2)
    lr.cube[1, 0, 0] = -1
    made = overview_cube(lr, 2)
    assert made.shape == (4, 3, 2)
    assert made[0, 0, 0] == pytest.approx(lr.cube[0, :2, :2].mean())
    assert made[1, 0, 0] == pytest.approx(np.delete(lr.cube[1, :2, :2].ravel(), 0).mean())
    assert made[2, 2, 1] == pytest.approx(lr.cube[2, 4:, 2:].mean())


def test_dropped_bands_are_found_by_wavelengths_and_missing_on_the_page() -> None:
    lr, hr = pair(4, 4, 2)
    kept = Held(hr.cube[[0, 2]], AXIS.subset([0, 2]), -1)
    assert band_pairs(lr, kept) == [0, 2]
    with pytest.raises(InputDataError, match="wavelengths do not tell which are the same"):
        band_pairs(lr, Held(hr.cube[:2], SpectralAxis(count=2), -1))
    lr, hr = pair(6, 6, 2)
    kept = Held(hr.cube[[0, 2, 3]], AXIS.subset([0, 2, 3]), -1)
    content = page_content(PageScenes(observed=lr, results=(kept,)))
    cube = content.data["windows"][0]["finer"][0]["cube"]
    assert cube["shape"] == (4, 12, 12)
    assert cube["low"][1] == 0
    assert cube["low"][2] == pytest.approx(hr.cube[2].min())


def unpack(packed: PackedCube) -> Float32:
    """What the page reads back, shape (bands, rows, cols); NaN where invalid."""
    planes = np.frombuffer(zlib.decompress(packed.content), np.uint8).reshape(2, *packed.shape)
    zigzag = planes[0].astype(np.int32) | planes[1].astype(np.int32) << 8
    level = ((zigzag >> 1) ^ -(zigzag & 1)).cumsum(axis=0)
    low, step = (np.array(each)[:, None, None] for each in (packed.low, packed.step))
    return np.where(level > 0, low + (level - 1) * step, np.nan).astype(np.float32)


@given(st.integers(0, 2**32 - 1), st.sampled_from([6, 8, 12]))
def test_packed_values_are_off_by_at_most_half_a_level(seed: int, bits: int) -> None:
    random = np.random.default_rng(seed)
    cube = random.normal(0, 10.0 ** random.integers(-4, 6), (5, 4, 3)).astype(np.float32)
    cube[random.random(cube.shape) < 0.2] = np.nan
    cube[3], cube[4] = 7.0, np.nan
    back = unpack(pack(cube, bits))
    np.testing.assert_array_equal(np.isnan(back), np.isnan(cube))
    for band, read in zip(cube[:3], back[:3], strict=True):
        span = np.nanmax(band, initial=0) - np.nanmin(band, initial=0)
        np.testing.assert_allclose(read, band, rtol=1e-5, atol=span / (2**bits - 2) * 0.501)
    np.testing.assert_array_equal(back[3], cube[3])


def test_windows_shrink_overviews_coarsen_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsisr.view.page.CUBES_BYTES", 20_000)
    monkeypatch.setattr("hsisr.view.page._OVERVIEW_BYTES", 10_000)
    lr, hr = pair(60, 50, 2)
    hr.cube[:] = np.random.default_rng(1).random(hr.cube.shape)
    content = page_content(PageScenes(observed=lr, results=(hr,)), [(30, 20), (0, 49)])
    sizes = [len(text) for text in re.findall(r'"data": "([^"]+)"', json.dumps(content.data))]
    assert sum(sizes) * 3 / 4 < 20_000
    assert len(content.windows) == 2
    first, second = content.data["windows"]
    assert 0 <= first["row"] <= 30 < first["row"] + first["rows"]
    assert second["col"] + second["cols"] == 50


def test_the_window_with_most_added_detail_is_shown_and_named() -> None:
    lr, hr = pair(9, 700, 1)
    hr.cube[:, 4, 650] += 5
    content = page_content(PageScenes(observed=lr, results=(hr,)))
    assert content.windows == ["rows 0 to 8, columns 188 to 699, where most detail was added"]


@pytest.fixture
def scenes(tmp_path: Path) -> tuple[Path, Path]:
    path = tmp_path / "observed.tif"
    cube = np.random.default_rng(0).integers(0, 999, (5, 30, 20)).astype(np.int16)
    with writer_for(path, rich_metadata((5, 30, 20))) as writer:
        writer.write(cube, row=0, col=0, band=0)
    succeed("upscale", path, "-s", 2, "-m", "bicubic", "-o", tmp_path / "finer.tif")
    return path, tmp_path / "finer.tif"


def test_the_page_asks_the_network_for_nothing(scenes: tuple[Path, Path], tmp_path: Path) -> None:
    made = view(scenes[0], [scenes[1]], tmp_path / "page.html")
    text = made.output.read_text(encoding="utf-8")
    assert made.bytes == len(text.encode())
    without_data = re.sub(r'(?s)<script type="application/json".*?</script>', "", text)
    assert re.findall(r"""(?:src|href)=["'](?!data:)[^"']*|url\(""", without_data) == []
    assert "default-src 'none'" in text
    assert "estimated, not measured" in text
    assert "bicubic" in text
    assert "in the same colours; 0 everywhere, so black." in text
    assert '"names": ["finer.tif, x2"]' in text  # bicubic is another curve


def test_names_in_files_cannot_leave_their_place_in_the_page() -> None:
    lr, _ = pair(4, 4, 1)
    content = page_content(PageScenes(observed=lr))
    assert content.windows == ["the whole scene"]
    content.data["names"] = ["</script><script>alert(1)</script>"]
    text = page_text("<b>&", content)
    assert "<b>" not in text
    assert "alert(1)</script>" not in text


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("--window", "5"), "--window 5: expected ROW,COLUMN such as 120,80", 2),
        (("-o", "there.html"), "there.html exists and is kept", 1),
    ],
)
def test_wrong_calls_are_one_line(
    scenes: tuple[Path, Path],
    arguments: tuple[str, str],
    message: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.html").touch()
    assert message in refusal(hsisr("view", *scenes, "-o", "page.html", *arguments), code)


def test_without_a_name_the_page_lies_beside_the_scene(scenes: tuple[Path, Path]) -> None:
    done = hsisr("view", *scenes, "--window", "29,0", "--nodata", "none")
    page = scenes[0].parent / "observed_view.html"
    assert (done.exit_code, done.stdout) == (0, f"{page}\n"), done.stderr
    assert "observed_view.html: 0." in done.stderr


def test_a_result_that_lies_elsewhere_is_told(scenes: tuple[Path, Path], tmp_path: Path) -> None:
    with rasterio.open(scenes[1]) as file:
        moved = {"crs": file.crs, "transform": file.transform @ Affine.translation(1, 0)}
        other = write_geotiff(tmp_path / "other.tif", file.read(), **moved)
    done = succeed("view", scenes[0], other, "-o", tmp_path / "page.html", "--nodata", "none")
    assert "other.tif has another place than observed.tif; they are shown" in done.stderr


@pytest.mark.parametrize("part", [("--window", "3,2,9,8"), ("--bands", "2-3")])
def test_parts_have_pages(part: tuple[str, ...], scenes: tuple[Path, Path], tmp_path: Path) -> None:
    made = ("-o", tmp_path / "part.tif", "--report", tmp_path / "part.html")
    succeed("upscale", scenes[0], "-s", 2, "-m", "bicubic", *part, *made)
    assert '"names": ["part.tif, x2"]' in (tmp_path / "part.html").read_text(encoding="utf-8")


def test_words_of_the_pages_own_choices_are_whole_on_a_telephone() -> None:
    lr, hr = pair(3, 12_000, 1)
    content = page_content(PageScenes(observed=lr, results=(hr,)), [(1, 11_000), (1, 9)])
    chosen = re.findall(r"<option [^>]*>([^<]*)</option>", page_text("page", content))
    assert chosen[0] == "rows 0 to 2, columns 10744 to 11255"
    assert max(map(len, chosen)) < 42  # about 300 of 390 pixels
