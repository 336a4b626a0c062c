"""Changes that know a format, for random ones would never get past its first check."""

import copy
import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any, Final

Bytes = Callable[[bytes], bytes]
Mutator = Callable[[bytes, Random, Bytes], bytes]

_NUMBERS: Final = (0, 1, 2, 3, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64)
_TEXTS: Final = (
    *("", "0", "-1", "1", "2", "7", "9" * 20, "1e400", "nan", "-inf", "1_0", "\u0663", "4", "12"),
    *("{", "}", "{}", "{a, b", "{{1}}", "{,,}", "{1, 2, 3}", "\x1b[2J", "\u2028", "\x00", "=", ";"),
    *("../../x", "/etc/passwd", "bsq", "bil", "bip", "Micrometers", "Wavenumber"),
)
_ENVI_KEYS: Final = (
    *("samples", "lines", "bands", "header offset", "file type", "data type", "interleave"),
    *("byte order", "wavelength", "wavelength units", "fwhm", "bbl", "band names", "map info"),
    *("coordinate system string", "geo points", "rpc info", "data ignore value", "pixel size"),
    *("data gain values", "data offset values", "data units", "major frame offsets", "x start"),
)
VALUES: Final[tuple[Any, ...]] = (
    *(0, 1, -1, 2, 8, 2**31, 2**63, 2**70, 10**400, 1.5, 1e308, float("nan"), float("inf"), 3, 5),
    *(None, True, False, "", "x", "dacn", "band", "\x1b[2J", "\ud800", [], {}, [1, 2], [[1, 2]]),
    *([0, 4], [4, 0], "F32", "I64", "BF16", {"a": 1}, "__metadata__", "hsisr", "NaN", "0x7ff8"),
    # of Zarr stores
    *("blosc", "zstd", "gzip", "lz4", "delta", "pickle", "json2", "vlen-utf8", "sharding_indexed"),
    *("<f4", "<U9", "|O", "|V99999999", "<M8[s]", "<c8", "int16", "C", "F", "/", ".", "wavelength"),
    *([4, 5, 3], [1, 1, 1], [10**12, 4, 5], [10**9, 1, 10**9], [0, 4, 5], [-1, 4, 5], [3]),
    *({"id": "zlib"}, {"id": "pickle"}, [{"id": "zstd"}], {"name": "gzip", "configuration": {}}),
    *({"id": "delta", "dtype": "<i2"}, {"name": "numcodecs.pickle"}, {"name": "transpose"}),
    *("_FillValue", "scale_factor", "add_offset", "grid_mapping", "crs_wkt", "spatial_ref"),
    *("GeoTransform", "units", "_ARRAY_DIMENSIONS", "proj:code", "proj:transform", "raster:bands"),
    *("spatial:transform", "spatial:registration", [30, 0, 100, 0, -30, 500], "1 2 3 4 5 6"),
    # of STAC Items
    *("file:///etc/passwd", "../../x", "/vsistdin/", "https://a/b.tif", "a%2fb.tif", "%00.tif"),
    *("x" * 5000, "memory://a.tif", "https://[::1", "99999999-01-01", "1e999", "now", "-1"),
    *("data", "self", "derived_from", "image/tiff", "proj:shape", "EPSG:0", "gsd", "eo:bands"),
    *([{}] * 9, [[[[]]]]),
)
_KEYS: Final = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata", "data/.zarray", "../x")


def envi(data: bytes, chance: Random, mutate: Bytes) -> bytes:
    """Fields of a header: other values, twice, gone, or of other names."""
    if chance.random() < 0.3:
        return mutate(data)
    lines = data.decode("latin-1").split("\n")
    at = chance.randrange(len(lines))
    key = lines[at].partition("=")[0] if chance.random() < 0.7 else chance.choice(_ENVI_KEYS)
    value = chance.choice(_TEXTS)
    match chance.randrange(5):
        case 0:
            lines[at] = f"{key} = {value}"
        case 1:
            lines.insert(at, f"{chance.choice(_ENVI_KEYS)} = {value}")
        case 2:
            del lines[at]
        case 3:
            lines.insert(at, lines[chance.randrange(len(lines))])
        case _:
            lines[at] = _edited(lines[at], chance)
    return "\n".join(lines).encode("latin-1", "replace")


def _edited(line: str, chance: Random) -> str:
    items = line.split(",")
    items[chance.randrange(len(items))] = chance.choice(_TEXTS)
    return ",".join(items)


