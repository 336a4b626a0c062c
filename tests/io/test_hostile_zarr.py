"""Zarr stores made to do harm: sizes only claimed, bombs, links, parts that lie elsewhere."""

import bz2
import gzip
import json
import lzma
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hsisr.errors import InputDataError
from hsisr.io.opening import open_scene
from hsisr.tiling.windows import Window
from tests.fuzz.scene_use import use_scene
from tests.io.zarr_stores import edit_json, write_store
from tests.limited import outcomes
from tests.scenes import numbered

CUBE = numbered(3, 4, 5)
LITTLE = 256 * 2**20
ZEROS = bytes(300 * 2**20)

Make = Callable[[Path], Path]


def array(**changes: Any) -> Make:
    """One array of version 2, its document changed."""

    def make(folder: Path) -> Path:
        path = folder / "scene.zarr"
        zarr.create_array(path, shape=CUBE.shape, dtype="u2", zarr_format=2, chunks=CUBE.shape)
        edit_json(path / ".zarray", **changes)
        return path

    return make


def array_3(**changes: Any) -> Make:
    """The same of version 3."""

    def make(folder: Path) -> Path:
        path = folder / "scene.zarr"
        zarr.create_array(path, shape=CUBE.shape, dtype="u2", chunks=CUBE.shape)
        edit_json(path / "zarr.json", **changes)
        return path

    return make


def chunk(codec: dict[str, Any], content: bytes) -> Make:
    """The only chunk of a little array holds these bytes."""

    def make(folder: Path) -> Path:
        path = array(compressor=codec)(folder)
        (path / "0.0.0").write_bytes(content)
        return path

    return make


def chunk_3(codecs: list[dict[str, Any]], content: bytes) -> Make:
    def make(folder: Path) -> Path:
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        path = array_3(codecs=[little, *codecs])(folder)
        (path / "c" / "0" / "0").mkdir(parents=True)
        (path / "c" / "0" / "0" / "0").write_bytes(content)
        return path

    return make


def named(name: str, *settings: Any) -> dict[str, Any]:
    return {"name": name, "configuration": dict(settings)}


def zstd_of_blocks(count: int) -> bytes:
    """A Zstandard frame that does not say its size, of blocks that repeat one byte."""
    block = struct.pack("<I", 1 << 1 | 2**17 << 3)[:3] + b"x"
    last = struct.pack("<I", 1 | 1 << 1 | 1 << 3)[:3] + b"x"
    return b"\x28\xb5\x2f\xfd\x00\x38" + block * count + last


def zstd_of_size(size: int) -> bytes:
    return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size) + bytes.fromhex("030000")


def shards(inner: list[int], outer: list[int], content: bytes = b"") -> Make:
    """An array in shards, one of which holds these bytes."""

    def make(folder: Path) -> Path:
        path = folder / "scene.zarr"
        zarr.create_array(path, shape=CUBE.shape, dtype="u1", chunks=(1, 4, 5), shards=(3, 4, 5))
        document = json.loads((path / "zarr.json").read_text())
        document["chunk_grid"]["configuration"]["chunk_shape"] = outer
        document["codecs"][0]["configuration"]["chunk_shape"] = inner
        edit_json(path / "zarr.json", **document)
        (path / "c" / "0" / "0").mkdir(parents=True)
        if content:
            (path / "c" / "0" / "0" / "0").write_bytes(content)
        return path

    return make


def shard_index(*places: tuple[int, int]) -> bytes:
    import google_crc32c

    index = b"".join(struct.pack("<QQ", *place) for place in places)
    return index + struct.pack("<I", google_crc32c.value(index))


def beside(name: str, **changes: Any) -> Make:
    """A cube with an array of one number a band beside it, the document of which is changed."""

    def make(folder: Path) -> Path:
        arrays = {"cube": (("wavelength", "y", "x"), CUBE), name: (("wavelength",), [1.0, 2, 3])}
        path = write_store(folder / "scene.zarr", arrays)
        edit_json(path / name / ".zarray", **changes)
        return path

    return make


def texts(folder: Path) -> Path:
    """Four thousand million band names in eight bytes."""
    path = beside(
        "band_name", dtype="|O", filters=[{"id": "vlen-utf8"}], compressor=None, fill_value=""
    )(folder)
    (path / "band_name" / "0").write_bytes(b"\xff\xff\xff\xff\0\0\0\0")
    return path


def many_bands(folder: Path) -> Path:
    """A hundred thousand bands, and as many chunks of wavelengths."""
    path = beside("wavelength", shape=[100_000], chunks=[1])(folder)
    edit_json(path / "cube" / ".zarray", shape=[100_000, 4, 5])
    return path


def long_attributes(folder: Path) -> Path:
    path = array()(folder)
    (path / ".zattrs").write_text(json.dumps({"a": "x" * 2**25}))
    return path


