"""Codecs of Zarr stores held in bounds: no chunk unpacks to more than its array has room for.

A few bytes can stand for a hundred gigabytes in every compression, and some say the size in their
first bytes and have that much memory taken before anything is unpacked. Only loaded when zarr is.
"""

import asyncio
import bz2
import lzma
import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numcodecs
import zarr
from numcodecs.abc import Codec
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import ShardingCodec

_LITTLE: Final = 2**24
_WIDER: Final = 8
_MOST: Final = 2**31
"""Bytes that any chunk may unpack to, so many times more where filters make numbers wider (one
byte to eight), and what none may."""
_LZMA_BYTES: Final = 2**28
"""Memory for LZMA, whose streams may ask for any; its highest preset takes 65 MiB."""
_FRAME: Final = b"\x28\xb5\x2f\xfd"
_BLOCK: Final = 2**17
"""Most bytes of a block of Zstandard. Source: RFC 8878, 3.1.1.2.4."""

_LEAST: Final = 2**10
_PACKING: Final = frozenset({"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"})


_AT_ONCE: Final = _MOST
"""Bytes that the chunks which are unpacked at once may come to."""


class TooLargeError(ValueError):
    """A chunk would unpack to more than fits its array."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a chunk unpacks to more than {limit} bytes")


@dataclass(frozen=True, slots=True)
class Bounded:
    """An array that is read through codecs that keep to a limit."""

    array: Any
    """Of zarr's."""
    at_once: int
    """Chunks that may be unpacked at once, those in shards one by one."""


