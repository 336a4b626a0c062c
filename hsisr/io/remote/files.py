"""How what is not on this machine stands, and small files kept beside it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from hsisr.errors import InputDataError, ResourceError
from hsisr.io.paths import RemotePath, beside
from hsisr.io.remote.transport import file_system, make_folder, reaching

_TIMES: Final = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""What file systems of fsspec call the time of the last change."""
_ABSENT: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_MARK: Final = ".hsisr/{}.sending"
_LARGEST: Final = 2**26


def remote_state(path: RemotePath) -> tuple[int, int] | None:
    """Bytes, and time of the last change in ns (0 where none is told); of a folder, of all in it.

    Returns:
        None where there is nothing.

    Raises:
        InputDataError: It cannot be reached.
        UsageError: What reaches it is not installed, or only GDAL reaches it.
    """
    with reaching(path, InputDataError, "cannot be looked at"):
        system, key = file_system(path)
        system.invalidate_cache()
        try:
            found = system.info(key)
        except _ABSENT:
            return None
        files = [found]
        if found["type"] == "directory":
            files = list(system.find(key, detail=True).values())
    if not files:
        return None
    return sum(_bytes(file) for file in files), max(_changed(file) for file in files)


def read_beginning(path: RemotePath, most: int) -> bytes | None:
    """The first bytes of a file; None where there is none.

    Raises:
        InputDataError: It cannot be reached.
        UsageError: As for `remote_state`.
    """
    with reaching(path, InputDataError, "cannot be read"):
        system, key = file_system(path)
        try:
            return bytes(system.cat_file(key, start=0, end=most))
        except _ABSENT:
            return None


def write_whole(path: RemotePath, content: bytes) -> None:
    """Write a small file, or replace it.

    Raises:
        ResourceError: It cannot be written.
        UsageError: As for `remote_state`.
    """
    with reaching(path, ResourceError, "cannot be written"):
        system, key = file_system(path)
        make_folder(system, key)
        system.pipe_file(key, content)


def mark_sending(output: RemotePath, files: Mapping[str, int]) -> None:
    """Remember beside an output that it is being sent, for whoever finds the half of it.

    Args:
        output: What stands for the output.
        files: Bytes of all its files, by their names beside it.

    Raises:
        ResourceError: Nothing can be written there.
    """
    write_whole(_mark(output), json.dumps(dict(files)).encode())


def unmark_sending(output: RemotePath) -> None:
    """The sending is over."""
    mark = _mark(output)
    with reaching(mark, ResourceError, "cannot be removed"), suppress(FileNotFoundError):
        system, key = file_system(mark)
        system.rm_file(key)


def is_half_sent(output: RemotePath) -> bool:
    """True if nothing is there but a part of what was being sent when a run was killed.

    Raises:
        InputDataError: It cannot be reached.
        UsageError: As for `remote_state`.
    """
    try:
        wanted = json.loads(read_beginning(_mark(output), _LARGEST) or b"")
        expected = {str(name): int(size) for name, size in wanted.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False
    found = _found(output, expected)
    return len(found) < len(expected) and found.items() <= expected.items()


def _found(output: RemotePath, expected: Mapping[str, int]) -> dict[str, int]:
    """Bytes of all files of an output that are there, by their names beside it."""
    with reaching(output, InputDataError, "cannot be looked at"):
        system, key = file_system(output)
        system.invalidate_cache()
        if system.isdir(key):
            start = len(key.strip("/")) + 1
            inside = system.find(key, detail=True)
            return {
                f"{output.name}/{name.strip('/')[start:]}": _bytes(file)
                for name, file in inside.items()
            }
    states = {name: remote_state(beside(output, name)) for name in expected}
    return {name: state[0] for name, state in states.items() if state is not None}


def _mark(output: RemotePath) -> RemotePath:
    return beside(output, _MARK.format(output.name))


def _bytes(file: Mapping[str, Any]) -> int:
    return int(file.get("size") or 0)


def _changed(file: Mapping[str, Any]) -> int:
    """The time of change that a file system tells, as a number, a text or a datetime.

    >>> _changed({"mtime": 1.5}), _changed({"updated": "1970-01-01T00:00:02Z"}), _changed({})
    (1500000000, 2000000000, 0)
    """
    told = next((file[name] for name in _TIMES if file.get(name)), 0)
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) else told
        seconds = moment.timestamp() if isinstance(moment, datetime) else float(moment)
    except (ValueError, TypeError):
        return 0
    return round(seconds * 1e9)
