"""The files that a scene consists of: which they are, how they stand, whether they are whole."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tifffile import TiffFile

from hsisr.errors import InputDataError
from hsisr.io.envi.files import DATA_SUFFIXES, is_envi_header
from hsisr.io.formats import SIDECARS, format_by_suffix, is_format_name
from hsisr.io.geotiff.pages import DAMAGED
from hsisr.io.open import open_scene
from hsisr.io.paths import RemotePath
from hsisr.tiling.windows import Window

_HEAD: Final = 256


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it stands now; a folder counts as the sum of its files."""

    name: str
    """Without its folder, so that whole archives may move."""
    bytes: int
    mtime_ns: int
    """Time of the last change, in nanoseconds; of a folder, the latest in it."""


def states(paths: Iterable[Path]) -> tuple[FileState, ...]:
    """How files stand; those that are not there are left out.

    Raises:
        InputDataError: The system does not tell.
    """
    return tuple(state for path in paths if (state := _state(path)) is not None)


def head_of(path: Path) -> str:
    """The first bytes of a file in hexadecimal digits; empty for a folder or what is not there.

    A file that was broken off still begins as the whole one did.

    Raises:
        InputDataError: It is remote, and cannot be reached.
    """
    if isinstance(path, RemotePath):
        from hsisr.io.remote.files import read_beginning

        return (read_beginning(path, _HEAD) or b"").hex()
    try:
        with path.open("rb") as file:
            return file.read(_HEAD).hex()
    except OSError:
        return ""


def scene_files(path: Path) -> tuple[Path, ...]:
    """What a scene is read from: the file, an ENVI header or data file beside it, its sidecars.

    >>> [p.name for p in scene_files(Path("nowhere/a.tif"))]
    ['a.tif']
    """
    row = format_by_suffix(path)
    if path.suffix.lower() == ".hdr":
        halves = [path.with_name(path.stem + suffix) for suffix in _cases(DATA_SUFFIXES)]
    elif (row is not None and row.name not in ("ENVI", "GTiff")) or path.is_dir():
        halves = []
    else:  # folders of archives are long, so ask for names instead of listing them
        stems = (path.name, path.stem)
        halves = [path.with_name(stem + end) for stem in stems for end in (".hdr", ".HDR")]
        halves = [half for half in halves if row is None or is_envi_header(half)]
    halves = list(dict.fromkeys(half for half in halves if half.is_file()))
    sidecars = (
        part.with_name(part.name + suffix) for part in (path, *halves) for suffix in SIDECARS
    )
    return (path, *halves, *(sidecar for sidecar in sidecars if sidecar.is_file()))


def scene_identity(path: Path) -> list[list[str | int]]:
    """Name, bytes and time of change of every file of a scene; `has_changed` compares them.

    Of remote files, what their server tells; see `remote_identity`.

    Raises:
        InputDataError: There is no such file.
    """
    if isinstance(path, RemotePath):
        from hsisr.io.remote.scene import remote_identity

        return remote_identity(path)
    if not (found := states(scene_files(path))):
        raise InputDataError(f"{path}: cannot be read (no such file)")
    return [[state.name, state.bytes, state.mtime_ns] for state in found]


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


def require_whole(path: Path) -> None:
    """Check that a scene file was not broken off.

    It has to open, and the last pixel of the last band has to be readable. Every block that a TIFF
    of this machine names has to lie inside the file, and no chunk that a Zarr store had may lack.

    Raises:
        InputDataError: It is not whole, or no scene.
    """
    with closing(open_scene(path)) as scene:
        bands, rows, cols = scene.metadata.shape
        scene.read_stored(Window(rows - 1, cols - 1, 1, 1), [bands - 1])
    if is_format_name(path, "Zarr"):
        from hsisr.io.remote.transport import zarr_store_of
        from hsisr.io.zarr.store import OpenStore

        with closing(OpenStore(zarr_store_of(path) if isinstance(path, RemotePath) else path)) as s:
            s.require_all_chunks()
    elif is_format_name(path, "GTiff") and not isinstance(path, RemotePath):
        _require_blocks(path)


def _require_blocks(path: Path) -> None:
    try:
        size = path.stat().st_size
        with TiffFile(path) as tiff:
            end = max(
                start + count
                for page in tiff.pages
                for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)
            )
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        raise InputDataError(f"{path}: cannot be read as TIFF ({reason})") from error
    if end > size:
        raise InputDataError(f"{path}: its blocks end at byte {end}, but it holds {size}")


def _state(path: Path) -> FileState | None:
    if isinstance(path, RemotePath):
        from hsisr.io.remote.files import remote_state

        known = remote_state(path)
        return None if known is None else FileState(path.name, *known)
    try:
        found = [entry.stat() for entry in (_inside(path) if path.is_dir() else [path])]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputDataError(f"{path}: cannot be looked at ({error.strerror})") from error
    newest = max((entry.st_mtime_ns for entry in found), default=0)
    return FileState(path.name, sum(entry.st_size for entry in found), newest)


def _inside(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names)


def _cases(suffixes: Iterable[str]) -> Iterator[str]:
    for suffix in suffixes:
        yield from dict.fromkeys((suffix, suffix.upper()))
