"""What a Zarr store may read of its own folder: plain files in it, of sizes that make sense.

A link, a pipe or a device among the files of a store would show another file, or have no end; a
folder that links to itself has no end either.
"""

import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from zarr.abc.store import RangeByteRequest
from zarr.storage import WrapperStore

from hsisr.errors import InputDataError

LARGEST_DOCUMENT: Final = 2**24
"""Bytes of metadata; real ones have some thousands, those of whole archives a million."""
LARGEST_FILE: Final = 2**31
"""Bytes of a packed chunk; of a shard, whose chunks are read one by one, those of a part of it."""
MOST_MEMBERS: Final = 10_000
"""Files and folders that are looked at for arrays."""
_DOCUMENTS: Final = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


class GuardedStore(WrapperStore[Any]):
    """A store of which only plain files are read; what is not there is remembered.

    Args:
        store: Any of zarr's; the files of one in a folder are looked at before they are opened.
    """

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.missing: str | None = None
        """The last key that was not found."""
        root = getattr(store, "root", None)
        self._root = root if isinstance(root, Path) else None
        self._seen = 0

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """The bytes of a file, or of a part of it; None if it is not there.

        Raises:
            InputDataError: It is no file of the store, or too large.
        """
        self._require_own(key, byte_range)
        found = await super().get(key, prototype, byte_range)
        if found is None:
            self.missing = key
        elif _is_document(key) and len(found) > LARGEST_DOCUMENT:
            raise _too_large(key, len(found), LARGEST_DOCUMENT)
        return found

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names in a folder of the store.

        Raises:
            InputDataError: There are too many in what was looked at so far.
        """
        async for name in super().list_dir(prefix):
            self._seen += 1
            if self._seen > MOST_MEMBERS:
                raise InputDataError(
                    f"found more than {MOST_MEMBERS} files and folders in its groups; name the "
                    "group with the cube instead"
                )
            yield name

    def _require_own(self, key: str, byte_range: Any) -> None:
        """Refuse what lies outside, is no plain file, or holds more than can be right."""
        parts = key.split("/")
        if ".." in parts or key.startswith("/"):
            raise InputDataError(f"part {key[:80]} of it lies elsewhere, which is not followed")
        if self._root is None:
            return
        path, size = self._root, 0
        for part in parts:
            path = path / part
            try:
                found = path.lstat()
            except (OSError, ValueError):
                return  # for zarr to say
            size = found.st_size
            if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
                raise InputDataError(
                    f"part {key[:80]} of it is a link or a device, which is not followed; copy the "
                    "store with what it links to (cp -rL)"
                )
        _require_size(key, size, byte_range)


def _require_size(key: str, size: int, byte_range: Any) -> None:
    if isinstance(byte_range, RangeByteRequest):
        if byte_range.end > size:
            raise InputDataError(f"part {key} of it holds {size} bytes, expected {byte_range.end}")
        size = byte_range.end - byte_range.start
    most = LARGEST_DOCUMENT if _is_document(key) else LARGEST_FILE
    if size > most and (byte_range is None or isinstance(byte_range, RangeByteRequest)):
        raise _too_large(key, size, most)


def _is_document(key: str) -> bool:
    return key.rpartition("/")[2] in _DOCUMENTS


def _too_large(key: str, size: int, most: int) -> InputDataError:
    return InputDataError(f"part {key[:80]} of it holds {size} bytes, expected at most {most}")
