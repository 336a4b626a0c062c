"""An ENVI pair: the header of a data file, the data file of a header, and the header's fields.

Fields are strings under lower-case names with spaces; lists keep their braces. This module reads
them and says which hsisr understands and which it passes on; `hsisr.io.spectral` parses them.
"""

import re
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from spectral.io import envi
from spectral.io.envi import EnviException

from hsisr.errors import InputDataError, OutputExistsError, warn_of_scene
from hsisr.io.atomic import refuse_existing
from hsisr.io.formats import ROWS, has_own_format
from hsisr.io.paths import begins_as_envi, file_named, header_beside, header_start, sibling
from hsisr.io.spectral import GRID_FIELDS, LAYOUT_FIELDS, NUMBER_FIELDS, SPECTRAL_FIELDS

_KNOWN: Final = (LAYOUT_FIELDS | GRID_FIELDS | NUMBER_FIELDS | SPECTRAL_FIELDS) | {
    "description",
    "projection info",
}


def read_header(path: Path) -> dict[str, str]:
    """Every field of an ENVI header; a list without an end, a warning, goes on to the next field.

    Raises:
        InputDataError: The file is no ENVI header, breaks off inside a list, or says twice where
            the numbers lie.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputDataError(f"header {path.name} cannot be read: {error.strerror}") from error
    if not begins_as_envi(raw):
        raise InputDataError(
            f"header {path.name} does not begin with ENVI; expected an ENVI header, for other "
            "formats name the data file"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    lines = text.splitlines()
    closed = _closed([line for line in lines if not line.startswith(";")])  # without comments
    try:
        fields = _by_spy(path) if raw.isascii() and closed == lines else _by_copy(path.name, closed)
    except EnviException as error:
        raise InputDataError(
            f"header {path.name} cannot be parsed; look for a brace that is never closed"
        ) from error
    return {key: _text(key, value) for key, value in fields.items()}


def _by_spy(header: Path) -> dict[str, str | list[str]]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Parameters with non-lowercase names")
        fields: dict[str, str | list[str]] = envi.read_envi_header(header)
        return fields


def _by_copy(name: str, lines: Sequence[str]) -> dict[str, str | list[str]]:
    """What SPy makes of the lines, in a file of the locale's encoding, which is what it reads."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, name)
        copy.write_text("\n".join(lines) + "\n", errors="replace")
        return _by_spy(copy)


def _closed(lines: Sequence[str]) -> list[str]:
    """The lines, with a brace where a list breaks off before the next field.

    A list that breaks off at the end stays open: the header itself may be broken off there.

    >>> with warnings.catch_warnings(action="ignore"):
    ...     _closed(["wavelength = {400,", "500", "bands = 2", "bbl = {1"])
    ['wavelength = {400,', '500}', 'bands = 2', 'bbl = {1']
    """
    closed, opened, first = list(lines), "", dict[str, str]()
    for number, line in enumerate(lines):
        key, _, value = line.partition("=")
        key, value = key.strip().lower(), value.strip()
        if opened and key in _KNOWN and _breaks_off(opened, lines, number):
            closed[number - 1] += "}"
            warn_of_scene(
                f"{opened}: found no closing brace; the list is taken to end before the next field"
            )
            opened = ""
        if not opened and key in _KNOWN and first.setdefault(key, value) != value:
            _complain_of_two(key, first[key], value)
        if not opened and value.startswith("{"):
            opened = key
        if opened and line.rstrip().endswith("}"):
            opened = ""
    return closed


def _complain_of_two(key: str, first: str, last: str) -> None:
    found = f"found {key} twice, {first[:40]!r} and {last[:40]!r}"
    if key in LAYOUT_FIELDS:
        raise InputDataError(f"the header contradicts itself: {found}; remove the wrong one")
    if key != "description":
        warn_of_scene(f"{found}; the last is taken")


def _breaks_off(opened: str, lines: Sequence[str], number: int) -> bool:
    """True if the field in this line is none inside the list that is open.

    A description may hold lines like those of a header, but not the only ones that say the size.
    """
    if opened != "description":
        return True
    samples = [n for n, line in enumerate(lines) if line.partition("=")[0].strip() == "samples"]
    end = next((n for n in range(number, len(lines)) if lines[n].rstrip().endswith("}")), None)
    return end is None or samples == [n for n in samples if number <= n <= end] != []


def _text(key: str, value: str | list[str]) -> str:
    if isinstance(value, list):
        return "{" + ", ".join(value) + "}"
    text = " ".join(value.split())
    return "{" + text + "}" if key == "description" else text


