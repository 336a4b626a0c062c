"""Laws that every writer keeps."""

import errno
import os
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import scipy.io
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from spectral.io import envi

from hsisr.errors import OutputExistsError, ResourceError, UsageError
from hsisr.io import write as behind
from hsisr.io.base import SceneWriter, TargetOptions
from hsisr.io.formats import output_format
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.io.open import open_scene
from hsisr.io.spectral import without_wavelength
from hsisr.io.write import block_size, check_target, writing_async
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import SceneMetadata, SpectralAxis
from hsisr.tiling import Window
from tests.io.written import (
    EVERY_TARGET,
    PLACED,
    POINTS,
    RPCS,
    TARGETS,
    TURNED,
    cube_for,
    interrupted,
    metadata_of,
    rich_metadata,
    write_in_pieces,
    write_scene,
    writer_for,
)
from tests.program import metadata_at

TYPES = ("uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")


def numbers_in(path: Path) -> NDArray[np.generic]:
    """The cube on file, (bands, rows, cols), by libraries that know nothing of this project."""
    if path.suffix == ".tif":
        with gdal_env(), rasterio.open(path) as dataset:
            return np.asarray(dataset.read())
    if path.suffix == ".mat":
        if h5py.is_hdf5(path):
            with h5py.File(path) as file:
                return np.asarray(file["data"][:]).transpose(0, 2, 1)
        return np.asarray(scipy.io.loadmat(path)["data"]).transpose(2, 0, 1)
    if path.suffix == ".zarr":
        return np.asarray(zarr.open_group(path, mode="r")["data"])
    return np.asarray(envi.open(path.with_suffix(".hdr")).open_memmap()).transpose(2, 0, 1)


@EVERY_TARGET
@settings(max_examples=6)
@given(
    shape=st.tuples(st.integers(1, 7), st.integers(1, 90), st.integers(1, 90)),
    dtype=st.sampled_from(TYPES),
    piece=st.tuples(st.integers(1, 7), st.integers(1, 90), st.integers(1, 90)),
)
def test_what_is_written_piece_by_piece_is_read_back(
    name: str, shape: tuple[int, int, int], dtype: str, piece: tuple[int, int, int]
) -> None:
    metadata = metadata_of(shape, dtype)
    cube = cube_for(metadata)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        with writer_for(path, metadata) as writer:
            write_in_pieces(writer, cube, bands=piece[0], rows=piece[1], cols=piece[2])
        found = numbers_in(path)
        assert found.dtype.newbyteorder("=") == cube.dtype
        np.testing.assert_array_equal(found, cube)


