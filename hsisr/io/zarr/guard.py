"""What a Zarr store may read of its own folder: plain files in it.

A link, a pipe or a device among the files of a store would show another file, or have no end; a
folder that links to itself has no end either.
"""

import logging
import stat
from pathlib import Path
from typing import Any

from zarr.storage import WrapperStore

from hsisr.errors import InputDataError

# When a member of a group cannot be read, zarr raises; of the others asyncio would tell, too.
logging.getLogger("asyncio").addFilter(lambda said: "_getitem_semaphore" not in said.getMessage())


class GuardedStore(WrapperStore[Any]):
    """A store of which only plain files are read; what is not there is remembered."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.missing: str | None = None
        """The last key that was not found."""
        root = getattr(store, "root", None)
        self._root = root if isinstance(root, Path) else None

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """The bytes of a file, or of a part of it; None if it is not there.

        Raises:
            InputDataError: It is no file of the store.
        """
        self._require_own(key)
        found = await super().get(key, prototype, byte_range)
        if found is None:
            self.missing = key
        return found

    def _require_own(self, key: str) -> None:
        """Refuse what lies outside or is no plain file."""
        parts = key.split("/")
        if ".." in parts or key.startswith("/"):
            raise InputDataError(f"part {key[:80]} of it lies elsewhere, which is not followed")
        path = self._root
        for part in parts if path is not None else ():
            path = path / part  # type: ignore[operator]  # not None in the loop
            try:
                mode = path.lstat().st_mode
            except (OSError, ValueError):
                return  # for zarr to say
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise InputDataError(
                    f"part {key[:80]} of it is a link or a device, which is not followed; copy the "
                    "store with what it links to (cp -rL)"
                )