def numbers(data: bytes, chance: Random, mutate: Bytes) -> bytes:
    """A number of two, four or eight bytes replaced by one that is special."""
    if chance.random() < 0.5 or len(data) < 16:
        return mutate(data)
    width = chance.choice((1, 2, 4, 8))
    at = chance.randrange(0, len(data) - width, min(width, 4))
    value: int = (chance.choice(_NUMBERS) + chance.randint(-1, 1)) % 2 ** (8 * width)
    return data[:at] + value.to_bytes(width, chance.choice(("little", "big"))) + data[at + width :]


def mat5(data: bytes, chance: Random, mutate: Bytes) -> bytes:
    """What is packed in a variable changed and packed again; else as `numbers`."""
    if len(data) < 136 or chance.random() < 0.3:
        return numbers(data, chance, mutate)
    kind, size = struct.unpack_from("<II", data, 128)
    inside, rest = data[136 : 136 + size], data[136 + size :]
    if kind == 15:
        try:
            inside = zlib.decompress(inside)
        except zlib.error:
            return numbers(data, chance, mutate)
    inside = numbers(inside, chance, mutate)
    if kind == 15 or chance.random() < 0.1:
        kind, inside = 15, zlib.compress(inside)
    return data[:128] + struct.pack("<II", kind, len(inside)) + inside + rest


def card(data: bytes, chance: Random, mutate: Bytes) -> bytes:
    """A value somewhere in JSON replaced, renamed, removed or doubled."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return mutate(data)
    if chance.random() < 0.1:
        return mutate(data)
    for _ in range(chance.randint(1, 3)):
        _change(tree, chance)
    return json.dumps(tree).encode()


def _change(tree: Any, chance: Random) -> None:
    while isinstance(tree, (dict, list)) and tree:
        keys = list(tree) if isinstance(tree, dict) else range(len(tree))
        key = chance.choice(keys)
        inner = tree[key]
        if isinstance(inner, (dict, list)) and inner and chance.random() < 0.8:
            tree = inner
            continue
        if chance.random() < 0.2:
            del tree[key]
        elif isinstance(tree, dict) and chance.random() < 0.2:
            tree[str(chance.choice(VALUES))] = copy.deepcopy(chance.choice(VALUES))
        else:
            tree[key] = copy.deepcopy(chance.choice(VALUES))
        return


def safetensors(data: bytes, chance: Random, mutate: Bytes) -> bytes:
    """The header's JSON changed as in `card`, its length kept right most of the time."""
    length = int.from_bytes(data[:8], "little")
    if chance.random() < 0.2 or length > len(data):
        return numbers(data, chance, mutate)
    text, rest = data[8 : 8 + length], data[8 + length :]
    if chance.random() < 0.5:
        text = card(text, chance, mutate)
    else:
        rest = mutate(rest)
    said = len(text) if chance.random() < 0.95 else chance.choice(_NUMBERS) % 2**64
    return said.to_bytes(8, "little") + text + rest


def members(data: bytes, chance: Random, mutate: Bytes) -> bytes:
    """A document or array of an archive changed, renamed, taken away or put in twice."""
    found = unpacked(data)
    if not found or chance.random() < 0.1:
        return numbers(data, chance, mutate)
    at = chance.randrange(len(found))
    name, content = found[at]
    kind = chance.random()
    if kind < 0.05:
        del found[at]
    elif kind < 0.1:
        found.append((chance.choice(found)[0], content))
    elif kind < 0.15:
        found[at] = chance.choice(_KEYS), content
    else:
        found[at] = name, (card if content.startswith(b"{") else numbers)(content, chance, mutate)
    return packed(found)


def unpacked(data: bytes) -> list[tuple[str, bytes]]:
    """Names and contents of an archive; nothing if it is none, or not a little one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = [m for m in archive.infolist() if m.file_size < 2**16 and not m.is_dir()]
            return [(m.filename, archive.read(m)) for m in found]
    except Exception:  # noqa: BLE001 - whatever it is, this archive is past saving
        return []


def packed(found: list[tuple[str, bytes]]) -> bytes:
    """An archive of these, names that come twice included."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in found:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


MUTATORS: Final[dict[str, Mutator]] = {
    "envi": envi,
    "mat5": mat5,
    "safetensors": safetensors,
    **dict.fromkeys(("mat73", "npy", "tiff"), numbers),
    **dict.fromkeys(("card", "stac", "record", "binding"), card),
    **dict.fromkeys(("keras", "zarr", "strip"), members),
}
"""By target; the others are text, which the fuzzer's own mutations suit."""
