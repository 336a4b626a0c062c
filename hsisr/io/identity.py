"""Which file a scene is: enough to see that it is not the same any more."""

from pathlib import Path
from typing import Final

from hsisr.errors import InputDataError

_COMPANIONS: Final = ("", ".img", ".dat", ".raw", ".bil", ".bip", ".bsq")
"""What the data file beside an ENVI header may end in."""


def scene_identity(path: Path) -> list[list[str | int]]:
    """Name, size and time of change of every file a scene consists of.

    Raises:
        InputDataError: It cannot be looked at.
    """
    files = [path]
    if path.is_dir():
        files = sorted(path.iterdir())
    elif path.suffix.lower() == ".hdr":
        files += [f for end in _COMPANIONS if (f := path.with_suffix(end)).is_file()]
    try:
        stats = [(file.name, file.stat()) for file in files]
    except OSError as error:
        raise InputDataError(f"{path}: cannot be read ({error.strerror})") from error
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
