"""Telling a safetensors file from everything else by its first bytes; no pickle is ever loaded."""

import zipfile
from pathlib import Path
from typing import Final

from hsisr.errors import WeightsError

HDF5: Final = b"\x89HDF\r\n\x1a\n"
ZIP: Final = b"PK\x03\x04"
KERAS_MEMBERS: Final = ("config.json", "model.weights.h5")
"""What makes a zip archive a `.keras` file."""

_PICKLE: Final = (
    "a pickle, which can run any program when it is loaded, so hsisr never does; expected a "
    "safetensors file: save the parameters with hsisr.weights.save_weights where you trust them"
)
_KERAS: Final = "expected a safetensors file; convert it with `hsisr weights import`"


def refuse_foreign(path: Path) -> None:
    """Return if the file may be safetensors.

    Raises:
        WeightsError: It is missing, unreadable, or recognised as something else.
    """
    if complaint := _complaint(path, first_bytes(path, 16)):
        raise WeightsError(f"{path}: {complaint}")


def first_bytes(path: Path, count: int) -> bytes:
    """The beginning of a weights file.

    Raises:
        WeightsError: There is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(count)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such weights file; check the path") from error
    except IsADirectoryError as error:
        raise WeightsError(f"{path}: a folder; expected a weights file") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error


def _complaint(path: Path, head: bytes) -> str | None:
    if not head:
        return "the file is empty; expected a safetensors file"
    if head[4:9] == b"\0\0\0\0{":  # eight bytes, little endian: length of the JSON that follows
        return None
    if head[:1] == b"\x80" and head[1:2] in b"\x00\x01\x02\x03\x04\x05":
        return _PICKLE
    if head.startswith(ZIP):
        return _complaint_of_zip(path)
    if head.startswith(HDF5):
        return f"an HDF5 file, such as Keras writes; {_KERAS} from the whole .keras file"
    return "not a safetensors file (it begins otherwise); see `hsisr weights list`"


def _complaint_of_zip(path: Path) -> str:
    """Two kinds of zip archive hold weights: torch.save's, with a pickle in it, and Keras'."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return "a damaged zip archive; expected a safetensors file"
    if any(name.endswith(".pkl") for name in members):
        return _PICKLE
    if set(KERAS_MEMBERS) <= set(members):
        return f"a Keras file; {_KERAS}"
    return "a zip archive; expected a safetensors file"
