"""What a server tells of a scene's files, so that one that changes is noticed.

Sizes and what changes with the content: the ETag, else the time of the last change. Nothing here
fails: a server that tells none of these, or does not answer, leaves the name alone.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hsisr.errors import HsisrError, InputDataError
from hsisr.io.formats import is_format_name
from hsisr.io.paths import RemotePath, beside
from hsisr.io.remote.scene import other_halves
from hsisr.io.remote.transport import file_system, reaching

_DOCUMENTS: Final = ("zarr.json", ".zmetadata", ".zgroup", ".zattrs", ".zarray")
"""Of a Zarr store; all that can be looked at where folders cannot be listed."""
_MARKS: Final = ("ETag", "generation", "etag", "Content-MD5")
_TIMES: Final = ("Last-Modified", "LastModified", "last_modified", "updated", "mtime", "created")
"""What file systems of fsspec call them; the first that is told counts."""

Fingerprint = list[str | int]
"""Bytes (-1 where it is not told) and a mark of the content; empty where nothing is told."""


def remote_identity(path: RemotePath) -> list[list[str | int]]:
    """Name, bytes and mark of every file of a remote scene; its name alone where none is told."""
    if is_format_name(path, "Zarr"):
        whole = _told(path, folder=True)
        files = [path / name for name in _DOCUMENTS] if not whole else []
    else:
        whole, files = _told(path), []
    parts = [(path, whole), *_first(beside(path, name) for name in other_halves(path))]
    parts += [(file, told) for file in files if (told := _told(file))]
    return [[str(part), *told] for part, told in parts]


def has_changed(then: Any, now: Any) -> bool:
    """True if two identities of a scene tell of different states.

    Files on servers count where something was told of them both times, others always.

    Args:
        then: From `scene_identity`; what was read from a file may be anything.
        now: The same, later.
    """
    if then == now:
        return False
    before, after = _remote_files(then), _remote_files(now)
    if before is None or after is None or not (shared := before.keys() & after.keys()):
        return True
    told = [(before[name], after[name]) for name in shared]
    return any(one != other for one, other in told if one and other)


def _remote_files(identity: Any) -> dict[str, Sequence[Any]] | None:
    """What was told of each file, by its name; None if one is of this machine."""
    try:
        files = {str(name): told for name, *told in identity}
    except (TypeError, ValueError):
        return None
    return files if all("/" in name for name in files) else None


def _first(paths: Iterable[RemotePath]) -> list[tuple[RemotePath, Fingerprint]]:
    """The first of these of which something is told."""
    return next(([(path, told)] for path in paths if (told := _told(path))), [])


def _told(path: RemotePath, *, folder: bool = False) -> Fingerprint:
    """Of a file; of a folder with `folder` only, and then of all its files together."""
    try:
        with reaching(path, InputDataError, "cannot be looked at"):
            system, key = file_system(path)
            system.invalidate_cache()
            found = system.info(key)
            if (found["type"] == "directory") != folder:
                return []
            inside = system.find(key, detail=True) if folder else {}
    except HsisrError:
        return []
    if not folder:
        size, mark = _state(found)
        return [size, mark] if mark or size >= 0 else []
    states = [(name, *_state(file)) for name, file in sorted(inside.items())]
    digest = hashlib.sha256(json.dumps(states).encode()).hexdigest()[:32]
    return [sum(max(0, size) for _, size, _ in states), digest]


def _state(file: Mapping[str, Any]) -> tuple[int, str]:
    """Bytes and mark.

    >>> _state({"size": 7, "ETag": '"a"', "mtime": 3.5}), _state({"size": None, "mtime": 3.5})
    ((7, '"a"'), (-1, '3.5'))
    """
    mark = next((str(file[name]) for name in (*_MARKS, *_TIMES) if file.get(name)), "")
    size = file.get("size")
    return -1 if size is None else int(size), mark