_ROW: Final = next(row for row in ROWS if row.name == "ENVI")
DATA_SUFFIXES: Final = ("", *_ROW.suffixes[1:])
"""What data files beside `x.hdr` add to `x`."""
_WRITTEN: Final = _ROW.output_suffixes[1:]
CODES: Final = "1=u1 2=i2 3=i4 4=f4 5=f8 6=c8 9=c16 12=u2 13=u4 14=i8 15=u8"
"""ENVI's numbers for data types. Source: ENVI Header Files, "data type"."""
TYPES: Final = {code: kind for code, _, kind in (pair.partition("=") for pair in CODES.split())}
_SIZE: Final = re.compile(
    r"(?im)^\s*(samples|lines|bands|header offset|data type)\s*=\s*(\d{1,18})\s*$"
)


def is_own_header(header: Path, data: Path) -> bool:
    """True if the header has the data file's whole name, so that it can belong to no other."""
    return header.name.lower() == f"{data.name}.hdr".lower()


def data_beside(header: Path, promised: int, suffixes: Sequence[str] = DATA_SUFFIXES) -> Path:
    """The data file of a header that promises so many bytes, its stem with one of the suffixes.

    Files of another format, and those that have a header of their own, are no candidates. One of
    exactly the promised size is preferred, then one that is long enough.

    Raises:
        InputDataError: There is none, or there are several that fit equally well.
    """
    candidates = _candidates(header, suffixes)
    if not candidates:
        raise InputDataError(
            f"found no data file beside the header, expected {header.stem} with one of the "
            f"suffixes (none) {' '.join(suffixes[1:])}; if it is named otherwise, name it "
            "instead"
        )
    exact = [file for file in candidates if file.stat().st_size == promised]
    longer = [file for file in candidates if file.stat().st_size > promised]
    found = exact or longer or candidates[:1]
    if len(found) > 1:
        raise InputDataError(
            f"found {' and '.join(file.name for file in found)} beside the header, which promises "
            f"{promised} bytes; name the data file, or move the others away"
        )
    return found[0]


def rival_data(header: Path, data: Path) -> Path | None:
    """The file that a header describes to the byte, where that is another one than `data`."""
    promised = promised_bytes(header)
    if promised is None or data.stat().st_size == promised or is_own_header(header, data):
        return None
    exact = [f for f in _candidates(header) if f != data and f.stat().st_size == promised]
    return exact[0] if exact else None


def promised_bytes(header: Path) -> int | None:
    """Bytes of the data file that a header speaks of; None where it does not say."""
    text = header_start(header).decode("latin-1")
    found = {key.lower(): number for key, number in _SIZE.findall(text)}
    if not {"samples", "lines", "bands", "data type"} <= found.keys():
        return None
    number = int(TYPES.get(found["data type"], "u0")[1:])
    pixels = int(found["samples"]) * int(found["lines"]) * int(found["bands"])
    return int(found.get("header offset", 0)) + pixels * number


def envi_pair(path: Path) -> tuple[Path, Path]:
    """Header and data file of a target, which may name either.

    >>> [p.name for p in envi_pair(Path("a.hdr"))], [p.name for p in envi_pair(Path("a.bil"))]
    (['a.hdr', 'a.img'], ['a.hdr', 'a.bil'])
    >>> [p.name for p in envi_pair(Path("scene.v1"))]
    ['scene.v1.hdr', 'scene.v1']
    """
    suffix = path.suffix.lower()
    if suffix == ".hdr":
        return path, sibling(path, f"{path.stem}.img")
    return sibling(path, f"{path.stem if suffix in _WRITTEN else path.name}.hdr"), path


def refuse_existing_pair(path: Path, *, overwrite: bool) -> None:
    """Check that a pair may be made, or replaced.

    Raises:
        OutputExistsError: One of its files exists; or, overwrite or not, a file that readers
            would take for the data of this header.
        UsageError: One is a folder.
        ResourceError: The folder does not exist or cannot be written.
    """
    header, data = envi_pair(path)
    refuse_existing((header, data), overwrite=overwrite)
    stem = header.with_suffix("")
    for rival in (stem, *(stem.with_name(stem.name + suffix) for suffix in _WRITTEN)):
        if rival != data and rival.is_file():
            raise OutputExistsError(
                f"{rival} is there and would be taken for the data of {header.name}; remove it, or "
                "give another name"
            )


def _candidates(header: Path, suffixes: Sequence[str] = DATA_SUFFIXES) -> list[Path]:
    """Files that may hold the numbers of a header; those with headers of their own are last."""
    names = dict.fromkeys(header.stem + suffix for suffix in suffixes)
    found = [file for name in names if (file := file_named(header.parent, name))]
    raw = [file for file in dict.fromkeys(found) if not has_own_format(file)]
    if not raw:
        promised = promised_bytes(header)
        same_stem = [f for f in header.parent.iterdir() if f.stem == header.stem and f.is_file()]
        raw = [file for file in same_stem if file.stat().st_size == promised]
    return [file for file in raw if header_beside(file) == header] or raw
