"""Scenes with remote names: read where they lie if GDAL or zarr can, else fetched; sent when whole.

Object stores show an object only when all of it has come, so a file appears whole or not at all.
Of a pair, and of a Zarr store, the part that makes the others readable goes last, and a mark beside
them, gone when all is there, tells the half of one from somebody's files.

What a server tells of files is kept, so that one that changes is noticed: sizes and what changes
with the content, the ETag, else the time of the last change. A server that tells none of these, or
does not answer, leaves the name alone.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import HsisrError, InputDataError, ResourceError, UsageError
from hsisr.io.base import Scene, SceneWriter
from hsisr.io.envi.files import DATA_SUFFIXES
from hsisr.io.formats import SIDECARS, ZARR_MARKS, format_by_suffix, is_format_name
from hsisr.io.geotiff.reader import RasterScene, opened_raster
from hsisr.io.paths import POSITIONS, SERVERS, RemotePath, beside
from hsisr.io.remote.transport import (
    fetch_first,
    fetched,
    file_system,
    files_at,
    gdal_name,
    gdal_options,
    is_half_sent,
    make_folder,
    mark_sending,
    reaching,
    require_writable,
    temporary_copy,
    unmark_sending,
    zarr_store_of,
)
from hsisr.io.views import DelegatingScene
from hsisr.tiling import Window


class FetchedScene(DelegatingScene):
    """A scene read from a copy that goes when the scene is closed."""

    def __init__(self, path: RemotePath, scene: Scene, folder: Path) -> None:
        super().__init__(scene)
        self.path, self._remote, self._folder = path, path, folder

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        with named_as(self._remote, self._folder):
            return self._scene.read_stored(window, bands)

    def read_mask(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """See `Scene.read_mask`."""
        with named_as(self._remote, self._folder):
            return self._scene.read_mask(window)

    def close(self) -> None:
        """See `Scene.close`."""
        super().close()
        shutil.rmtree(self._folder, ignore_errors=True)


def open_remote(
    path: RemotePath,
    open_local: Callable[[Path, str | None, str | None], Scene],
    *,
    variable: str | None,
    axes: str | None,
) -> Scene:
    """Open a remote scene; `open_local` opens a file of this machine, with variable and axes.

    Raises:
        InputDataError: It is not there, cannot be reached, or is no scene.
        UsageError: `variable` or `axes` does not fit, or a package is not installed.
    """
    row = format_by_suffix(path)
    kind = row.name if row else ""
    if kind == "Zarr":
        from hsisr.io.zarr.reader import open_zarr

        return open_zarr(path, variable=variable, axes=axes, source=zarr_store_of(path))
    name = gdal_name(path)
    read_in_place = row is None or row.drivers or kind == "ENVI"
    if name is not None and read_in_place and path.suffix.lower() != ".hdr":
        raster = _raster(path, name, kind, variable or axes)
        if raster is not None:
            return raster
    with temporary_copy() as folder, named_as(path, folder):
        local = _copy(path, folder, sidecars=bool(read_in_place))
        return FetchedScene(path, open_local(local, variable, axes), folder)


def _raster(path: RemotePath, name: str, kind: str, array_option: str | None) -> RasterScene | None:
    """What GDAL reads where it lies; None for what may be a TIFF stack, or belongs to a header.

    One band may be the first page of many; GDAL cannot tell.
    """
    if path.suffix.lower() in DATA_SUFFIXES and not path.url.startswith("/vsi"):
        return None
    if array_option is not None:
        raise UsageError(f"{array_option} names a variable or axes, which this kind of file lacks")
    scene = opened_raster(path, name, gdal_options(path))
    in_archive = path.url.startswith("/vsi") and not path.url.startswith(tuple(SERVERS))
    if scene.metadata.bands > 1 or kind != "GTiff" or in_archive:  # which only GDAL can reach
        scene.warn_of_further_images()
        return scene
    scene.close()
    return None


def other_halves(path: RemotePath) -> list[str]:
    """Names beside a file that its other half may have; none where it needs no other.

    >>> other_halves(RemotePath("https://h/a.img"))
    ['a.img.hdr', 'a.hdr']
    """
    suffix = path.suffix.lower()
    if suffix == ".hdr":
        names = [path.stem + end for end in DATA_SUFFIXES]
        # x.img.hdr
        return [path.stem, *names] if path.stem.lower().endswith(DATA_SUFFIXES[1:]) else names
    return [f"{path.name}.hdr", f"{path.stem}.hdr"] if suffix in DATA_SUFFIXES else []


def _copy(path: RemotePath, folder: Path, *, sidecars: bool) -> Path:
    """Fetch all files of a scene, what GDAL keeps beside it too; returns the one named."""
    local = fetched(path, folder)
    names = other_halves(path)
    found = fetch_first(path, names, folder) if names else None
    if path.suffix.lower() == ".hdr" and found is None:
        raise InputDataError(
            f"found no data file beside the header, expected {path.stem} with one of the "
            f"suffixes (none) {' '.join(DATA_SUFFIXES[1:])}"
        )
    data = found if found and path.suffix.lower() == ".hdr" else local
    for suffix in (".aux.xml", ".msk") if sidecars else ():
        fetch_first(path, [data.name + suffix], folder)
    return local


@contextmanager
def named_as(path: RemotePath, folder: Path) -> Iterator[None]:
    """Let errors speak of the remote name, not of the copy."""
    try:
        yield
    except HsisrError as error:
        words = str(error).replace(str(folder / path.name), str(path))
        raise type(error)(words.replace(f"{folder}/", "")) from error


_LAST = (".hdr", ".zgroup", ".zmetadata")


class RemoteWriter(SceneWriter):
    """Wraps the writer of a local file; raises as `require_writable` and that writer do."""

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

    def write(self, numbers: npt.NDArray[Any], **place: Any) -> None:
        """See `SceneWriter.write`."""
        self._writer.write(numbers, **place)

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
        with reaching(self._remote, ResourceError, "cannot be sent") as (system, key):
            self._make_way(system, key, names)
            if len(names) > 1:
                mark_sending(self._remote, {n: f.stat().st_size for n, f in names.items()})
                header = file_system(beside(self._remote, list(names)[-1]))[1]
                if system.exists(header):  # let no old one describe new data, should sending fail
                    system.rm_file(header)
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

    def _make_way(self, system: Any, key: str, names: Mapping[str, Path]) -> None:
        """Remove an old store, or old sidecars, which would else be read as parts of the new."""
        beside_files = {name + end for name in names if "/" not in name for end in SIDECARS}
        for name in beside_files - names.keys() if self._overwrite else ():
            old = file_system(beside(self._remote, name))[1]
            if system.exists(old):
                system.rm_file(old)
        if not system.isdir(key):
            return
        store = any(system.exists(f"{key}/{mark}") for mark in ZARR_MARKS)
        if not store and not is_half_sent(self._remote):
            raise UsageError(f"{self.path} is a folder and no Zarr store; give another name")
        system.rm(key, recursive=True)


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
    halves = (beside(path, name) for name in other_halves(path))
    half = next(([(half, told)] for half in halves if (told := _told(half))), [])
    parts = [(path, whole), *half, *((file, told) for file in files if (told := _told(file)))]
    return [[str(part), *told] for part, told in parts]


def _told(path: RemotePath, *, folder: bool = False) -> Fingerprint:
    """Of a file; of a folder with `folder` only, and then of all its files together."""
    try:
        is_folder, files = files_at(path)
    except HsisrError:
        return []
    states = [(name, *_state(file)) for name, file in sorted(files.items())]
    if is_folder != folder or not (files or folder):
        return []
    if not folder:
        (_, size, mark) = states[0]
        return [size, mark] if mark or size >= 0 else []
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
