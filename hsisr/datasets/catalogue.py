"""Public scenes by name: where they are, what they hold, whose they are; and on the disk.

pooch downloads them and keeps the cache: a file appears there when it is whole and what the
catalogue says of its size and git identity is true.
"""

import hashlib
import os
import shutil
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec
import pooch
import requests

from hsisr.errors import HsisrError, InputDataError, ResourceError, UsageError, did_you_mean
from hsisr.io.open import find_scenes


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file to download, and how to know that it is the right one."""

    name: str
    """In the cache."""
    urls: tuple[str, ...]
    """Tried in this order."""
    size: int | None = None
    """Bytes, where known."""
    git_blob: str | None = None
    """Identity as git counts it: sha1 of `blob <size>\\0` and the bytes; where known."""
    archive: bool = False
    """A zip file of scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A public scene, or a set of scenes."""

    name: str
    title: str
    file: RemoteFile
    shape: tuple[int, int, int] | None = None
    """(bands, rows, cols) of a single scene; checked after reading where known."""
    variable: str | None = None
    """Of a .mat file."""
    axes: str | None = None
    """Axis order of the file, if it is not to be guessed."""
    citation: str
    terms: str
    photographs: bool = False
    """Colour photographs, from which recipes take spatial detail alone."""
    skip: tuple[str, ...] = ()
    """Members of an archive that are left out, by part of their path."""


def _datasets() -> dict[str, Dataset]:
    tables = tomllib.loads((files("hsisr.datasets") / "catalogue.toml").read_text("utf-8"))
    return {
        name: msgspec.convert({"name": name, **table}, Dataset) for name, table in tables.items()
    }


DATASETS: Final = _datasets()
"""Name -> dataset."""


def dataset_named(name: str) -> Dataset:
    """A dataset by its name; UsageError: there is none of that name.

    >>> dataset_named("paviau").shape
    (103, 610, 340)
    """
    if (entry := DATASETS.get(name.lower())) is None:
        hint = did_you_mean(name.lower(), DATASETS)
        raise UsageError(f"no dataset {name!r}; {hint}known: {', '.join(sorted(DATASETS))}")
    return entry


Progress = Callable[[int, int | None], None]
"""Called with the bytes there and the bytes in all, where the server says so."""

_CHUNK: Final = 1 << 20
_TIMEOUT_S: Final = 30
_MOST_UNPACKED: Final = 4 << 30
"""The CAVE set takes 0.5 GB; more than this is no set of ours."""


def data_folder(chosen: Path | None) -> Path:
    """Where datasets lie: as chosen, else as HSISR_DATA says, else the user's cache."""
    return chosen or Path(os.environ.get("HSISR_DATA") or pooch.os_cache("hsisr"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """How to get files."""

    folder: Path
    offline: bool = False
    """Take what is there, download nothing."""
    progress: Progress | None = None


def dataset_scenes(dataset: Dataset, fetching: Fetching) -> list[Path]:
    """The scene files of a dataset on this disk, downloaded if need be.

    Raises:
        InputDataError: A file is not what the catalogue says.
        ResourceError: It cannot be downloaded or written; the message says how to supply it.
    """
    path = fetched(dataset, fetching)
    if not dataset.file.archive:
        return [path]
    folder = _unpacked(path, dataset)
    scenes = [scene for scene in _scenes_below(folder) if not _skipped(scene, dataset)]
    if not scenes:
        raise InputDataError(
            f"{path}: found no scene in this archive, expected those of {dataset.title}; remove "
            "the file to download it again"
        )
    return scenes


def fetched(dataset: Dataset, fetching: Fetching) -> Path:
    """The file of a dataset on this disk, verified; raises as `dataset_scenes` does."""
    path = fetching.folder / dataset.file.name
    if path.exists():
        verify(path, dataset.file)
        return path
    by_hand = (
        f"get {dataset.file.urls[0]} by hand and put it at {path}, or name its folder with "
        "--data-dir or HSISR_DATA"
    )
    if fetching.offline:
        raise ResourceError(
            f"{dataset.name}: found no {path}, and --offline forbids to get it; {by_hand}"
        )
    complaints = []
    for url in dataset.file.urls:
        try:
            return _download(url, dataset.file, fetching)
        except (requests.RequestException, HsisrError, OSError, ValueError) as error:
            complaints.append(f"{url}: {_short(error)}")
    raise ResourceError(
        f"{dataset.name}: cannot be downloaded ({'; '.join(complaints)}); {by_hand}"
    )


def verify(path: Path, file: RemoteFile) -> None:
    """Refuse a file of another size or identity than the catalogue says, by an InputDataError."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise InputDataError(
            f"{path}: found {size} bytes, expected {file.size}; it is broken or another version: "
            "remove it to download it again"
        )
    if file.git_blob is not None and (found := git_blob(path)) != file.git_blob:
        raise InputDataError(
            f"{path}: found git identity {found[:12]}..., expected {file.git_blob[:12]}...; it is "
            "broken or another version: remove it to download it again"
        )


def git_blob(path: Path) -> str:
    """Identity of a file as git counts it.

    The hash is git's, whose SHA-1 is not a choice of ours; it tells files apart, it guards nothing.
    """
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _download(url: str, file: RemoteFile, fetching: Fetching) -> Path:
    """Get, verify, and only then give the file its name."""
    pooch.get_logger().setLevel("WARNING")  # what it would say is the command's to say
    bar = _Bar(fetching.progress) if fetching.progress else False
    transport = pooch.HTTPDownloader(progressbar=bar, chunk_size=_CHUNK, timeout=_TIMEOUT_S)

    def downloader(url: str, output: str, manager: Any) -> None:
        transport(url, output, manager)
        verify(Path(output), file)

    try:
        found = pooch.retrieve(
            url, known_hash=None, fname=file.name, path=fetching.folder, downloader=downloader
        )
    except PermissionError as error:
        raise ResourceError(
            f"{fetching.folder}: cannot be written to ({error.strerror}); choose --data-dir"
        ) from error
    return Path(found)


class _Bar:
    """What pooch tells of its bytes, told on."""

    total = 0

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done = progress, 0

    def update(self, count: int) -> None:
        """So many bytes more; pooch counts the last chunk as a whole one."""
        self._done += count
        if not self.total or self._done <= self.total:
            self._progress(self._done, self.total or None)

    def reset(self) -> None:
        """Count anew."""
        self._done = 0

    def close(self) -> None:
        """Nothing is left to say."""


def _unpacked(path: Path, dataset: Dataset) -> Path:
    """The archive's members beside it, unpacked once, whole or not at all."""
    folder = path.with_suffix("")
    if folder.is_dir():
        return folder
    beside = path.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not _skipped(m.filename, dataset)]
            if sum(m.file_size for m in members) > _MOST_UNPACKED:
                raise InputDataError(f"{path}: would unpack to more than {_MOST_UNPACKED} bytes")
            if any(".." in PurePosixPath(m.filename).parts for m in members):
                raise InputDataError(f"{path}: names files outside its own folder")
            beside.mkdir()
            archive.extractall(beside, [m.filename for m in members])
        beside.replace(folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise InputDataError(
            f"{path}: not a whole zip file ({error}); remove it to download it again"
        ) from error
    except OSError as error:
        raise ResourceError(f"{folder}: cannot be unpacked ({error.strerror})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _scenes_below(folder: Path) -> list[Path]:
    """Scenes in a folder and in its folders; band folders are scenes."""
    found = find_scenes(folder)
    if found:
        return found
    inside = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    return [scene for entry in inside for scene in _scenes_below(entry)]


def _skipped(path: object, dataset: Dataset) -> bool:
    return any(part in str(path) for part in dataset.skip)


def _short(error: Exception) -> str:
    """One line, without the retries and addresses that requests wraps around a cause."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server says {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer for {_TIMEOUT_S} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off; run the command again"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return " ".join(str(error).split())
