"""Reaching what is not on this machine: GDAL's file systems for rasters, fsspec for the rest.

What GDAL does not read here (.mat, .npy, TIFF stacks, ENVI pairs) is fetched once into a temporary
folder. Sizes and times of remote files are read here too, and small files beside a scene are kept.
Every failure is one line without secrets.
"""

import errno
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hsisr.errors import (
    HsisrError,
    InputDataError,
    OutputExistsError,
    ResourceError,
    UsageError,
)
from hsisr.io.formats import package, zarr_package
from hsisr.io.paths import SERVERS, RemotePath, beside, without_secrets

_BUCKETS: Final = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl"}
"""What fsspec calls the stores without folders; their buckets are made by hand."""
_CONNECT_SECONDS: Final = 20
_SILENT_SECONDS: Final = 60


def gdal_name(path: RemotePath) -> str | None:
    """What GDAL calls a remote file; None if it has no file system for it.

    >>> gdal_name(RemotePath("s3://bucket/a.tif")), gdal_name(RemotePath("memory://a.tif"))
    ('/vsis3/bucket/a.tif', None)
    """
    if path.url.startswith("/vsi"):
        return path.url
    scheme, _, rest = path.url.partition("://")
    start = next((start for start, schemes in SERVERS.items() if scheme in schemes), None)
    if start is None:
        return None
    return start + (path.url if start == "/vsicurl/" else rest)


