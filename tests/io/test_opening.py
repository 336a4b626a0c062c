"""Every format through the one door: windows equal the array, wrong paths one clear line."""

import gc
import gzip
import os
import sys
import time
import zipfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import zarr
from hypothesis import strategies as st

from hsisr.errors import InputDataError
from hsisr.io.open import find_scenes, open_scene
from hsisr.tiling import Window
from tests.program import assert_holds
from tests.scenes import (
    EVERY_FORMAT,
    numbered,
    write_envi,
    write_geotiff,
    write_image_folder,
    write_mat5,
)

VALUES = numbered(bands=12, rows=37, cols=29)
BANDS, ROWS, COLS = VALUES.shape


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("scenes")
    return {name: write(folder, VALUES) for name, write in EVERY_FORMAT.items()}


@st.composite
def windows(draw: st.DrawFn) -> Window:
    row, col = draw(st.integers(0, ROWS - 1)), draw(st.integers(0, COLS - 1))
    rows, cols = draw(st.integers(1, ROWS - row)), draw(st.integers(1, COLS - col))
    return Window(row, col, rows, cols)


@pytest.mark.parametrize("name", EVERY_FORMAT)
@hypothesis.settings(max_examples=12)
@hypothesis.given(
    window=windows(), bands=st.lists(st.integers(0, BANDS - 1), min_size=1, max_size=4, unique=True)
)
def test_a_window_is_that_part_of_the_array(
    name: str, scenes: dict[str, Path], window: Window, bands: list[int]
) -> None:
    expected = VALUES[bands, window.row : window.row_end, window.col : window.col_end]
    with open_scene(scenes[name]) as scene:
        np.testing.assert_array_equal(scene.read_stored(window, bands), expected, strict=True)


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_the_whole_is_valid_and_in_no_place(name: str, scenes: dict[str, Path]) -> None:
    with open_scene(str(scenes[name])) as scene:
        cube = scene.read()
        assert scene.path == scenes[name]
        assert scene.metadata.shape == VALUES.shape
        assert scene.metadata.stored.nodata is None
        assert not scene.metadata.georeference.exists
    np.testing.assert_array_equal(cube.values, VALUES.astype(np.float32), strict=True)
    assert cube.valid.all()
    scene.close()


@pytest.mark.parametrize(("bands", "rows"), [(1, 4), (3, 1), (4, 1)])
@pytest.mark.parametrize("name", ["GeoTIFF", "COG", "BSQ", "BIL", "BIP", "MAT73", "NPY"])
def test_few_bands_and_rows(name: str, bands: int, rows: int, tmp_path: Path) -> None:
    values = numbered(bands, rows, 5)
    assert_holds(EVERY_FORMAT[name](tmp_path, values), values)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4, 5), (0, 3, 4)])
def test_arrays_without_three_axes_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape))
    with pytest.raises(InputDataError, match=r"expected 3 axes|expected at least|cannot be read"):
        open_scene(tmp_path / "x.npy")


@pytest.mark.parametrize("dtype", ["complex64", "U3", "bool", "O"])
def test_arrays_without_real_numbers_are_refused(dtype: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 4), dtype))
    with pytest.raises(InputDataError, match=r"expected integers or floats|holds objects"):
        open_scene(tmp_path / "x.npy")


@pytest.mark.parametrize("name", ["five.mat", "seven.mat", "array.npy", "strips.tif", "packed.tif"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_a_deliberate_error_or_whole(
    name: str, share: float, scenes: dict[str, Path], tmp_path: Path
) -> None:
    whole = next(path for path in scenes.values() if path.name == name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputDataError, match=name), open_scene(cut) as scene:
        scene.read()


def test_a_folder_stands_for_the_scenes_in_it_and_one_of_bands_for_itself(tmp_path: Path) -> None:
    write_envi(tmp_path / "a.hdr", numbered())
    write_geotiff(tmp_path / "b.tif", numbered())
    (tmp_path / "b.hdr").write_text("ENVI\n")
    (tmp_path / "c.hdr").write_text("#?RADIANCE\n")
    write_envi(tmp_path / "g.hdr", numbered())
    write_geotiff(tmp_path / "g.tif", numbered())
    (tmp_path / "notes.txt").write_text("nothing")
    write_mat5(tmp_path / "d.mat", numbered())
    write_image_folder(tmp_path / "e", numbered())
    (tmp_path / "f").mkdir()
    found = [path.name for path in find_scenes(tmp_path)]
    assert found == ["a.hdr", "b.tif", "d.mat", "e", "g.hdr", "g.tif"]
    for alone in (tmp_path / "e", tmp_path / "any.tif"):
        assert find_scenes(alone) == [alone]


@pytest.mark.parametrize("name", ["PRS_L2D.zip", "scene.tar.gz", "scene.tif", "scene.nc"])
def test_an_archive_of_files_is_to_be_unpacked(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("scene", b"scene")
    if name.endswith("gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"scene"))
    with pytest.raises(InputDataError, match=f"{name}: found a packed archive, .*unpack it first"):
        open_scene(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes there")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scene.tif")
    with pytest.raises(InputDataError, match=r"scene\.tif: found a pipe or a device"):
        open_scene(tmp_path / "scene.tif")


@pytest.mark.parametrize("name", ["a" * 300 + ".tif", "\ud800.tif", "a\0.tif"])
def test_a_name_that_no_file_can_have_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputDataError, match=r"the file cannot be opened|no such file") as caught:
        open_scene(tmp_path / name)
    assert str(caught.value).isprintable()


def test_of_a_zarr_store_whose_arrays_are_damaged_one_error_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "abcdefgh":
        (tmp_path / "x.zarr" / name).mkdir(parents=True)
        (tmp_path / "x.zarr" / name / "zarr.json").write_text('{"zarr_format": 3}')
    zarr.create_group(tmp_path / "x.zarr")
    with pytest.raises(InputDataError, match="Zarr store that can be read; it is incomplete"):
        open_scene(tmp_path / "x.zarr")
    time.sleep(0.05)  # for tasks of zarr that were begun and that nobody waits for
    gc.collect()
    assert "never retrieved" not in caplog.text
