"""Plain numbers under an ESRI header, which GDAL reads: BIL, BIP, BSQ and FLT.

GDAL fills what a short file lacks with zeros, and does not skip gaps between rows or bands; here
both are refused. Source: ESRI, "BIL, BIP, and BSQ raster files".
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hsisr.errors import InputDataError, warn_of_scene
from hsisr.io.envi.files import DATA_SUFFIXES, data_beside, header_beside
from hsisr.io.geotiff.reader import RasterScene, open_raster

_FIELD: Final = re.compile(r"^[ \t]*([A-Za-z]+)[ \t]+([^\s]+)", re.MULTILINE)
_SUFFIXES: Final = (*DATA_SUFFIXES, ".flt", ".dem")
_LONGEST: Final = 2**16


def is_esri(path: Path, _start: bytes = b"") -> bool:
    """True for an ESRI header, and for a data file beside one."""
    header = path if path.suffix.lower() == ".hdr" else header_beside(path)
    return header is not None and {"nrows", "ncols"} <= _fields(header).keys()


def open_esri(path: Path) -> RasterScene:
    """Open a scene by its ESRI header or its data file.

    Raises:
        InputDataError: The header stands alone, several files may be its data, they are shorter
            than it says or have gaps, or GDAL cannot read them.

    Warns:
        HsisrWarning: The data file is longer, or the header does not name the order of bytes.
    """
    header = path if path.suffix.lower() == ".hdr" else header_beside(path)
    fields = {} if header is None else _fields(header)
    data = path
    if path == header:
        data = data_beside(header, _promised(fields, path), _SUFFIXES)
    _require_layout(data, fields)
    return open_raster(path, str(data))


def _require_layout(data: Path, fields: Mapping[str, str]) -> None:
    size, promised = data.stat().st_size, _promised(fields, data)
    found = f"the header promises {promised} bytes, but {data.name} holds {size}"
    if size < promised:
        raise InputDataError(f"{found}; the file is truncated or the header is wrong")
    if size > promised >= 0:
        of_pixel = (
            1 if fields.get("layout", "bil").lower() == "bsq" else _whole(fields, "nbands", 1)
        )
        row = _whole(fields, "ncols") * of_pixel * _whole(fields, "nbits", 8) // 8
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
    bits = 32 if data.suffix.lower() == ".flt" else 8
    sizes = [_whole(fields, key, 1) for key in ("nrows", "ncols", "nbands")]
    rows, cols, bands = sizes
    each = _whole(fields, "nbits", bits)
    if min(*sizes, each) < 0:
        return -1
    return max(0, _whole(fields, "skipbytes")) + rows * cols * bands * each // 8


def _whole(fields: Mapping[str, str], key: str, default: int = 0) -> int:
    """A whole number of the header; -1 where it is none."""
    text = fields.get(key, str(default))
    return int(text) if text.isdecimal() and len(text) < 19 else -1


def _fields(header: Path) -> dict[str, str]:
    """Names in lower case and values; empty where the file is none of ESRI's."""
    try:
        with header.open("rb") as file:
            text = file.read(_LONGEST).decode("latin-1")
    except OSError:
        return {}
    return {key.lower(): value for key, value in _FIELD.findall(text)}
