"""Putting a grown file or folder under its name: never over another one, and to stay."""

import errno
import os
import shutil
from pathlib import Path

from hsisr.errors import OutputExistsError


def was_moved(grown: Path, target: Path) -> bool:
    """True if `move_to_free_name` has done its work, even if it was interrupted at its end."""
    if not os.path.lexists(target):
        return False
    return not os.path.lexists(grown) or target.samefile(grown)


def move_to_free_name(grown: Path, target: Path) -> None:
    """Rename, but never over another file: whoever came first keeps the name."""
    if grown.is_dir():
        _move_folder(grown, target)
        return
    try:
        os.link(grown, target)
    except FileExistsError as error:
        raise _appeared(target) from error
    except OSError:  # a file system without hard links: claim the name, then rename over it
        try:
            target.touch(exist_ok=False)
        except FileExistsError as error:
            raise _appeared(target) from error
        try:
            grown.replace(target)
        except BaseException:
            if grown.exists():
                target.unlink()
            raise


def _move_folder(grown: Path, target: Path) -> None:
    """Rename a folder, but never over anything; the system itself refuses all but empty folders."""
    taken = os.path.lexists(target)
    try:
        if not taken:
            grown.rename(target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        taken = True
    if taken:
        raise _appeared(target)


def _appeared(target: Path) -> OutputExistsError:
    return OutputExistsError(
        f"{target} appeared while it was being made, and is kept; give another name, or "
        "--overwrite to replace it"
    )


def remove(path: Path) -> None:
    """Take away what was placed a moment ago."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def all_to_disk(path: Path) -> None:
    """A file, or a folder with everything in it."""
    if path.is_dir():
        for entry in path.iterdir():
            all_to_disk(entry)
    to_disk(path)


def to_disk(path: Path) -> None:
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
