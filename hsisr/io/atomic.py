"""Whole or nothing: files grow in a folder beside their target and are renamed into place.

The folder is hidden, named after the target, and ends in `.part`; it lies on the target's file
system, so that a rename is one step. Who has to be alone with a target, or in a folder, locks it.
"""

import errno
import glob
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hsisr.errors import HsisrError, OutputExistsError, ResourceError, UsageError
from hsisr.io.paths import is_utf8

if TYPE_CHECKING:
    from filelock import FileLock

_PART = ".part"
_REPLACED = "replaced"
_TRIES = 10
_LONGEST = 180
"""Bytes of the target's name that go into the names of hidden files and folders beside it."""
_REASONS = {
    errno.ENOSPC: "no space left on the device; free some, or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space, or write elsewhere",
    errno.EFBIG: "the file would be larger than this system allows; raise the limit, or write "
    "elsewhere",
    errno.EACCES: "no permission to write there; choose another folder",
    errno.EPERM: "no permission to write there; choose another folder",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOENT: "its folder does not exist; create it first",
    errno.ENOTDIR: "what should be its folder is a file; choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


@contextmanager
def resource_errors(target: Path) -> Iterator[None]:
    """Turn what the system refuses into one line that names the target.

    Raises:
        ResourceError: The system refused to create, write or rename a file.
    """
    try:
        yield
    except HsisrError:
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        if error.errno == errno.ENOENT and target.parent.is_dir():
            reason = "its folder takes no new files; choose another folder"
        raise ResourceError(f"cannot write {target}: {reason}") from error


def require_room(folder: Path, target: Path, needed: int, size: int = 0) -> None:
    """Refuse before so many bytes are written to `target`, which has `size` in that folder.

    Raises:
        ResourceError: There is less space, or a lower limit on file sizes.
    """
    with resource_errors(target):
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"cannot write {target}: no space left on the device, {needed} bytes needed and "
            f"{free} free; free some, or write elsewhere"
        )
    limit = _file_size_limit()
    if limit is not None and size + needed > limit:
        raise ResourceError(
            f"cannot write {target}: the file would reach {size + needed} bytes, larger than the "
            f"{limit} that this system allows; raise the limit (ulimit -f), or write elsewhere"
        )


def _file_size_limit() -> int | None:
    """The largest file this process may write; None: any."""
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows has no such limits
        return None
    soft = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if soft == resource.RLIM_INFINITY else int(soft)


def no_folder(path: Path) -> bool:  # noqa: ARG001
    """For `replaceable`: folders are never replaced."""
    return False


def refuse_existing(
    targets: Sequence[Path],
    *,
    overwrite: bool,
    replaceable: Callable[[Path], bool] = no_folder,
) -> None:
    """Check that files may be made under these names, or replaced with `overwrite`.

    `replaceable` is True for a folder that is such an output itself, as a Zarr store is.

    Raises:
        OutputExistsError: One is there, and `overwrite` is off.
        UsageError: One is a folder, and not such an output; or a name is not UTF-8.
        ResourceError: The folder does not exist or cannot be written.
    """
    for target in targets:
        if not is_utf8(target):
            raise UsageError(f"{target}: the name is not UTF-8, which GDAL expects; give another")
        with resource_errors(target):
            found = os.path.lexists(target)
            if target.is_dir() and not replaceable(target):
                raise UsageError(f"{target} is a folder; give the output a file name")
            if not stat.S_ISDIR(target.parent.stat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "not a folder")
            if not os.access(target.parent, os.W_OK):
                raise PermissionError(errno.EACCES, "not writable")
        if found and not overwrite:
            raise OutputExistsError(
                f"{target} exists and is kept; give another name, or --overwrite to replace it"
            )


def short_name(name: str) -> str:
    """A name, or the first part and a hash of a long one, for names made from it.

    >>> short_name("a.tif"), len(short_name("a" * 250)), short_name("a" * 250)[:3]
    ('a.tif', 173, 'aaa')
    """
    raw = os.fsencode(name)
    if len(raw) <= _LONGEST:
        return name
    return f"{raw[:160].decode(errors='ignore')}-{hashlib.sha256(raw).hexdigest()[:12]}"


