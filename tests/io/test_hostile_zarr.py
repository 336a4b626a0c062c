"""Zarr stores that claim sizes, or unpack to more than they say."""

import bz2
import gzip
import json
import lzma
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
import zarr

from tests.io.little_zarr import CUBE, Make, array, array_3, chunk, chunk_3
from tests.io.zarr_stores import edit_json, write_store
from tests.limited import outcomes_of_scenes

ZEROS = bytes(300 * 2**20)


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
    folder = tmp_path_factory.mktemp("claims")
    (folder / "sound").mkdir()
    makers = {name: make for name, (make, _) in CLAIMS.items()}
    return outcomes_of_scenes(folder, makers, beside("wavelength")(folder / "sound"))


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_of_size_are_refused_before_memory_is_taken(
    name: str, claims: dict[str, str]
) -> None:
    words = CLAIMS[name][1]
    assert words in claims[name], claims[name]
    assert claims[name].startswith(("InputDataError", "works"))
