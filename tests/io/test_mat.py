"""MATLAB files: which variable is the cube, how its axes lie, what lies beside it."""

import struct
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from hsisr.errors import HsisrWarning, InputDataError
from hsisr.io.matlab.v5 import Mat5
from hsisr.io.matlab.v73 import Mat73
from hsisr.io.open import open_scene
from hsisr.tiling import Window
from tests.program import assert_holds, cube_at, metadata_at
from tests.scenes import numbered, write_mat5, write_mat73

VALUES = numbered(4, 6, 5)
ROWS_COLS_BANDS = VALUES.transpose(1, 2, 0)
BOTH = pytest.mark.parametrize("write", [write_mat5, write_mat73])
Write = Callable[..., Path]


@BOTH
def test_the_only_cube_of_numbers_is_taken(write: Write, tmp_path: Path) -> None:
    path = write(tmp_path / "x.mat", VALUES, "paviaU", gt=np.ones((6, 5)), flags=VALUES > 100)
    with open_scene(path) as scene:
        assert scene.format == ("MAT5" if write is write_mat5 else "MAT73")
        np.testing.assert_array_equal(scene.read().values, VALUES)


@BOTH
def test_wavelengths_tell_the_cube_from_a_picture_of_it(write: Write, tmp_path: Path) -> None:
    wl = np.array([[0.4, 0.5, 0.6, 0.7]])
    path = write(tmp_path / "x.mat", VALUES, "I", rgb=np.zeros((6, 5, 3), np.uint8), wl=wl)
    assert metadata_at(path).shape == VALUES.shape
    assert metadata_at(path).spectral_axis.wavelengths_nm == (400.0, 500.0, 600.0, 700.0)


@BOTH
@pytest.mark.parametrize("axes", ["rcb", "brc", "RBC", "crb"])
def test_axes_say_how_the_cube_lies(write: Write, axes: str, tmp_path: Path) -> None:
    lying = VALUES.transpose(["brc".index(axis) for axis in axes.lower()])
    path = write(tmp_path / "x.mat", lying.transpose(2, 0, 1))
    assert_holds(path, VALUES, axes=axes)


@BOTH
@pytest.mark.parametrize("axes", ["rcb", "brc", "rbc"])
def test_wavelengths_point_to_the_axis_of_bands(write: Write, axes: str, tmp_path: Path) -> None:
    lying = VALUES.transpose(["brc".index(axis) for axis in axes])
    path = write(tmp_path / "x.mat", lying.transpose(2, 0, 1), wavelengths=np.arange(400.0, 404.0))
    assert_holds(path, VALUES)


