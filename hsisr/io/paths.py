"""Names of files: what the user calls a scene, and what lies beside it.

A scene is a local path, a URL, or a name in one of GDAL's file systems.

A remote name travels through the program as a `RemotePath`, which looks like any other path and
shows itself without secrets, so that no message and no tag can leak one; only the room that opens
it (`hsisr.io.remote.transport`) asks for the whole name.
"""

import re
import sys
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from hsisr.errors import UsageError

if TYPE_CHECKING:
    _Base = Path
else:
    _Base = type(Path())  # the class of paths of this system, which is the one to be inherited from

_SCHEME: Final = re.compile(r"^([A-Za-z][A-Za-z0-9+.]+):/(/?)")
"""Of a URL; one slash is what is left of two once a path has been made of it. Drive letters, which
have one character, are none."""
_KNOWN_ONCE_COLLAPSED: Final = ("http", "https", "s3", "gs", "az", "abfs", "memory", "ftp", "file")
_FILE_SYSTEM: Final = re.compile(
    r"^/vsi(7z|adls|az|cached|crypt|curl|gs|gzip|hdfs|mem|oss|rar|s3|sparse|subfile|swift|tar|"
    r"webhdfs|zip)(_streaming)?[/?]"
)
_USER: Final = re.compile(r"(?<=:/)(/?)[^/@\s]*@")
_QUERY: Final = re.compile(r"[?#][^\s'\"}|]*")

SERVERS: Final = {
    "/vsicurl/": ("http", "https", "ftp"),
    "/vsis3/": ("s3",),
    "/vsigs/": ("gs", "gcs"),
    "/vsiaz/": ("az", "abfs"),
}
"""GDAL's file systems of servers and object stores, and the schemes of URLs that lie in each."""
POSITIONS: Final = ".lonlat.tif"
"""End of the name of a file with the longitude and latitude of the pixels of an output."""


class RemotePath(_Base):
    """A remote name, made of the whole; `str()` gives it without user, password and query."""

    url: str = ""
    """The whole name, secrets included; empty for what is derived from a remote path."""

    def __new__(cls, url: str) -> Self:  # noqa: D102
        return super().__new__(cls, without_secrets(url))

    def __init__(self, url: str) -> None:
        if sys.version_info >= (3, 12):
            super().__init__(without_secrets(url))
        self.url = url

    def with_segments(self, *segments: Any) -> Path:
        """What is derived from a remote path is a plain one (Python 3.12 and later)."""
        return Path(*segments)

    def __str__(self) -> str:
        return without_secrets(self.url) if self.url else super().__str__()

    def __truediv__(self, name: Any) -> "RemotePath":
        return beside(self, f"{self.name}/{name}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemotePath):
            return False
        if not self.url and not other.url:  # derived from remote paths (before Python 3.12)
            return super().__eq__(other)
        return self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url) if self.url else super().__hash__()

    def __reduce__(self) -> tuple[Any, ...]:
        return RemotePath, (self.url,)


def scene_path(name: str | Path) -> Path:
    """The path that a name given by the user stands for; `.` and `..` by the folder's name.

    >>> scene_path("a/b.tif").name, str(scene_path("https://me:pass@host/b.tif?sig=1"))
    ('b.tif', 'https://host/b.tif')
    >>> scene_path("file:///data/b%20c.tif").as_posix()
    '/data/b c.tif'
    """
    if isinstance(name, RemotePath):
        return name
    if not isinstance(name, (str, PurePath)):
        raise UsageError(f"found {type(name).__name__} {name!r}, expected the name of a scene")
    text = str(name)
    if _FILE_SYSTEM.match(text):
        # both slashes of a URL inside a name from which a path was made
        return RemotePath(re.sub(r"\b(https?|ftp):/(?=[^/])", r"\1://", text))
    found = _SCHEME.match(text)
    if found is None or not (found[2] or found[1].lower() in _KNOWN_ONCE_COLLAPSED):
        path = Path(name)
        return path if path.name.strip(".") else path.resolve()
    url = f"{found[1].lower()}://{text[found.end() :]}"
    if found[1].lower() == "file":
        place = urlsplit(url).path
        return Path(url2pathname(unquote(place) if sys.platform != "win32" else place))
    return RemotePath(url)


def is_utf8(path: Path) -> bool:
    r"""False for a name with bytes that are none, which GDAL, HDF5 and JSON cannot take.

    >>> is_utf8(Path("a.tif")), is_utf8(Path("b\udcff.tif"))
    (True, False)
    """
    return not any("\ud800" <= letter <= "\udfff" for letter in str(path))


def beside(path: RemotePath, name: str) -> RemotePath:
    """Another name in the same folder; a query, which may hold the key to it, stays.

    >>> beside(RemotePath("https://h/a/b.hdr?sig=1"), "b.img").url
    'https://h/a/b.img?sig=1'
    """
    place = _QUERY.search(path.url)
    end = place.start() if place else len(path.url)
    folder = path.url[:end].rstrip("/").rpartition("/")[0]
    return RemotePath(f"{folder}/{name}{path.url[end:]}")


def sibling(path: Path, name: str) -> Path:
    """Another name in the same folder, on whatever machine that is."""
    return beside(path, name) if isinstance(path, RemotePath) else path.with_name(name)


def folder_of(scene: Path) -> Path:
    """Where outputs of a scene lie unless something else is said; of a remote one, here."""
    return Path() if isinstance(scene, RemotePath) else scene.parent


def without_secrets(text: str) -> str:
    """A text in which no URL has a user, a password or a query any more.

    >>> without_secrets("'/vsicurl/https://me:pass@host/a.tif?X-Amz-Signature=1' not found")
    "'/vsicurl/https://host/a.tif' not found"
    """
    if "://" not in text and "/vsi" not in text:
        return text
    return _QUERY.sub("", _USER.sub(r"\1", text))


def is_item_name(path: Path) -> bool:
    """True for what is read as a STAC Item and not as a scene."""
    return path.suffix.lower() == ".json"


_HEADER_START: Final = 2**16


def header_beside(data: Path) -> Path | None:
    """The header of a data file: `x.img.hdr`, or `x.hdr` for `x.img`, in any case of letters.

    One that begins as ENVI's do is preferred.
    """
    beside = (file_named(data.parent, f"{name}.hdr") for name in (data.name, data.stem))
    found = [header for header in beside if header is not None]
    return next(filter(is_envi_header, found), found[0] if found else None)


def is_envi_header(header: Path) -> bool:
    """True if a file begins as ENVI headers do."""
    return begins_as_envi(header_start(header))


def begins_as_envi(raw: bytes) -> bool:
    """True for the content of a file that begins as ENVI headers do."""
    return raw.removeprefix(b"\xef\xbb\xbf").startswith(b"ENVI")


def header_start(path: Path) -> bytes:
    """What tells the kind of a header and the size of its data; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_HEADER_START)
    except OSError:
        return b""


def file_named(folder: Path, name: str) -> Path | None:
    """The file of that name; letters may differ by case."""
    if (folder / name).is_file():
        return folder / name
    like = (file for file in folder.iterdir() if file.name.lower() == name.lower())
    return next((file for file in like if file.is_file()), None)