def in_bounds(array: Any, chunk_bytes: int) -> Bounded:
    """The same array, its codecs in bounds.

    Args:
        array: Of zarr's.
        chunk_bytes: What its chunks, or shards, take unpacked.
    """
    limit = _limit(chunk_bytes)
    metadata = array.metadata
    if metadata.zarr_format == 2:
        filters = tuple(_InBounds(one, limit) for one in metadata.filters or ()) or None
        packing = metadata.compressor and _InBounds(metadata.compressor, limit)
        bounded = replace(metadata, filters=filters, compressor=packing)
    else:
        codecs = metadata.codecs
        if len(codecs) == 1 and isinstance(codecs[0], ShardingCodec):
            shard, inside = math.prod(array.shards), math.prod(codecs[0].chunk_shape)
            limit = _limit(chunk_bytes // shard * inside)
        bounded = replace(metadata, codecs=tuple(_each(codecs, limit)))
    return Bounded(
        zarr.Array(zarr.AsyncArray(bounded, array.store_path)), max(1, _AT_ONCE // limit)
    )


def _limit(chunk_bytes: int) -> int:
    return min(_LITTLE + _WIDER * chunk_bytes, _MOST)


def unpacked(codec: Any, packed: bytes, limit: int) -> Any:
    """What a codec of numcodecs unpacks bytes to.

    Args:
        codec: Any of numcodecs; those that are no compression are only called.
        packed: The bytes.
        limit: In bytes.

    Raises:
        TooLargeError: It would be more than the limit.
        ValueError: The bytes are cut off or damaged; so do errors of each codec's own.
    """
    kind = codec.codec_id
    if kind in ("zlib", "gzip"):
        return _streamed(lambda: zlib.decompressobj(47), packed, limit)
    if kind == "bz2":
        return _streamed(bz2.BZ2Decompressor, packed, limit)
    if kind == "lzma":
        return _streamed(lambda: _lzma(codec), packed, limit)
    if kind in _SIZES and _SIZES[kind](packed, limit) > limit:
        raise TooLargeError(limit)
    if kind.startswith("vlen-"):
        _texts_in_bounds(bytes(packed))
    return codec.decode(packed)


def _each(codecs: Iterable[Any], limit: int) -> Iterable[Any]:
    """Codecs of version 3, those of shards included, each compression in bounds."""
    for codec in codecs:
        described = codec.to_dict()
        name = str(described["name"]).removeprefix("numcodecs.")
        if isinstance(codec, ShardingCodec):
            yield replace(codec, codecs=tuple(_each(codec.codecs, limit)))
        elif name.startswith("vlen-"):
            yield from (codec, _Watched(_texts_in_bounds, described))
        elif isinstance(codec, BytesBytesCodec) and name in _PACKING:
            settings = described.get("configuration", {}) if name == "lzma" else {}
            plain = numcodecs.get_codec({"id": name, **settings})
            yield _Watched(_unpacking(plain, limit), described)
        else:
            yield codec


def _unpacking(codec: Any, limit: int) -> Callable[[bytes], bytes]:
    return lambda packed: bytes(unpacked(codec, packed, limit))


def _texts_in_bounds(packed: bytes) -> bytes:
    if int.from_bytes(packed[:4], "little") * 4 > len(packed):
        raise ValueError("a chunk of texts says that it holds more than it has bytes")
    return packed


class _InBounds(Codec):  # type: ignore[misc]  # numcodecs has no types
    """A codec of version 2 in bounds, for reading."""

    codec_id = "hsisr-bounded"

    def __init__(self, codec: Any, limit: int) -> None:
        self._codec, self._limit = codec, limit

    def encode(self, buf: Any) -> Any:
        return self._codec.encode(buf)

    def decode(self, buf: Any, out: Any = None) -> Any:  # noqa: ARG002 - zarr gives none
        packs = self._codec.codec_id in _PACKING
        return unpacked(self._codec, bytes(buf) if packs else buf, self._limit)

    def get_config(self) -> Any:
        return self._codec.get_config()


@dataclass(frozen=True)
class _Watched(BytesBytesCodec):
    """A compression of version 3 in bounds, for reading."""

    unpack: Callable[[bytes], bytes]
    described: Any
    is_fixed_size = False

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        found = await asyncio.to_thread(self.unpack, chunk_bytes.to_bytes())
        return chunk_spec.prototype.buffer.from_bytes(found)

    def to_dict(self) -> Any:
        return self.described

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        raise NotImplementedError


def _streamed(begin: Callable[[], Any], packed: bytes, limit: int) -> bytes:
    """Unpack streams one after the other, as their programs do, with zeros after the last."""
    parts: list[bytes] = []
    left = limit
    while packed:
        one = begin()
        parts.append(one.decompress(packed, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise TooLargeError(limit)
        if not one.eof:
            raise ValueError("a packed chunk is cut off")
        packed = one.unused_data.lstrip(b"\0")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _lzma(codec: Any) -> Any:
    raw = codec.format == lzma.FORMAT_RAW
    return lzma.LZMADecompressor(
        codec.format, None if raw else _LZMA_BYTES, codec.filters if raw else None
    )


def _zstd_size(packed: bytes, limit: int) -> int:
    """What a Zstandard frame says it unpacks to, else the most that its blocks can unpack to.

    Source: RFC 8878, 3.1.1; numcodecs goes by the first frame, and on to others if it says nothing.
    """
    total, at = 0, 0
    while at < len(packed) and total <= limit:
        if packed[at : at + 4] != _FRAME:
            raise ValueError("a chunk is no frame of Zstandard")
        flags, single = packed[at + 4], packed[at + 4] >> 5 & 1
        sizes = at + 6 - single + (0, 1, 2, 4)[flags & 3]
        width = (single, 2, 4, 8)[flags >> 6]
        if at == 0 and width:
            return int.from_bytes(packed[sizes : sizes + width], "little") + 256 * (width == 2)
        size, at = _blocks(packed, sizes + width, limit)
        total, at = total + size, at + 4 * (flags >> 2 & 1)
    return total


def _blocks(packed: bytes, at: int, limit: int) -> tuple[int, int]:
    """The most that the blocks of a frame unpack to, and where they end."""
    total, last = 0, 0
    while not last and total <= limit:
        if len(packed) < at + 3:
            raise ValueError("a packed chunk is cut off")
        head = int.from_bytes(packed[at : at + 3], "little")
        last, kind, size = head & 1, head >> 1 & 3, head >> 3
        total += max(_BLOCK if kind == 2 else size, _LEAST)  # empty blocks without end count too
        at += 3 + (1 if kind == 1 else size)
    return total, at


_SIZES: Final[dict[str, Callable[[bytes, int], int]]] = {
    "blosc": lambda packed, _: int.from_bytes(packed[4:8], "little"),
    "lz4": lambda packed, _: int.from_bytes(packed[:4], "little"),
    "zstd": _zstd_size,
}
"""What a chunk says it unpacks to, by the codec."""
