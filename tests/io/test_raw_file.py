"""Bare cubes in a file."""

import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsisr.io.arrays.raw import Interleave, RawFile
from tests.io.written import pieces

ORDER = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}
SIZES = st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))


@pytest.mark.parametrize("interleave", get_args(Interleave))
@settings(max_examples=25, deadline=None)
@given(shape=SIZES, piece=SIZES, dtype=st.sampled_from(["uint8", "int16", "float64"]))
def test_pieces_of_any_size_fall_into_their_places(
    interleave: Interleave, shape: tuple[int, int, int], piece: tuple[int, int, int], dtype: str
) -> None:
    cube = np.random.default_rng(0).integers(0, 99, shape).astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cube")
        with RawFile(path, shape, np.dtype(dtype), interleave) as raw:
            for b, r, c in pieces(shape, *piece):
                raw.write(cube[b, r, c], row=r.start, col=c.start, band=b.start)
        found = np.fromfile(path, dtype)
    axes = ORDER[interleave]
    np.testing.assert_array_equal(found, cube.transpose(axes).ravel())


@given(shape=SIZES, data=st.data())
@settings(max_examples=25, deadline=None)
def test_windows_are_read_back(shape: tuple[int, int, int], data: st.DataObject) -> None:
    cube = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    band = data.draw(st.integers(0, shape[0] - 1))
    row, col = (data.draw(st.integers(0, size - 1)) for size in shape[1:])
    rows, cols = shape[1] - row, shape[2] - col
    with (
        tempfile.TemporaryDirectory() as folder,
        RawFile(Path(folder, "cube"), shape, cube.dtype) as raw,
    ):
        raw.write(cube, row=0, col=0, band=0)
        found = raw.read(row=row, col=col, band=band, rows=rows, cols=cols)
    np.testing.assert_array_equal(found, cube[band, row:, col:])


def test_a_file_cut_off_meanwhile_is_noticed(tmp_path: Path) -> None:
    with RawFile(tmp_path / "cube", (1, 4, 4), np.dtype(np.uint8)) as raw:
        (tmp_path / "cube").write_bytes(b"")
        with pytest.raises(OSError, match="the file became shorter"):
            raw.read(row=0, col=0, band=0, rows=4, cols=4)