def test_an_hdf5_file_of_another_program_has_its_axes_as_they_are(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.mat", "w") as file:
        file["cube"] = ROWS_COLS_BANDS
    assert_holds(tmp_path / "x.mat", VALUES)


@pytest.mark.parametrize("name", ["x.npy", "five.mat", "hdf5.mat"])
def test_bands_that_are_more_likely_first_are_a_warning(name: str, tmp_path: Path) -> None:
    cube, path = np.zeros((7, 40, 30), np.uint8), tmp_path / name
    if name == "x.npy":
        np.save(path, cube)
    elif name == "five.mat":
        scipy.io.savemat(path, {"cube": cube})
    else:
        with h5py.File(path, "w") as file:
            file["cube"] = cube
    with pytest.warns(HsisrWarning, match=r"30 bands of 7 x 40 pixels.*--axes brc"):
        open_scene(path)
    assert metadata_at(path, axes="brc").shape == (7, 40, 30)


@BOTH
def test_fields_beside_the_cube(write: Write, tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.mat",
        VALUES,
        Wavelengths=np.array([[400.5], [500], [600], [700]]),
        FWHM=np.full((1, 4), 6.0),
        bbl=np.array([[1, 0, 1, 1]], np.uint8),
        nodata=np.array([[float(VALUES[0, 1, 2])]]),
        transform=np.array([[30.0, 0, 100, 0, -30, 200]]),
    )
    meta, valid = metadata_at(path), cube_at(path).valid
    assert meta.spectral_axis.wavelengths_nm == (400.5, 500.0, 600.0, 700.0)
    assert meta.spectral_axis.fwhm_nm == (6.0,) * 4
    assert meta.spectral_axis.good == (True, False, True, True)
    assert meta.georeference.transform is not None
    assert meta.georeference.transform @ (1, 1) == pytest.approx((130, 170))
    np.testing.assert_array_equal(valid, VALUES[0, 1, 2] != VALUES)


@BOTH
def test_the_logical_matrix_valid_is_a_mask(write: Write, tmp_path: Path) -> None:
    mask = np.ones((6, 5), np.bool_)
    mask[1, 2] = False
    with open_scene(write(tmp_path / "x.mat", VALUES, valid=mask)) as scene:
        valid = scene.read(Window(1, 1, 3, 3)).valid
    assert not valid[:, 0, 1].any()
    assert valid.sum() == valid.size - 4


def test_texts_of_version_73_as_chars_as_cells_and_as_strings(tmp_path: Path) -> None:
    path = write_mat73(tmp_path / "x.mat", VALUES)
    with h5py.File(path, "r+") as file:
        chars = file.create_dataset("chars", data=np.array([[ord(c)] for c in "abc"], np.uint16))
        chars.attrs["MATLAB_class"] = np.bytes_("char")
        cells = file.create_dataset("cells", data=np.array([[chars.ref]] * 2, h5py.ref_dtype))
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
        file["strings"] = ["d", "e"]
    with closing(Mat73(path)) as opened:
        found = [opened.texts(name) for name in ("chars", "cells", "strings")]
    assert found == [["abc"], ["abc", "abc"], ["d", "e"]]


@BOTH
@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ({"wavelengths": [[400.0, 500, 600]]}, "wavelengths left out: found 3 for 4"),
        ({"wavelengths": [[400.0, np.nan, 600, 700]]}, "band 2 has nan"),
        ({"wavelengths": [[400.0, -1, 600, 700]]}, "band 2 has -1"),
        ({"bbl": [[1.0, 1]]}, "bad-band list left out: found 2 for 4"),
        ({"transform": [[1.0, 2, 3]]}, "transform left out: found 3 numbers"),
        ({"gcps": [[1.0, 2], [3, 4]]}, "gcps left out"),
        ({"scales": [[1.0, 2]]}, "scales left out: found 2 for 4"),
        ({"transform": [[0.0] * 6]}, "transform is left out"),
        ({"transform": [[1.0, 0, np.nan, 0, 1, 0]]}, "transform is left out"),
        ({"gcps": [[np.nan, 1, 2, 3, 4]]}, "ground control points left out"),
    ],
)
def test_misfits_are_out(write: Write, beside: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.mat", VALUES, **{k: np.array(v) for k, v in beside.items()})
    with pytest.warns(HsisrWarning, match=r"x\.mat: .*" + words), open_scene(path) as scene:
        np.testing.assert_array_equal(scene.read().values, VALUES)


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("nodata", "-9999 or 0", "nodata left out: found a text"),
        ("wavelengths", "400:100:700", "wavelengths left out: found a text"),
        ("crs_wkt", "PROJCS[", "reference system is left out: PROJ does not understand"),
    ],
)
def test_idle_texts_are_left_out(field: str, text: str, words: str, tmp_path: Path) -> None:
    path = write_mat5(tmp_path / "x.mat", VALUES, **{field: text})
    with pytest.warns(HsisrWarning, match=r"x\.mat: .*" + words), open_scene(path) as scene:
        assert (scene.metadata.stored.nodata, scene.metadata.georeference.crs_wkt) == (None, None)


def test_a_reference_system_may_be_a_code(tmp_path: Path) -> None:
    path = write_mat5(tmp_path / "x.mat", VALUES, crs_wkt="EPSG:32633")
    assert "UTM zone 33N" in str(metadata_at(path).georeference.crs_wkt)


@pytest.mark.parametrize(
    "other",
    [
        "text",
        np.array(["a", "b"], object),
        {"field": np.ones((2, 3, 4))},
        scipy.sparse.csc_matrix(np.eye(3)),
        np.ones((2, 3, 4), np.bool_),
    ],
    ids=["char", "cell", "struct", "sparse", "logical"],
)
def test_variables_without_plain_numbers_are_refused(other: object, tmp_path: Path) -> None:
    path = write_mat5(tmp_path / "x.mat", VALUES, other=other)
    with pytest.raises(InputDataError, match=r"holds no plain numbers|is a struct of"):
        open_scene(path, variable="other")