@EVERY_TARGET
def test_nothing_but_the_output_is_left_in_the_folder(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    metadata = rich_metadata()
    with writer_for(path, metadata) as writer:
        write_in_pieces(writer, cube_for(metadata))
        assert not path.exists()
        assert all(entry.name.endswith(".part") for entry in tmp_path.iterdir())
    expected = {path.name}
    if output_format(path).name == "ENVI":
        expected = {path.with_suffix(".hdr").name, "a.img" if name == "a.hdr" else name}
    assert {entry.name for entry in tmp_path.iterdir()} == expected


@EVERY_TARGET
def test_after_an_exception_the_folder_is_as_it_was(name: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="stop"):
        interrupted(tmp_path / name, metadata_of((3, 20, 20)), masked=True)
    assert list(tmp_path.iterdir()) == []


@EVERY_TARGET
def test_an_existing_output_is_kept(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("precious")
    with pytest.raises(OutputExistsError, match=r"exists and is kept; .*--overwrite"):
        check_target(path, TargetOptions(**TARGETS[name]))
    with pytest.raises(OutputExistsError, match="exists and is kept"):
        writer_for(path, metadata_of((1, 4, 4)))
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


@EVERY_TARGET
def test_an_output_that_appears_meanwhile_is_kept(name: str, tmp_path: Path) -> None:
    path, metadata = tmp_path / name, metadata_of((1, 4, 4))
    writer = writer_for(path, metadata)
    writer.write(cube_for(metadata), row=0, col=0, band=0)
    path.write_text("precious")
    with pytest.raises(OutputExistsError, match="appeared while it was being made"):
        writer.commit()
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


@EVERY_TARGET
def test_overwrite_replaces_the_output_at_the_end_only(name: str, tmp_path: Path) -> None:
    path, metadata = tmp_path / name, metadata_of((2, 30, 20))
    old = write_scene(path, metadata)
    with writer_for(path, metadata, overwrite=True) as writer:
        writer.write(old + 1, row=0, col=0, band=0)
        np.testing.assert_array_equal(numbers_in(path), old)
    np.testing.assert_array_equal(numbers_in(path), old + 1)
    assert not [entry for entry in tmp_path.iterdir() if entry.name.endswith(".part")]


@EVERY_TARGET
def test_an_output_has_the_permissions_of_any_new_file(name: str, tmp_path: Path) -> None:
    write_scene(tmp_path / name, metadata_of((1, 4, 4)))
    made = list(tmp_path.rglob("*"))
    file, folder = tmp_path / "plain", tmp_path / "new"
    file.touch()
    folder.mkdir()
    for entry in made:
        expected = folder if entry.is_dir() else file
        assert entry.stat().st_mode == expected.stat().st_mode


@EVERY_TARGET
def test_numbers_that_do_not_fit_are_never_cast_or_moved(name: str, tmp_path: Path) -> None:
    advice = "; choose another --dtype" if name.endswith(".tif") else ""
    with pytest.raises(UsageError, match=f"float16{advice}"):
        writer_for(tmp_path / name, metadata_of((1, 4, 4), "float16"))
    metadata = metadata_of((2, 8, 8))
    writer = writer_for(tmp_path / name, metadata)
    with pytest.raises(UsageError, match="found numbers of type float64, expected uint16"):
        writer.write(np.zeros((2, 8, 8)), row=0, col=0, band=0)
    with pytest.raises(UsageError, match=r"expected a place inside \(2, 8, 8\)"):
        writer.write(cube_for(metadata), row=1, col=0, band=0)
    writer.discard()
    assert list(tmp_path.iterdir()) == []


@EVERY_TARGET
def test_full_disks_are_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(ResourceError, match="no space left on the device"):
        write_scene(tmp_path / name, metadata_of((2, 40, 40)))
    assert list(tmp_path.iterdir()) == []


@given(st.integers(1, 500), st.integers(1, 20000), st.integers(1, 40000))
def test_blocks_suit_tiff_and_bound_the_memory_of_a_row(bands: int, rows: int, cols: int) -> None:
    metadata = metadata_of((bands, rows, cols))
    high, wide = block_size(metadata, "GTiff")
    assert high % 16 == wide % 16 == 0
    assert 16 <= high <= 256
    assert high * cols * bands * 2 <= 128 * 2**20 or high <= 64


BLOCK = np.ones((1, 2, 2), np.uint16)


class Recorder(SceneWriter):
    """Remembers what was asked of it, and by which thread."""

    block_rows = block_cols = 2

    def __init__(self, *, fail_at: int = -1) -> None:
        self.path, self.metadata = Path("out.tif"), rich_metadata()
        self.fail_at, self.rows, self.ending = fail_at, list[int](), list[str]()
        self.threads = set[int]()

    def write(self, numbers: npt.NDArray[Any], *, row: int, **_: Any) -> None:  # noqa: ARG002
        time.sleep(0.002)
        self.threads.add(threading.get_ident())
        if row == self.fail_at:
            raise ResourceError("no space left")
        self.rows.append(row)

    def commit(self) -> Path:
        self.ending.append("commit")
        return self.path

    def discard(self) -> None:
        self.ending.append("discard")


def write_rows(recorder: Recorder, rows: int, then: BaseException | None = None) -> None:
    with writing_async(recorder) as writer:
        for row in range(rows):
            writer.write(BLOCK, row=row, col=0, band=0)
        if then is not None:
            raise then


def test_writes_keep_their_order_and_only_so_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "_WAITING_BYTES", 3 * BLOCK.nbytes)
    recorder = Recorder()
    with writing_async(recorder) as writer:
        for row in range(12):
            writer.write(BLOCK, row=row, col=0, band=0)
            assert row - len(recorder.rows) <= 3
    assert recorder.rows == list(range(12))
    assert len(recorder.threads - {threading.get_ident()}) == 1
    assert recorder.ending == ["commit"]


@pytest.mark.parametrize("fail_at", [0, 7, 19])
def test_an_error_of_a_write_is_raised_and_nothing_is_committed(fail_at: int) -> None:
    recorder = Recorder(fail_at=fail_at)
    with pytest.raises(ResourceError, match="no space left"):
        write_rows(recorder, 20)
    assert recorder.ending == ["discard"]


def test_an_error_of_the_work_drops_what_waits() -> None:
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        write_rows(recorder, 20, KeyboardInterrupt())
    assert recorder.ending == ["discard"]
    assert len(recorder.rows) < 20


def through_a_file(
    path: Path, metadata: SceneMetadata, mask: np.ndarray[Any, np.dtype[np.bool_]] | None = None
) -> SceneMetadata:
    """Write, read, compare the numbers; returns the metadata found."""
    cube = cube_for(metadata)
    with writer_for(path, metadata, masked=mask is not None) as writer:
        write_in_pieces(writer, cube, mask=mask)
    with closing(open_scene(path)) as scene:
        whole = Window(0, 0, metadata.rows, metadata.cols)
        np.testing.assert_array_equal(scene.read_stored(whole, range(metadata.bands)), cube)
        valid = scene.read().valid
        expected = np.broadcast_to(np.True_ if mask is None else mask, valid.shape)
        np.testing.assert_array_equal(valid, expected)
        return scene.metadata


@EVERY_TARGET
@pytest.mark.parametrize("unit", ["Nanometers", "Micrometers"])
def test_spectrum_and_numbers_come_back(name: str, unit: str, tmp_path: Path) -> None:
    metadata = rich_metadata(unit=unit)
    found = through_a_file(tmp_path / name, metadata)
    assert found.spectral_axis == metadata.spectral_axis
    assert replace(found.stored, units=None) == replace(metadata.stored, units=None)
    for key in ("acquisition time", "sensor type"):
        assert metadata.header[key] in {**found.tags, **found.header}.values()


@EVERY_TARGET
@pytest.mark.parametrize(
    "place", [PLACED, TURNED, POINTS, RPCS], ids=["straight", "turned", "points", "polynomials"]
)
def test_the_place_comes_back(name: str, place: Georeference, tmp_path: Path) -> None:
    found = through_a_file(tmp_path / name, metadata_of((2, 70, 90), place=place)).georeference
    if place.transform is None:
        assert found.transform is None
    else:
        assert found.crs_wkt is not None
        assert tuple(found.transform or ()) == pytest.approx(tuple(place.transform), rel=1e-12)
    assert [(g.row, g.col, g.x, g.y, g.z) for g in found.gcps] == [
        (g.row, g.col, g.x, g.y, g.z) for g in place.gcps
    ]
    for key, text in place.rpcs.items():
        assert [float(n) for n in found.rpcs[key].split()] == [float(n) for n in text.split()]


@EVERY_TARGET
def test_nothing_is_invented(name: str, tmp_path: Path) -> None:
    metadata = metadata_of((3, 20, 30))
    found = through_a_file(tmp_path / name, metadata)
    assert found.spectral_axis == metadata.spectral_axis
    assert found.stored == metadata.stored
    assert not found.georeference.exists
    assert set(found.header) <= {"description"}


@pytest.mark.parametrize("name", ["a.tif", "cog.tif", "a.mat", "a73.mat", "a.zarr"])
def test_a_mask_comes_back(name: str, tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((20, 30)) > 0.3
    through_a_file(tmp_path / name, metadata_of((3, 20, 30)), mask)


def bare(metadata: SceneMetadata) -> SpectralAxis:
    """The axis, its names without wavelengths, which ENVI headers have in a field of their own."""
    axis = metadata.spectral_axis
    return replace(axis, names=tuple(map(without_wavelength, axis.names or ())))


@pytest.mark.shared
@EVERY_TARGET
def test_a_real_scene_comes_back(name: str, shared_data: Path, tmp_path: Path) -> None:
    metadata = metadata_at(shared_data / "dev" / "enmap-potsdam.tif")
    found = through_a_file(tmp_path / name, metadata)
    assert bare(found) == bare(metadata)
    assert found.stored == metadata.stored
    assert found.georeference.transform == metadata.georeference.transform