LZMA = {"id": "lzma", "format": 1, "check": -1, "preset": None, "filters": None}
BLOSC = {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 1, "blocksize": 0}
BLOSC_HEAD = struct.pack("<BBBBIII", 2, 1, 0x93, 2, 2**31 - 17, 2**20, 64)
BLOSC_3 = named("blosc", ("cname", "zstd"), ("clevel", 5), ("shuffle", "noshuffle"))
GZIP_3 = named("gzip", ("level", 5))
ZSTD_3 = named("zstd", ("level", 0), ("checksum", False))
TOO_MUCH = "a chunk unpacks to more than 16778176 bytes"
CLAIMS: dict[str, tuple[Make, str]] = {
    "shape": (array(shape=[3, 10**12, 10**12]), "works"),
    "shape-3": (array_3(shape=[3, 10**12, 10**12]), "works"),
    "chunks-of-one": (array(shape=[3, 10**12, 10**12], chunks=[1, 1, 1]), "works"),
    "bands": (array(shape=[10**12, 4, 5], chunks=[1, 1, 1]), "bands, expected at most"),
    "chunk": (array(shape=[1, 10**9, 9], chunks=[1, 10**9, 1]), "has chunks of 2000000000 bytes"),
    "chunk-3": (
        array_3(
            shape=[10**12] * 3,
            chunk_grid={"name": "regular", "configuration": {"chunk_shape": [10**12] * 3}},
        ),
        "bands, expected at most",
    ),
    "chunk-of-nothing": (array(chunks=[0, 0, 0]), "scene.zarr"),
    "nothing": (array(shape=[3, 0, 10**12]), "scene.zarr"),
    "overflow": (array(shape=[2**62, 2**62, 2**62]), "scene.zarr"),
    "digits": (array(shape=[3, int("9" * 300), 5]), "scene.zarr"),
    "numbers-of-gigabytes": (
        array(dtype="|V2147483647", fill_value=None),
        "no 3-D array of numbers",
    ),
    "zstd-claim": (chunk({"id": "zstd"}, zstd_of_size(10**11)), TOO_MUCH),
    "zstd-bomb": (chunk({"id": "zstd"}, zstd_of_blocks(10**4)), TOO_MUCH),
    "zstd-empty-blocks": (
        chunk({"id": "zstd"}, b"\x28\xb5\x2f\xfd\x00\x38" + bytes(10**6)),
        TOO_MUCH,
    ),
    "gzip": (chunk({"id": "gzip"}, gzip.compress(ZEROS)), TOO_MUCH),
    "gzip-members": (chunk({"id": "gzip"}, gzip.compress(ZEROS[: 2**24]) * 20), TOO_MUCH),
    "zlib": (chunk({"id": "zlib"}, zlib.compress(ZEROS)), TOO_MUCH),
    "bz2": (chunk({"id": "bz2"}, bz2.compress(ZEROS)), TOO_MUCH),
    "lzma": (chunk(LZMA, lzma.compress(ZEROS, preset=0)), TOO_MUCH),
    "lz4": (chunk({"id": "lz4"}, struct.pack("<i", 2**31 - 1) + bytes(64)), TOO_MUCH),
    "lz4-negative": (chunk({"id": "lz4"}, struct.pack("<i", -1) + bytes(64)), TOO_MUCH),
    "blosc": (chunk(BLOSC, BLOSC_HEAD + bytes(48)), TOO_MUCH),
    "gzip-3": (chunk_3([GZIP_3], gzip.compress(ZEROS)), TOO_MUCH),
    "gzip-twice-3": (chunk_3([GZIP_3, GZIP_3], gzip.compress(gzip.compress(ZEROS))), TOO_MUCH),
    "zstd-3": (chunk_3([ZSTD_3], zstd_of_blocks(10**4)), TOO_MUCH),
    "blosc-3": (chunk_3([BLOSC_3], BLOSC_HEAD + bytes(48)), TOO_MUCH),
    "zlib-3": (chunk_3([named("numcodecs.zlib")], zlib.compress(ZEROS)), TOO_MUCH),
    "shard-of-many": (shards([1, 1, 1], [3, 2**13, 2**13]), "chunks in a shard"),
    "shard-elsewhere": (
        shards([1, 4, 5], [3, 4, 5], shard_index((2**60, 2**60), (0, 20), (0, 20))),
        "cannot be read",
    ),
    "shard-too-small": (shards([1, 4, 5], [3, 4, 5], b"abc"), "scene.zarr"),
    "texts": (texts, "says that it holds more"),
    "names": (beside("band_name", dtype="<U10000000", fill_value="a"), "expected at most 67108864"),
    "bands-in-pieces": (many_bands, "in 100000 chunks"),
    "attributes": (long_attributes, "holds 33554441 bytes, expected at most 16777216"),
    "fill-value": (array(fill_value="many"), "scene.zarr"),
    "fill-values": (array(fill_value=[1] * 9), "scene.zarr"),
    "huge-attributes": (beside("wavelength", attributes={"units": 10**400}), "works"),
}


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What comes of every store above, all in one process that may take a quarter of a gigabyte."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux counts a process's address space in /proc")
    folder = tmp_path_factory.mktemp("claims")
    paths = {}
    for name, (make, _) in CLAIMS.items():
        (folder / name).mkdir()
        paths[name] = make(folder / name)
    (folder / "sound").mkdir()
    sound = beside("wavelength")(folder / "sound")
    found = outcomes("tests.fuzz.scene_use:use_scene", sound, list(paths.values()), more=LITTLE)
    return dict(zip(paths, found, strict=True))


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_of_size_are_refused_before_memory_is_taken(
    name: str, claims: dict[str, str]
) -> None:
    words = CLAIMS[name][1]
    assert words in claims[name], claims[name]
    assert claims[name].startswith(("InputDataError", "works"))


