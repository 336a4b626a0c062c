"""Scenes of plain numbers with an ESRI header (BIL, BIP, BSQ, FLT), which GDAL reads."""

import re
from pathlib import Path
from typing import Final

from hsisr.errors import InputDataError
from hsisr.io.envi.files import DATA_SUFFIXES, first_file, header_beside
from hsisr.io.formats import has_own_format
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
        InputDataError: The header stands alone, several files may be its data, or GDAL cannot
            read them.
    """
    return open_raster(path, str(_data_beside(path) if path.suffix.lower() == ".hdr" else path))


def _data_beside(header: Path) -> Path:
    names = [header.stem + suffix for suffix in _SUFFIXES]
    found = [file for name in names if (file := first_file(header.parent, [name]))]
    found = [file for file in dict.fromkeys(found) if not has_own_format(file)]
    if not found:
        raise InputDataError(
            f"found no data file beside the ESRI header, expected {header.stem} with one of the "
            f"suffixes {' '.join(_SUFFIXES[1:])}"
        )
    exact = [file for file in found if file.stat().st_size == _promised(header)]
    if len(exact or found) > 1:
        raise InputDataError(
            f"found {' and '.join(file.name for file in exact or found)} beside the ESRI header; "
            "name the data file, or move the others away"
        )
    return (exact or found)[0]


def _promised(header: Path) -> int:
    """Bytes of numbers without gaps that the header speaks of."""
    fields = _fields(header)
    sizes = [fields.get(key, "1") for key in ("nrows", "ncols", "nbands")]
    bits = fields.get("nbits", "8")
    if not all(text.isdecimal() and len(text) < 19 for text in (*sizes, bits)):
        return -1
    rows, cols, bands = map(int, sizes)
    return rows * cols * bands * int(bits) // 8


def _fields(header: Path) -> dict[str, str]:
    """Names in lower case and values; empty where the file is none of ESRI's."""
    try:
        with header.open("rb") as file:
            text = file.read(_LONGEST).decode("latin-1")
    except OSError:
        return {}
    return {key.lower(): value for key, value in _FIELD.findall(text)}
