"""How a Zarr store packs its numbers: chunks and compression, from creation options."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from hsisr.errors import UsageError
from hsisr.io.zarr.store import LARGEST_CHUNK
from hsisr.scene.metadata import SceneMetadata
from hsisr.scene.quantisation import StoredNumbers

_CHUNK_BYTES: Final = 8 * 2**20
_LEVELS: Final = {"ZSTD": (1, 22, 3), "GZIP": (1, 9, 6)}
"""Lowest, highest and usual level of each compression; GDAL reads both."""
_LACKING: Final = frozenset({"float16", "longdouble", "float128"})


@dataclass(frozen=True, slots=True, eq=False)
class ZarrOptions:
    """What was chosen."""

    chunks: tuple[int, int, int]
    """Bands, rows and columns."""
    compressor: Any
    """One of numcodecs; None: none."""


def zarr_options(
    path: Path,
    metadata: SceneMetadata,
    creation_options: Mapping[str, str],
    blocks: tuple[int, int],
) -> ZarrOptions:
    """Chunks of the blocks that callers write, a few megabytes deep, packed by Zstandard.

    Args:
        path: The target, for messages.
        metadata: What it will hold.
        creation_options: `CHUNKS=BANDS,ROWS,COLS`, `COMPRESSION=ZSTD`, `GZIP` or `NONE`, and
            `LEVEL`.
        blocks: Rows and columns of a block, `CHUNKS` obeyed.

    Raises:
        UsageError: An option is unknown, or the option, the data type or nodata is impossible.
    """
    options = {key.upper(): value for key, value in creation_options.items()}
    _require_storable(path, metadata.stored)
    asked = asked_chunks(options)
    bands, rows, cols = metadata.shape
    high, wide = min(blocks[0], rows), min(blocks[1], cols)
    band_bytes = high * wide * metadata.stored.dtype.itemsize
    deep = min(bands, asked[0] if asked else max(1, _CHUNK_BYTES // band_bytes))
    if deep * band_bytes > LARGEST_CHUNK:
        raise UsageError(
            f"{path.name}: CHUNKS={options['CHUNKS']} are chunks of {deep * band_bytes} bytes, "
            f"expected at most {LARGEST_CHUNK}"
        )
    return ZarrOptions((deep, high, wide), _compressor(path, options))


def asked_chunks(options: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Bands, rows and columns of a Zarr chunk, if `CHUNKS` asks for some.

    Raises:
        UsageError: They are not three positive numbers.

    >>> asked_chunks({"CHUNKS": "16,128,128"})
    (16, 128, 128)
    """
    text = options.get("CHUNKS")
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(
            f"CHUNKS={text}: expected bands, rows and columns, for example CHUNKS=16,128,128"
        )
    bands, rows, cols = map(int, parts)
    return bands, rows, cols


def _compressor(path: Path, options: Mapping[str, str]) -> Any:
    import numcodecs

    name, level = options.get("COMPRESSION", "ZSTD").upper(), options.get("LEVEL")
    unknown = [key for key in options if key not in ("CHUNKS", "COMPRESSION", "LEVEL")]
    if name not in (*_LEVELS, "NONE"):
        unknown.append(f"COMPRESSION={name}")
    elif level is not None and not _level_fits(name, level):
        unknown.append(f"LEVEL={level} with COMPRESSION={name}")
    if unknown:
        raise UsageError(
            f"{path.name}: Zarr stores have no creation option {unknown[0]}, expected "
            "CHUNKS=BANDS,ROWS,COLS, COMPRESSION=ZSTD, GZIP or NONE, LEVEL=1 to 22 (9 for GZIP)"
        )
    if name == "NONE":
        return None
    chosen = _LEVELS[name][2] if level is None else int(level)
    return numcodecs.Zstd(level=chosen) if name == "ZSTD" else numcodecs.GZip(level=chosen)


def _level_fits(name: str, level: str) -> bool:
    low, high, _ = _LEVELS.get(name, (1, 0, 0))
    return level.isdecimal() and low <= int(level) <= high


def _require_storable(path: Path, stored: StoredNumbers) -> None:
    if stored.dtype.name in _LACKING:
        raise UsageError(
            f"{path.name}: found {stored.dtype}, which GDAL does not read from Zarr stores; "
            "choose a --dtype, or another format"
        )
    nodata = stored.nodata
    if nodata is None or stored.dtype.kind == "f":
        return
    info = np.iinfo(stored.dtype)
    if not np.isfinite(nodata) or nodata != int(nodata) or not info.min <= nodata <= info.max:
        raise UsageError(
            f"{path.name}: nodata {nodata:g} does not fit {stored.dtype}, in which a Zarr store "
            "keeps it; choose a --dtype that holds it"
        )