def linked(store: Path, target: Path) -> None:
    (store / "0.0.0").symlink_to(target)


def piped(store: Path, _: Path) -> None:
    os.mkfifo(store / "0.0.0")


def endless(store: Path, _: Path) -> None:
    (store / "0.0.0").symlink_to("/dev/zero")


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need rights there")
@pytest.mark.parametrize("way", [linked, piped, endless])
def test_a_chunk_that_is_no_plain_file_is_not_read(
    way: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(120))
    store = array(compressor=None)(tmp_path)
    way(store, secret)
    with open_scene(store) as scene, pytest.raises(InputDataError, match=r"scene\.zarr: .* a link"):
        scene.read(Window(0, 0, 4, 5))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_groups_in_circles_come_to_an_end(tmp_path: Path) -> None:
    store = write_store(tmp_path / "scene.zarr", {"cube": (("b", "y", "x"), CUBE)})
    (store / "a").symlink_to(store)
    (store / "b").symlink_to(store)
    with pytest.raises(InputDataError, match=r"part [ab]/\.z\w+ of it is a link or a device"):
        open_scene(store)


def test_a_store_that_is_a_link_itself_is_read(tmp_path: Path) -> None:
    store = write_store(tmp_path / "scene.zarr", {"cube": (("b", "y", "x"), CUBE)})
    (tmp_path / "link.zarr").symlink_to(store)
    use_scene(tmp_path / "link.zarr")


def test_arrays_that_a_store_says_to_lie_outside_are_not_read(tmp_path: Path) -> None:
    write_store(tmp_path / "secret.zarr", {"cube": (("b", "y", "x"), CUBE)})
    store = write_store(tmp_path / "scene.zarr", {})
    said = json.loads((tmp_path / "secret.zarr" / "cube" / ".zarray").read_text())
    documents = {".zgroup": {"zarr_format": 2}, "../secret.zarr/cube/.zarray": said}
    documents["../secret.zarr/cube/.zattrs"] = {}
    (store / ".zmetadata").write_text(
        json.dumps({"zarr_consolidated_format": 1, "metadata": documents})
    )
    with pytest.raises(InputDataError, match=r"scene\.zarr"):
        use_scene(store)


def test_consolidated_metadata_that_disagrees_is_an_error_or_harmless(tmp_path: Path) -> None:
    store = write_store(tmp_path / "scene.zarr", {"cube": (("b", "y", "x"), CUBE)})
    zarr.consolidate_metadata(store, zarr_format=2)
    copy = json.loads((store / ".zmetadata").read_text())
    copy["metadata"]["cube/.zarray"] |= {"shape": [3, 400, 500], "chunks": [3, 40, 50]}
    (store / ".zmetadata").write_text(json.dumps(copy))
    with pytest.raises(InputDataError, match=r"scene\.zarr: array cube cannot be read"):
        use_scene(store)


def test_too_many_folders_are_not_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsisr.io.zarr_guard.MOST_MEMBERS", 20)
    store = write_store(tmp_path / "scene.zarr", {"cube": (("b", "y", "x"), CUBE)})
    for number in range(20):
        (store / str(number)).mkdir()
    with pytest.raises(InputDataError, match=r"scene\.zarr: found more than 20 files and folders"):
        open_scene(store)


@pytest.mark.parametrize("name", ["os", "hsisr", "numcodecs.pickle", "pickle", "json2", "../x"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_codec_is_never_looked_for_by_a_name_of_the_store(
    name: str, version: int, tmp_path: Path
) -> None:
    codec = {"id": name} if version == 2 else {"name": name, "configuration": {}}
    make = array(compressor=codec) if version == 2 else chunk_3([codec], b"")
    with pytest.raises(InputDataError, match=r"scene\.zarr"):
        use_scene(make(tmp_path))


def test_several_broken_arrays_are_one_line_on_the_terminal(tmp_path: Path) -> None:
    arrays = dict.fromkeys("abcdef", (("b", "y", "x"), CUBE))
    store = write_store(tmp_path / "scene.zarr", arrays)
    for name in arrays:
        edit_json(store / name / ".zarray", shape="wide")
    done = subprocess.run(
        [sys.executable, "-m", "hsisr", "info", str(store)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "scene.zarr" in done.stderr


def test_names_from_a_store_do_not_reach_the_terminal(tmp_path: Path) -> None:
    names = ("\x1b]0;owned\x07", "\x1b[2J\u202e")
    store = write_store(tmp_path / "scene.zarr", dict.fromkeys(names, (("b", "y", "x"), CUBE)))
    with pytest.raises(InputDataError, match="found 2 cubes") as caught:
        open_scene(store)
    assert str(caught.value).isprintable()
    assert np.all(CUBE >= 0)