def struct_of_version_73(path: Path, inner: dict[str, Any]) -> None:
    write_mat73(path, VALUES)
    with h5py.File(path, "r+") as file:
        del file["cube"]
        for name, value in inner.items():  # axes in reverse, as MATLAB keeps them
            file[f"st/{name}"] = np.asarray(value).T


@pytest.mark.parametrize("kind", ["5", "5 packed", "7.3", "nested"])
def test_a_cube_in_a_struct_is_named_and_reached(kind: str, tmp_path: Path) -> None:
    path, fields = tmp_path / "x.mat", {"wl": [[400.0, 500, 600, 700]], "cube": ROWS_COLS_BANDS}
    name = "st.cube" if kind != "nested" else "outer.st.cube"
    if kind == "7.3":
        struct_of_version_73(path, fields)
    else:
        variables = {"outer": {"st": fields, "n": 1}} if kind == "nested" else {"st": fields}
        scipy.io.savemat(path, variables | {"after": 7}, do_compression=kind == "5 packed")
    outer = name.rpartition(".")[0]
    with pytest.raises(InputDataError, match=rf"variable {outer} is a struct of .*{name} "):
        open_scene(path, variable=outer)
    with pytest.raises(InputDataError, match=rf"in structs: {name} .*--variable {name}"):
        open_scene(path)
    with open_scene(path, variable=name) as scene:
        np.testing.assert_array_equal(scene.read().values, VALUES)
        assert scene.metadata.spectral_axis.wavelengths_nm == (400, 500, 600, 700)


def test_what_octave_saves_as_hdf5_is_read(tmp_path: Path) -> None:
    """Layout: a group for each variable with its type and its value, axes in reverse."""
    with h5py.File(tmp_path / "x.mat", "w") as file:
        for name, value in (("cube", ROWS_COLS_BANDS), ("wl", np.array([[4.0, 5, 6, 7]]))):
            group = file.create_group(name)
            group.attrs["OCTAVE_NEW_FORMAT"] = np.uint8(1)
            group["type"], group["value"] = np.bytes_("matrix"), value.T
    assert_holds(tmp_path / "x.mat", VALUES)
    assert metadata_at(tmp_path / "x.mat").spectral_axis.wavelengths_nm == (4000, 5000, 6000, 7000)


@pytest.mark.clients
@pytest.mark.parametrize("how", ["-v6", "-v7", "-hdf5"])
def test_structs_that_octave_saves_are_read(how: str, tmp_path: Path) -> None:
    program = f"st.wl = [4 5 6 7]; st.cube = reshape(0:119, 6, 5, 4); save {how} x.mat st"
    subprocess.run(["octave-cli", "--norc", "--eval", program], cwd=tmp_path, check=True)
    with open_scene(tmp_path / "x.mat", variable="st.cube") as scene:
        expected = np.arange(120).reshape(6, 5, 4, order="F").transpose(2, 0, 1)
        np.testing.assert_array_equal(scene.read().values, expected)
        assert scene.metadata.spectral_axis.wavelengths_nm == (4000, 5000, 6000, 7000)


@pytest.mark.parametrize("start", [b"# Created by Octave 8.4.0\n# name: cube\n", b"Octave-1-L\0"])
def test_octaves_own_formats_get_advice(start: bytes, tmp_path: Path) -> None:
    for name in ("x.mat", "x.txt", "x"):
        (tmp_path / name).write_bytes(start + bytes(200))
        with pytest.raises(InputDataError, match=r"in Octave: save -v7 FILE VARIABLES"):
            open_scene(tmp_path / name)


def test_a_complex_cube_is_called_complex(tmp_path: Path) -> None:
    parts = np.zeros((4, 6, 5), [("real", "f8"), ("imag", "f8")])
    path = write_mat73(tmp_path / "c.mat", VALUES, name="other")
    with h5py.File(path, "r+") as file:
        del file["other"]
        file["cube"] = parts
        file["cube"].attrs["MATLAB_class"] = np.bytes_("double")
    with pytest.raises(InputDataError, match="found complex numbers in cube, expected integers"):
        open_scene(path)


