"""ENVI headers as text fields: which there are, which this tool understands, which it passes on.

Fields are strings under lower-case names with spaces; lists keep their braces. `spectral` parses
them.
"""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from spectral.io import envi
from spectral.io.envi import EnviException

from hsisr.errors import InputDataError
from hsisr.io.spectral import SpectralSource, is_length, source_from_text

_LAYOUT: Final = frozenset(
    {"samples", "lines", "bands", "header offset", "file type", "data type", "interleave"}
    | {"byte order", "major frame offsets", "minor frame offsets", "file compression"}
)
_GRID: Final = frozenset(
    {"map info", "coordinate system string", "geo points", "rpc info", "pixel size"}
    | {"x start", "y start"}
)
_SPECTRAL: Final = frozenset({"wavelength", "wavelength units", "fwhm", "bbl", "band names"})
_NUMBERS: Final = frozenset(
    {"data ignore value", "data gain values", "data offset values", "data units"}
)


def read_header(path: Path) -> dict[str, str]:
    """Every field of an ENVI header.

    Raises:
        InputDataError: The file is no ENVI header, or a list in it has no end.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputDataError(f"header {path.name} cannot be read: {error.strerror}") from error
    if not raw.removeprefix(b"\xef\xbb\xbf").startswith(b"ENVI"):
        raise InputDataError(
            f"header {path.name} does not begin with ENVI; expected an ENVI header, for other "
            "formats name the data file"
        )
    try:
        return {key: _text(value, key) for key, value in _parsed(path, raw).items()}
    except EnviException as error:
        raise InputDataError(
            f"header {path.name} cannot be parsed; look for a brace that is never closed"
        ) from error


def listed(text: str) -> list[str]:
    """The items of a list field.

    >>> listed("{400, 500.5}")
    ['400', '500.5']
    """
    inside = text.strip().removeprefix("{").removesuffix("}")
    return [item.strip() for item in inside.split(",")] if inside.strip() else []


def spectral_source(fields: Mapping[str, str]) -> SpectralSource:
    """The spectral fields of a header; one that holds no numbers is left out with a warning."""

    def items(key: str) -> list[str] | None:
        return listed(fields[key]) if key in fields else None

    return source_from_text(
        wavelengths=items("wavelength"),
        fwhm=items("fwhm"),
        bbl=items("bbl"),
        unit=fields.get("wavelength units"),
    )


def carried_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """Fields to pass on as they are.

    Left out are those that `SceneMetadata` holds elsewhere, and those that hold only for the grid
    they were written with (pixel size, x start, y start). Wavelengths that are no lengths (index,
    wavenumber) stay.
    """
    spectral = _SPECTRAL
    if not is_length(fields.get("wavelength units")):
        spectral = _SPECTRAL - {"wavelength", "wavelength units", "fwhm"}
    drop = _LAYOUT | _GRID | _NUMBERS | spectral
    return {key: text for key, text in fields.items() if key not in drop}


def _parsed(path: Path, raw: bytes) -> dict[str, str | list[str]]:
    """What `spectral` makes of the header, which it reads in the encoding of the locale."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.filterwarnings("ignore", "Parameters with non-lowercase names")
        if not raw.isascii():
            path = Path(folder, path.name)
            path.write_text(_decoded(raw), errors="replace")
        fields: dict[str, str | list[str]] = envi.read_envi_header(path)
        return fields


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _text(value: str | list[str], key: str) -> str:
    if isinstance(value, list):
        return "{" + ", ".join(value) + "}"
    text = " ".join(value.split())
    return "{" + text + "}" if key == "description" else text
