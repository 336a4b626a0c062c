"""Files that are replaced while a run goes on: at any moment the old or the new one, whole."""

import os
from contextlib import suppress
from pathlib import Path

from hsisr.io.atomic import resource_errors


def replace_file(path: Path, content: bytes) -> None:
    """Write beside the place, flush to the disk, rename; its folder is made if need be.

    Raises:
        ResourceError: It cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with resource_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink()