def test_wavelengths_in_the_only_struct_that_has_them_are_those_of_the_cube(tmp_path: Path) -> None:
    bands = np.arange(len(VALUES)) * 10.0 + 400
    path = write_mat5(tmp_path / "c.mat", VALUES, info={"wavelength": bands})
    assert metadata_at(path).spectral_axis.wavelengths_nm == tuple(bands)
    others: dict[str, Any] = {"lib": {"wavelength": bands[:2]}, "two": {"wavelength": bands}}
    cases: list[dict[str, Any]] = [{"lib": others["lib"]}, others]
    for beside in cases:
        found = metadata_at(write_mat5(tmp_path / "c.mat", VALUES, **beside))
        assert found.spectral_axis.wavelengths_nm is None


TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


@settings(max_examples=40)
@given(
    dtype=st.sampled_from(TYPES),
    shape=st.lists(st.integers(0, 5), min_size=2, max_size=4),
    packed=st.booleans(),
    name=st.sampled_from(("a", "data", "eight_ch", "a_longer_name")),
)
def test_numbers_are_scipys(
    dtype: str, shape: list[int], packed: bool, name: str, tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("mat") / "x.mat"
    array = (np.arange(np.prod(shape)) % 127).astype(dtype).reshape(shape)
    scipy.io.savemat(path, {"before": [1.5], name: array, "after": "text"}, do_compression=packed)
    file = Mat5(path)
    assert list(file.variables) == [name_ for name_, *_ in scipy.io.whosmat(path)]
    found, reverse = file.array(name)
    assert not reverse
    assert file.variables[name].shape == found.shape
    np.testing.assert_array_equal(found, scipy.io.loadmat(path)[name], strict=True)


@pytest.mark.parametrize("packed", [False, True])
def test_texts(packed: bool, tmp_path: Path) -> None:
    variables = {
        "row": "a line",
        "rows": np.array(["first", "more "]),
        "unicode": "grün",
        "cells": np.array(["one", "zwölf", ""], object),
        "empty": "",
    }
    scipy.io.savemat(tmp_path / "x.mat", variables, do_compression=packed)
    file = Mat5(tmp_path / "x.mat")
    assert {found.kind for found in file.variables.values()} == {"text"}
    found = {name: file.texts(name) for name in variables}
    assert found.pop("empty") in ([], [""])
    rows, cells = ["first", "more "], ["one", "zwölf", ""]
    assert found == {"row": ["a line"], "rows": rows, "unicode": ["grün"], "cells": cells}


def test_the_other_byte_order(tmp_path: Path) -> None:
    array = np.arange(24, dtype=">i2").reshape(2, 3, 4, order="F")
    inside = struct.pack(">IIII", 6, 8, 10, 0) + struct.pack(">IIiii4x", 5, 12, 2, 3, 4)
    inside += struct.pack(">HH4s", 4, 1, b"cube") + struct.pack(">II", 3, 48)
    inside += array.tobytes(order="F")
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(inside))
    (tmp_path / "x.mat").write_bytes(head + inside)
    assert_holds(tmp_path / "x.mat", array.transpose(2, 0, 1))


def test_version_4_is_refused_by_name(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "x.mat", {"a": np.ones((40, 5))}, format="4")
    with pytest.raises(InputDataError, match="older files hold matrices only"):
        open_scene(tmp_path / "x.mat")


@pytest.mark.shared
def test_real_files_are_scipys(shared_data: Path) -> None:
    paths = [p for p in shared_data.rglob("*.mat") if b"7.3" not in p.read_bytes()[:20]]
    for path in sorted(paths, key=lambda p: p.stat().st_size)[:6]:
        file = Mat5(path)
        for name, variable in file.variables.items():
            if variable.kind in ("numbers", "flags"):
                expected = scipy.io.loadmat(path, variable_names=[name])[name]
                np.testing.assert_array_equal(file.array(name)[0], expected, strict=True)
