"""Lists of scenes: one path a line, in a file or on stdin."""

import os
import sys
from pathlib import Path
from typing import Final

from hsisr.errors import InputDataError
from hsisr.io.paths import scene_path

STDIN: Final = Path("-")


def read_list(path: Path) -> list[Path]:
    """The paths and URLs that a list names; paths count from the current folder.

    Blank lines and lines that begin with `#` are left out, and so is space around a path (write
    `./#name` for a name with a `#` in front).

    Args:
        path: A text file, or `-` for stdin.

    Raises:
        InputDataError: The list cannot be read, or is not text with one path a line.
    """
    lines = _content(path).removeprefix(b"\xef\xbb\xbf").splitlines()
    texts = (os.fsdecode(line.strip()) for line in lines)
    found = [text for text in texts if text and not text.startswith("#")]
    if any("\0" in text for text in found):
        raise InputDataError(
            f"{list_name(path)}: found a zero byte, expected text, one path a line"
        )
    return [scene_path(text) for text in found]


def _content(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputDataError(f"{list_name(path)}: cannot be read ({reason})") from error


def list_name(path: Path) -> str:
    """What a message calls a list."""
    return "the list on stdin" if path == STDIN else f"the list {path}"