def gdal_options(path: RemotePath) -> dict[str, str]:
    """GDAL's configuration for reading it.

    Masks and other files beside a raster are asked for by name, without listing the folder. A name
    with a query has none: a server that ignores queries would answer with the raster itself.
    """
    return {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR" if "?" in path.url else "TRUE"}


def fetched(path: RemotePath, folder: Path) -> Path:
    """Fetch a file; returns its local path. Raises as `reaching` does, for an input."""
    local: Path = folder / path.name
    with reaching(path, InputDataError, "cannot be fetched") as (system, key):
        system.get_file(key, str(local))
    return local


def fetch_first(path: RemotePath, names: list[str], folder: Path) -> Path | None:
    """Fetch the first of these names in the folder of a remote file that is there.

    A refusal means absence, too: a store that may not be listed answers so of what it has not.
    """
    for name in names:
        try:
            return fetched(beside(path, name), folder)
        except InputDataError as error:
            (folder / name).unlink(missing_ok=True)  # ftp and sftp leave an empty file
            cause = error.__cause__
            hidden = isinstance(cause, (*_ABSENT, PermissionError))
            hidden |= str(cause).startswith(("550", "Forbidden"))  # as ftplib and gcsfs say it
            if not hidden and getattr(cause, "status", None) not in (401, 403):
                raise
    return None


@contextmanager
def temporary_copy() -> Iterator[Path]:
    """A folder that goes again only if an exception comes by; else its user removes it."""
    folder = Path(tempfile.mkdtemp(prefix="hsisr-"))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def zarr_store_of(path: RemotePath) -> Any:
    """A remote folder as a store of zarr's; InputDataError: its URL is signed, for one file."""
    if "?" in path.url:
        raise InputDataError(
            f"{path}: the URL has a query, which opens one file, and a Zarr store has many; copy "
            "the store here, or name its bucket (s3://, gs://, az://)"
        )

    zarr, url = zarr_package(), url_of(path)
    with reaching(path, InputDataError, "cannot be opened"):
        return zarr.storage.FsspecStore.from_url(
            url, storage_options=_storage_options(url), read_only=True
        )


def url_of(path: RemotePath) -> str:
    """The URL of a remote name, for fsspec; UsageError: only GDAL has its file system."""
    if not path.url.startswith("/vsi"):
        return path.url
    for start, schemes in SERVERS.items():
        if path.url.startswith(start):
            rest = path.url.removeprefix(start)
            return rest if start == "/vsicurl/" else f"{schemes[0]}://{rest}"
    raise UsageError(
        f"{path}: only rasters that GDAL reads (GeoTIFF, ...) can be read out of this file system; "
        "unpack or copy it first"
    )


def file_system(path: RemotePath) -> tuple[Any, str]:
    """The file system of fsspec that a remote name lies in, and its key there."""
    fsspec = package("fsspec", f"{path}: files that are not on this machine", "remote")
    url = url_of(path)
    system, key = fsspec.core.url_to_fs(url, **_storage_options(url))
    return system, str(key)


def _storage_options(url: str) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        return {}
    import aiohttp

    limits = aiohttp.ClientTimeout(
        total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENT_SECONDS
    )
    return {"client_kwargs": {"timeout": limits}, "encoded": "%" in url}


@contextmanager
def reaching(path: RemotePath, kind: type[HsisrError], what: str) -> Iterator[tuple[Any, str]]:
    """A file system and a key in it; what networks and clouds raise becomes one line.

    Args:
        path: What is reached for.
        kind: InputDataError for inputs, ResourceError for outputs.
        what: The failure, as the beginning of the line.

    Raises:
        HsisrError: Of that kind: it cannot be reached.
        UsageError: Nothing here serves such a name, only GDAL does, or a package is not installed.
    """
    try:
        yield file_system(path)
    except HsisrError:
        raise
    except FileNotFoundError as error:
        raise kind(f"{path}: {what}: there is no such file; check the name") from error
    except ImportError as error:
        words = without_secrets(str(error))
        raise UsageError(
            f"{path}: this kind of URL needs another package ({words}); "
            "pip install 'hsisr[remote]' serves https"
        ) from error
    except _foreign_errors() as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(
                f"{path}: {what}: no space left in {tempfile.gettempdir()}; free some, or let "
                "TMPDIR name another folder"
            ) from error
        raise kind(f"{path}: {what}: {reason(error)}; check the name and the network") from error


def network_errors() -> tuple[type[Exception], ...]:
    """What connections that fail raise; of packages' own errors only those that are loaded."""
    known = {
        "aiohttp": "ClientError",
        "ftplib": "Error",
        "botocore.exceptions": "BotoCoreError",
        "google.auth.exceptions": "GoogleAuthError",
        "azure.core.exceptions": "AzureError",
    }
    loaded = [getattr(sys.modules[m], name) for m, name in known.items() if m in sys.modules]
    return (ConnectionError, TimeoutError, *loaded)


def _foreign_errors() -> tuple[type[Exception], ...]:
    return (OSError, ValueError, RuntimeError, *network_errors())


def reason(error: BaseException) -> str:
    """Why, in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if (status := getattr(error, "status", None)) is not None:
        return f"the server answers {status}"
    if isinstance(error, ConnectionError) or type(error).__name__.startswith("ClientConnector"):
        return "no connection to the server"
    return without_secrets(str(error))[:160] or type(error).__name__


def refuse_unwritable(path: RemotePath) -> None:
    """Refuse, without asking anyone, a kind of name to which nothing can be written."""
    url = url_of(path)
    if url.startswith(("http://", "https://", "ftp://")):
        raise UsageError(
            f"{path}: outputs cannot be sent over {url.partition(':')[0]}; give a local name, or "
            "s3://, gs:// or az://"
        )


def require_writable(path: RemotePath, *, overwrite: bool) -> None:
    """Say early whether a remote output may be made.

    Raises:
        OutputExistsError: It is there, and `overwrite` is off.
        UsageError: Nothing can be written to this kind of name.
        ResourceError: It cannot be reached, or there is no such bucket.
    """
    refuse_unwritable(path)
    with reaching(path, ResourceError, "cannot be written") as (system, key):
        there = system.exists(key)
        if not there and _has_buckets(system):
            _require_bucket(path, system, key.partition("/")[0])
    if there and not overwrite:
        raise OutputExistsError(
            f"{path} exists and is kept; give another name, or --overwrite to replace it"
        )


def make_folder(system: Any, key: str) -> None:
    """Make the folder of a file, where there are folders; fsspec would make a bucket, too."""
    if not _has_buckets(system):
        system.makedirs(system._parent(key), exist_ok=True)  # noqa: SLF001 - fsspec's own way to say it


def _has_buckets(system: Any) -> bool:
    names = system.protocol
    return bool(_BUCKETS & {*((names,) if isinstance(names, str) else names)})


def _require_bucket(path: RemotePath, system: Any, bucket: str) -> None:
    """Who may only write into a bucket is not told whether it is there; sending will show."""
    try:
        system.info(bucket)
    except FileNotFoundError as error:
        raise ResourceError(
            f"{path}: cannot be written: there is no bucket {bucket}; check the name, or make it"
        ) from error
    except _foreign_errors():
        return


_TIMES: Final = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""What file systems of fsspec call the time of the last change."""
_ABSENT: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_MARK: Final = ".hsisr/{}.sending"
_LARGEST: Final = 2**26


def files_at(path: RemotePath) -> tuple[bool, dict[str, Mapping[str, Any]]]:
    """Whether a folder is there, and what is told of the file, or of all files in the folder.

    Raises as `reaching` does, for an input, as all that look at files here.
    """
    with reaching(path, InputDataError, "cannot be looked at") as (system, key):
        system.invalidate_cache()
        try:
            found = system.info(key)
        except _ABSENT:
            return False, {}
        if found["type"] != "directory":
            return False, {key: found}
        return True, dict(system.find(key, detail=True))


def remote_state(path: RemotePath) -> tuple[int, int] | None:
    """Bytes, and time of the last change in ns (0 where none is told); of a folder, of all in it.

    None where there is nothing.
    """
    files = files_at(path)[1].values()
    if not files:
        return None
    return sum(_bytes(file) for file in files), max(_changed(file) for file in files)


def read_beginning(path: RemotePath, most: int) -> bytes | None:
    """The first bytes of a file; None where there is none."""
    with reaching(path, InputDataError, "cannot be read") as (system, key):
        try:
            return bytes(system.cat_file(key, start=0, end=most))
        except _ABSENT:
            return None


def write_whole(path: RemotePath, content: bytes) -> None:
    """Write a small file, or replace it. Raises as `reaching` does, for an output."""
    with reaching(path, ResourceError, "cannot be written") as (system, key):
        make_folder(system, key)
        system.pipe_file(key, content)


def mark_sending(output: RemotePath, files: Mapping[str, int]) -> None:
    """Remember beside an output that it is being sent, for whoever finds the half of it."""
    write_whole(_mark(output), json.dumps(dict(files)).encode())


def unmark_sending(output: RemotePath) -> None:
    """The sending is over."""
    reached = reaching(_mark(output), ResourceError, "cannot be removed")
    with reached as (system, key), suppress(FileNotFoundError):
        system.rm_file(key)


def is_half_sent(output: RemotePath) -> bool:
    """True if nothing is there but a part of what was being sent when a run was killed."""
    try:
        wanted = json.loads(read_beginning(_mark(output), _LARGEST) or b"")
        expected = {str(name): int(size) for name, size in wanted.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False
    found = _found(output, expected)
    return len(found) < len(expected) and found.items() <= expected.items()


def _found(output: RemotePath, expected: Mapping[str, int]) -> dict[str, int]:
    """Bytes of all files of an output that are there, by their names beside it."""
    is_folder, inside = files_at(output)
    if is_folder:
        start = len(file_system(output)[1].strip("/"))
        return {output.name + name.strip("/")[start:]: _bytes(f) for name, f in inside.items()}
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
