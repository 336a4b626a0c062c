"""A part of a Zarr array is read the same in any pieces, and few chunks are at work at once."""

import threading
import time
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from hsisr.errors import InputDataError
from hsisr.io.open import open_scene
from hsisr.io.zarr import codecs as zarr_unpacking
from hsisr.io.zarr.pieces import read_in_pieces
from tests.scenes import numbered

CUBE = numbered(6, 20, 24)


class Counted:
    """An array that slices like zarr's, and remembers the most chunks that a slice touches."""

    def __init__(self, numbers: Any, chunks: tuple[int, ...]) -> None:
        self.numbers, self.chunks, self.shape = numbers, chunks, numbers.shape
        self.most = 0

    def __getitem__(self, place: Any) -> Any:
        found = self.numbers[place]
        spans = [s.indices(n) for s, n in zip(place, self.shape, strict=True)]
        sides = zip(spans, self.chunks, strict=True)
        touched = [-(-end // side) - start // side for (start, end, _), side in sides]
        self.most = max(self.most, int(np.prod(touched)) if found.size else 0)
        return found


@settings(max_examples=60, deadline=None)
@given(data=st.data(), most=st.integers(1, 40))
def test_pieces_make_what_they_were_cut_from(data: st.DataObject, most: int) -> None:
    array = Counted(CUBE, tuple(data.draw(st.integers(1, side + 3)) for side in CUBE.shape))
    ends = [sorted(data.draw(st.tuples(*[st.integers(0, side)] * 2))) for side in CUBE.shape]
    place = tuple(slice(*end) for end in ends)
    np.testing.assert_array_equal(read_in_pieces(array, place, most), CUBE[place])
    assert array.most <= most


def test_texts_and_single_numbers_are_read_in_pieces_too(tmp_path: Path) -> None:
    texts = zarr.create_array(tmp_path / "a", shape=(5,), dtype="str", chunks=(1,))
    texts[:] = ["red", "a longer one", "nir", "", "x"]
    assert read_in_pieces(texts, ..., 2).tolist() == ["red", "a longer one", "nir", "", "x"]
    one = zarr.create_array(tmp_path / "b", shape=(), dtype="i4")
    assert read_in_pieces(one, ..., 1).shape == ()


def unpacking_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The most chunks of a scene that were in the hands of a codec together."""
    lock, running, seen = threading.Lock(), [0], [0]
    real = zarr_unpacking.unpacked

    def unpacked(*given: Any) -> Any:
        with lock:
            running[0] += 1
            seen[0] = max(seen[0], running[0])
        time.sleep(0.01)
        try:
            return real(*given)
        finally:
            with lock:
                running[0] -= 1

    monkeypatch.setattr(zarr_unpacking, "unpacked", unpacked)
    with open_scene(path, axes="brc") as scene:
        np.testing.assert_array_equal(scene.read().values, CUBE)
    return seen[0]


@pytest.mark.parametrize(("version", "shards"), [(2, None), (3, None), (3, (6, 10, 12))])
def test_chunks_that_may_take_much_are_not_unpacked_many_at_once(
    version: Any, shards: tuple[int, ...] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packing = zarr.codecs.GzipCodec() if version == 3 else numcodecs.GZip()
    array = zarr.create_array(
        tmp_path / "a.zarr",
        shape=CUBE.shape,
        dtype=CUBE.dtype,
        chunks=(3, 5, 6),
        shards=shards,
        compressors=packing,
        zarr_format=version,
    )
    array[:] = CUBE
    assert unpacking_at_once(tmp_path / "a.zarr", monkeypatch) > 2
    little_each = 2**24 + 8 * 3 * 5 * 6 * CUBE.dtype.itemsize
    monkeypatch.setattr(zarr_unpacking, "_AT_ONCE", 2 * little_each)
    assert unpacking_at_once(tmp_path / "a.zarr", monkeypatch) <= 2


def test_the_largest_chunks_are_unpacked_one_by_one(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a", shape=(2**14,) * 3, dtype="u1", chunks=(1024,) * 3)
    assert zarr_unpacking.in_bounds(array, 2**30).at_once == 1
    array = zarr.create_array(tmp_path / "b", shape=(8, 8, 8), dtype="u1", chunks=(2, 2, 2))
    assert zarr_unpacking.in_bounds(array, 8).at_once == 127


def test_shards_in_shards_are_refused(tmp_path: Path) -> None:
    inner = zarr.codecs.ShardingCodec(chunk_shape=(3, 5, 6))
    outer = zarr.codecs.ShardingCodec(chunk_shape=(6, 10, 12), codecs=[inner])
    zarr.create(
        shape=CUBE.shape, chunks=(6, 20, 24), dtype="u2", codecs=[outer], store=tmp_path / "a.zarr"
    )
    with (
        open_scene(tmp_path / "a.zarr", axes="brc") as scene,
        pytest.raises(InputDataError, match=r"a\.zarr: array / has shards in its shards"),
    ):
        scene.read()
