"""Plain numbers under an ESRI header, which GDAL reads: BIL, BIP, BSQ and FLT.

GDAL fills what a short file lacks with zeros, and does not skip gaps between rows or bands; here
both are refused. Source: ESRI, "BIL, BIP, and BSQ raster files".
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.io.envi.files import DATA_SUFFIXES, data_beside
from hsisr.io.geotiff.reader import RasterScene, open_raster
from hsisr.io.paths import header_beside, header_start

_FIELD: Final = re.compile(r"^[ \t]*([A-Za-z]+)[ \t]+([^\s]+)", re.MULTILINE)
_SUFFIXES: Final = (*DATA_SUFFIXES, ".flt", ".dem")


def is_esri(path: Path, _start: bytes = b"") -> bool:
    """True for an ESRI header, and for a data file beside one."""
    return {"nrows", "ncols"} <= _fields(path).keys()


def open_esri(path: Path) -> RasterScene:
    """Open a scene by its ESRI header or its data file.

    A data file that is longer, or a header that does not name the order of bytes, is a warning.

    Raises:
        InputDataError: The header stands alone, several files may be its data, they are shorter
            than it says or have gaps, or GDAL cannot read them.
    """
    fields, data = _fields(path), path
    if path.suffix.lower() == ".hdr":
        data = data_beside(path, _promised(fields, path), _SUFFIXES)
    _require_layout(data, fields)
    return open_raster(path, str(data))


def _require_layout(data: Path, fields: Mapping[str, str]) -> None:
    size, promised = data.stat().st_size, _promised(fields, data)
    found = f"the header promises {promised} bytes, but {data.name} holds {size}"
    if size < promised:
        raise InputDataError(f"{found}; the file is truncated or the header is wrong")
    if size > promised >= 0:
        bands = 1 if fields.get("layout", "").lower() == "bsq" else _whole(fields, "nbands", 1)
        row = _whole(fields, "ncols") * bands * _whole(fields, "nbits", 8) // 8
        if _whole(fields, "totalrowbytes", row) != row or _whole(fields, "bandgapbytes"):
            raise InputDataError(f"{found}; gaps between rows or bands cannot be read")
        warn_of_scene(f"{found}; what follows is not read")
    if _whole(fields, "nbits", 8) > 8 and "byteorder" not in fields:
        warn_of_scene(
            "the header names no BYTEORDER; read as M (the most significant byte first), add "
            "BYTEORDER I if the numbers are wrong"
        )


def _promised(fields: Mapping[str, str], data: Path) -> int:
    """Bytes up to the last number, without gaps, that the header speaks of; -1: it does not."""
    bits = _whole(fields, "nbits", 32 if data.suffix.lower() == ".flt" else 8)
    sizes = [bits, *(_whole(fields, key, 1) for key in ("nrows", "ncols", "nbands"))]
    return -1 if min(sizes) < 0 else max(0, _whole(fields, "skipbytes")) + math.prod(sizes) // 8


def _whole(fields: Mapping[str, str], key: str, default: int = 0) -> int:
    """A whole number of the header; -1 where it is none."""
    text = fields.get(key, str(default))
    return int(text) if text.isdecimal() and len(text) < 19 else -1


def _fields(path: Path) -> dict[str, str]:
    """Names in lower case and values of the header that is or lies beside a file, if any."""
    header = path if path.suffix.lower() == ".hdr" else header_beside(path)
    text = "" if header is None else header_start(header).decode("latin-1")
    return {key.lower(): value for key, value in _FIELD.findall(text)}