def recover(target: Path) -> None:
    """Clear what killed runs left beside a target; nobody may be writing it meanwhile.

    What was only being written goes. Where a run was killed between the renames that put several
    files into place, those that it had put there go and those that it had set aside come back.
    """
    names = list(target.parent.iterdir())
    own = re.compile(rf"\.{re.escape(short_name(target.name))}\.[a-z0-9_]{{8}}{re.escape(_PART)}")
    for part in (path for path in names if own.fullmatch(path.name)):
        if not os.path.lexists(target):  # set aside first, and put into place last
            grown = {path.stat().st_ino for path in part.iterdir() if path.is_file()}
            for path in names:
                if path.is_file() and path.stat().st_ino in grown:
                    path.unlink()
            for kept in (part / _REPLACED).glob("*"):
                kept.replace(target.parent / kept.name)
        shutil.rmtree(part, ignore_errors=True)


class TemporaryPlace:
    """A folder beside `target` in which its files grow.

    Args:
        target: What the user named.
        overwrite: Replace what is there.
        sidecars: Files that readers would take for a part of the target, and that go with it.
        replaceable: True for a folder that may be replaced; the target is a folder then.

    Raises:
        OutputExistsError: The target or a sidecar is there, and `overwrite` is off.
        ResourceError: The folder cannot be written.
    """

    def __init__(
        self,
        target: Path,
        *,
        overwrite: bool,
        sidecars: Sequence[Path] = (),
        replaceable: Callable[[Path], bool] = no_folder,
    ) -> None:
        self.target = target
        self._overwrite, self._replaceable = overwrite, replaceable
        self._sidecars, self._in_place = tuple(sidecars), False
        self._companions: list[Path] = []
        refuse_existing((target,), overwrite=overwrite, replaceable=replaceable)
        if self._leftovers() and not overwrite:
            raise OutputExistsError(
                f"{self._leftovers()[0]} is there and would be read as a part of {target.name}; "
                "remove it, give another name, or --overwrite to replace it"
            )
        with resource_errors(target):
            prefix = f".{short_name(target.name)}."
            self.folder = Path(tempfile.mkdtemp(_PART, prefix, target.parent)).absolute()

    def file(self, name: str) -> Path:
        """Where a file of this name may grow."""
        return self.folder / name

    def companion(self, target: Path) -> Path:
        """Where a file may grow that appears together with the target, in the same folder.

        Raises:
            OutputExistsError: It is there, and `overwrite` is off.
        """
        refuse_existing((target,), overwrite=self._overwrite)
        self._companions.append(target)
        return self.file(target.name)

    def _with_companions(self, files: Sequence[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
        """Companions, with what readers would take for a part of them, before the files."""
        own = {grown for grown, _ in files}
        return [
            (path, one.with_name(path.name))
            for one in self._companions
            for path in sorted(self.folder.glob(f"{glob.escape(one.name)}*"), reverse=True)
            if path not in own
        ] + list(files)

    def commit(self, files: Sequence[tuple[Path, Path]]) -> None:
        """Move grown files to their targets, in order, or leave everything as it was.

        Args:
            files: Pairs of a path in this place and its target; the last one is the file that
                makes the others readable.

        Raises:
            OutputExistsError: A target appeared in the meantime, and `overwrite` is off.
            ResourceError: The system refuses; what was there before is there still.
        """
        files = self._with_companions(files)
        try:
            with resource_errors(self.target):
                for grown, _ in files:
                    for path in (*grown.rglob("*"), grown):
                        _to_disk(path)
                self._move(files)
                _to_disk(self.target.parent)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the folder and what is in it; a second call does nothing.

        What was set aside and could not be put back stays, for `recover`.
        """
        if self._in_place or not any(self.file(_REPLACED).glob("*")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _leftovers(self) -> list[Path]:
        return [path for path in self._sidecars if path.is_file()]

    def _move(self, files: Sequence[tuple[Path, Path]]) -> None:
        grown, target = files[0]
        if self._overwrite and len(files) == 1 and not self._leftovers() and not grown.is_dir():
            grown.replace(target)  # in one step, so there is always an old or a new one
            return
        try:
            if self._overwrite:
                self._set_aside([target for _, target in files])
            for grown, target in files:
                _move_to_free_name(grown, target)
            self._in_place = True
        except BaseException:  # an interrupt may come between any two steps, so look what was done
            for grown, target in files:
                if _was_moved(grown, target):
                    _remove(target)
            for kept in sorted(self.file(_REPLACED).glob("*"), key=self._is_main):
                kept.replace(self.target.with_name(kept.name))
            raise

    def _is_main(self, path: Path) -> bool:
        """True for what makes the other files readable."""
        return path.name == self.target.name

    def _set_aside(self, targets: Sequence[Path]) -> None:
        """Move what will be replaced into this place, headers first, so that it can come back."""
        aside = self.file(_REPLACED)
        aside.mkdir()
        for path in (*reversed(targets), *self._leftovers()):
            if os.path.lexists(path):
                if path.is_dir() and not self._replaceable(path):
                    raise OutputExistsError(f"{path} became a folder while it was being made")
                path.replace(aside / path.name)


def _was_moved(grown: Path, target: Path) -> bool:
    """True if `move_to_free_name` has done its work, even if it was interrupted at its end."""
    if not os.path.lexists(target):
        return False
    return not os.path.lexists(grown) or target.samefile(grown)


def _move_to_free_name(grown: Path, target: Path) -> None:
    """Rename, but never over anything: whoever came first keeps the name."""
    failure: OSError | None = None
    try:
        if not grown.is_dir():
            _move_file(grown, target)
            return
        if not os.path.lexists(target):  # an empty folder would be replaced
            grown.rename(target)
            return
    except OSError as error:
        if not (isinstance(error, FileExistsError) or os.path.lexists(target)):
            raise
        failure = error
    raise OutputExistsError(
        f"{target} appeared while it was being made, and is kept; give another name, or "
        "--overwrite to replace it"
    ) from failure


def _move_file(grown: Path, target: Path) -> None:
    """Link a file; where the file system has no hard links: claim the name, then rename."""
    try:
        os.link(grown, target)
    except FileExistsError:
        raise
    except OSError:
        target.touch(exist_ok=False)
        try:
            grown.replace(target)
        except BaseException:
            if grown.exists():
                target.unlink()
            raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Ask the system to keep a file, or the names in a folder, even if the power fails."""
    if os.name == "nt":  # pragma: no cover - needs a handle that may write, and no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # not a plain disk
            raise
    finally:
        os.close(handle)


def write_new(path: Path, content: bytes, *, overwrite: bool) -> None:
    """Write a small file; it appears whole or not at all.

    Raises:
        OutputExistsError: It exists and `overwrite` is off.
        ResourceError: It cannot be written.
    """
    place = TemporaryPlace(path, overwrite=overwrite)
    grown = place.file(path.name)
    try:
        with resource_errors(path):
            grown.write_bytes(content)
        place.commit([(grown, path)])
    finally:
        place.discard()


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file, or replace it, whole or not at all; its folder is made if need be.

    Raises:
        ResourceError: It cannot be written.
    """
    with resource_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_new(path, content, overwrite=True)


def locked(path: Path, refusal: str) -> "FileLock":
    """A lock that ends with this process, however it ends; its file is made with its folder.

    Raises:
        OutputExistsError: Another process has it, in the words of `refusal`.
        OSError: The file cannot be made.
    """
    from filelock import FileLock, Timeout  # late: readers load this file, too

    for _ in range(_TRIES):
        path.parent.mkdir(exist_ok=True)
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise OutputExistsError(refusal) from error
        except FileNotFoundError:  # the folder went away with the run before
            continue
        if path.exists():  # else the run before removed the file that was opened here
            return lock
        lock.release()
    raise OutputExistsError(refusal)


@contextmanager
def alone_in(folder: Path, refusal: str) -> Iterator[None]:
    """Keep other processes that ask for it out of a folder; one left empty is removed."""
    path = folder / ".lock"
    with resource_errors(path):
        lock = locked(path, refusal)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            folder.rmdir()  # fails where a run has left something, which is as it should be
        lock.release()
