"""The reader of MATLAB's version 5 against scipy's, on everything that scipy writes."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from hsisr.errors import InputDataError
from hsisr.io.matlab.v5 import Mat5
from hsisr.io.open import open_scene

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
    assert file.texts("row") == ["a line"]
    assert file.texts("rows") == ["first", "more "]
    assert file.texts("unicode") == ["grün"]
    assert file.texts("cells") == ["one", "zwölf", ""]
    assert file.texts("empty") in ([], [""])


def test_the_other_byte_order(tmp_path: Path) -> None:
    array = np.arange(24, dtype=">i2").reshape(2, 3, 4, order="F")
    inside = struct.pack(">IIII", 6, 8, 10, 0) + struct.pack(">IIiii4x", 5, 12, 2, 3, 4)
    inside += struct.pack(">HH4s", 4, 1, b"cube") + struct.pack(">II", 3, 48)
    inside += array.tobytes(order="F")
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(inside))
    (tmp_path / "x.mat").write_bytes(head + inside)
    with open_scene(tmp_path / "x.mat") as scene:
        np.testing.assert_array_equal(scene.read().values, array.transpose(2, 0, 1))


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
