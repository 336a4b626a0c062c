"""Scenes written to remote names: made here, whole, then sent.

Object stores show an object only when all of it has come, so a file appears whole or not at all.
Of a pair, and of a Zarr store, the part that makes the others readable goes last, and a mark beside
them, gone when all is there, tells the half of one from somebody's files.
"""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.errors import HsisrError, ResourceError, UsageError
from hsisr.io.base import SceneWriter
from hsisr.io.paths import RemotePath, beside
from hsisr.io.products.positions import SUFFIX as POSITIONS
from hsisr.io.remote.files import is_half_sent, mark_sending, unmark_sending
from hsisr.io.remote.transport import (
    file_system,
    make_folder,
    reaching,
    require_writable,
    temporary_copy,
)
from hsisr.io.zarr.store import MARKS

_LAST = (".hdr", ".zgroup", ".zmetadata")


class RemoteWriter(SceneWriter):
    """Wraps the writer of a local file.

    Args:
        path: The target.
        make: Begins a local file of the path given.
        overwrite: Replace what is there.

    Raises:
        OutputExistsError: The target is there, and `overwrite` is off.
        ResourceError: It cannot be reached, or there is no room here.
    """

    def __init__(
        self, path: RemotePath, make: Callable[[Path], SceneWriter], *, overwrite: bool
    ) -> None:
        require_writable(path, overwrite=overwrite)
        self.path, self._remote, self._overwrite = path, path, overwrite
        with temporary_copy() as folder:
            self._folder = folder
            self._writer = make(folder / path.name)
        self.metadata = self._writer.metadata
        self.block_rows, self.block_cols = self._writer.block_rows, self._writer.block_cols

    def write(
        self,
        numbers: npt.NDArray[Any],
        *,
        row: int,
        col: int,
        band: int,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Write stored numbers, shape (bands, rows, cols), at a 0-based place."""
        self._writer.write(numbers, row=row, col=col, band=band, mask=mask)

    def commit(self) -> Path:
        """Finish here, then send; returns the target."""
        try:
            self._writer.commit()
            require_writable(self._remote, overwrite=self._overwrite)
            self._send()
        finally:
            self.discard()
        return self.path

    def discard(self) -> None:
        """Remove everything written so far; after `commit` it does nothing."""
        self._writer.discard()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _send(self) -> None:
        files = sorted(
            (file for file in self._folder.rglob("*") if file.is_file()),
            key=lambda f: (f.name.endswith(_LAST), not f.name.endswith(POSITIONS), str(f)),
        )
        names = {file.relative_to(self._folder).as_posix(): file for file in files}
        with reaching(self._remote, ResourceError, "cannot be sent"):
            system, key = file_system(self._remote)
            self._make_way(system, key)
            if len(names) > 1:
                mark_sending(self._remote, {n: f.stat().st_size for n, f in names.items()})
                self._remove_header(system, list(names)[-1])
            self._send_all(system, names)
        if len(names) > 1:
            unmark_sending(self._remote)

    def _send_all(self, system: Any, names: Mapping[str, Path]) -> None:
        """Send files, the one that makes the others readable last, or none."""
        sent: list[str] = []
        try:
            for name, file in names.items():
                place = file_system(beside(self._remote, name))[1]
                make_folder(system, place)
                system.put_file(str(file), place)
                sent.append(place)
        except BaseException:
            with suppress(OSError, HsisrError):
                for place in sent:
                    system.rm_file(place)
                unmark_sending(self._remote)
            raise

    def _remove_header(self, system: Any, name: str) -> None:
        """Let no old header describe new data, should this be the last that happens."""
        place = file_system(beside(self._remote, name))[1]
        if system.exists(place):
            system.rm_file(place)

    def _make_way(self, system: Any, key: str) -> None:
        """Remove an old store, whose parts would else mix with the new ones."""
        if not system.isdir(key):
            return
        store = any(system.exists(f"{key}/{mark}") for mark in MARKS)
        if not store and not is_half_sent(self._remote):
            raise UsageError(f"{self.path} is a folder and no Zarr store; give another name")
        system.rm(key, recursive=True)
