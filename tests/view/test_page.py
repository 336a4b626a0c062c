"""A scene in one page: cubes survive packing, the page stays small and asks for nothing."""

import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsisr.commands.view import view
from hsisr.view.encoding import Float32, PackedCube, pack
from hsisr.view.page import PageScenes, page_content, page_text
from tests.io.written import rich_metadata, writer_for
from tests.program import hsisr, refusal
from tests.view.test_figure import AXIS, Held, pair


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


def test_windows_shrink_and_overviews_coarsen_until_all_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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


def test_dropped_bands_are_missing_and_others_stay_in_place() -> None:
    lr, hr = pair(6, 6, 2)
    kept = Held(hr.cube[[0, 2, 3]], AXIS.subset([0, 2, 3]), -1)
    content = page_content(PageScenes(observed=lr, results=(kept,)))
    cube = content.data["windows"][0]["finer"][0]["cube"]
    assert cube["shape"] == (4, 12, 12)
    assert cube["low"][1] == 0
    assert cube["low"][2] == pytest.approx(hr.cube[2].min())


@pytest.fixture
def scenes(tmp_path: Path) -> tuple[Path, Path]:
    """An observed scene with wavelengths and bad bands, and its bicubic result."""
    path = tmp_path / "observed.tif"
    cube = np.random.default_rng(0).integers(0, 999, (5, 30, 20)).astype(np.int16)
    with writer_for(path, rich_metadata((5, 30, 20))) as writer:
        writer.write(cube, row=0, col=0, band=0)
    done = hsisr("upscale", path, "-s", 2, "-m", "bicubic", "-o", tmp_path / "finer.tif")
    assert done.exit_code == 0, done.stderr
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
        (("--window", "30,0"), "--window 30,0: observed.tif has 30 rows and 20 columns", 2),
        (("-o", "page.pdf"), "page.pdf: found the suffix '.pdf', expected .html", 2),
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


@pytest.mark.parametrize("part", [("--window", "3,2,9,8"), ("--bands", "2-3")])
def test_the_page_of_a_part_shows_that_part(
    part: tuple[str, ...], scenes: tuple[Path, Path], tmp_path: Path
) -> None:
    made = ("-o", tmp_path / "part.tif", "--report", tmp_path / "part.html")
    done = hsisr("upscale", scenes[0], "-s", 2, "-m", "bicubic", *part, *made)
    assert done.exit_code == 0, done.stderr
    assert '"names": ["part.tif, x2"]' in (tmp_path / "part.html").read_text(encoding="utf-8")


def test_words_of_the_pages_own_choices_are_whole_on_a_telephone() -> None:
    lr, hr = pair(9, 70_000, 1)
    content = page_content(PageScenes(observed=lr, results=(hr,)), [(4, 69_000), (4, 9)])
    chosen = re.findall(r"<option [^>]*>([^<]*)</option>", page_text("page", content))
    assert chosen[0] == "rows 0 to 8, columns 68744 to 69255"
    assert max(map(len, chosen)) < 42  # about 300 of 390 pixels
