"""The law for hostile files: they work, or are refused in one line with their name."""

import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from hsisr.errors import HsisrError

STEM = "hostile"
"""What every input file is called; messages must say it."""
LONGEST_S = 5
PACKAGE = str(Path(sys.modules["hsisr"].__file__ or "").parent)

_FORBIDDEN = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.startfile"}
    | {"socket.connect", "socket.bind", "pickle.find_class", "ctypes.dlopen"}
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class LawBrokenError(AssertionError):
    """Something happened that no file may make happen."""


class _TooLongError(BaseException):
    """Out of time; nothing in hsisr catches it."""


def _too_long(_: int, __: FrameType | None) -> None:
    raise _TooLongError(f"longer than {LONGEST_S} s")


class _Watch:
    """What the interpreter was asked to do meanwhile; the hook stays for the process's life."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.seen: list[str] = []
        self._hooked = False

    def begin(self, folder: Path) -> None:
        if not self._hooked:
            sys.addaudithook(self._hook)
            self._hooked = True
        self.folder, self.seen = str(folder), []

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event in _FORBIDDEN:
            self.seen.append(f"{event} {arguments!r:.200}")
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
            self._inside(event, arguments[0])
        elif event in ("os.mkdir", "os.rename", "os.symlink", "os.link"):
            self._inside(event, arguments[-2] if event == "os.mkdir" else arguments[0])

    def _inside(self, event: str, path: object) -> None:
        if isinstance(path, (str, os.PathLike)):
            full = os.path.realpath(path)
            if not full.startswith(str(self.folder)):
                self.seen.append(f"{event} {full}")


_WATCH = _Watch()


def obey(use: Callable[[Path], object], path: Path) -> None:
    """Use a file in a folder of its own; LawBrokenError if the law above was broken."""
    before = sorted(path.parent.iterdir())
    with _watched(path.parent):
        try:
            use(path)
        except HsisrError as error:
            _require_one_line(str(error), path.stem)
        except (Exception, _TooLongError) as error:
            raise LawBrokenError(f"{type(error).__name__}: {error}") from error
    if _WATCH.seen:
        raise LawBrokenError(f"the file made the program do {_WATCH.seen}")
    if sorted(path.parent.iterdir()) != before:
        raise LawBrokenError(f"files were left behind: {sorted(path.parent.iterdir())}")


def place_of(error: LawBrokenError) -> str:
    """Kind of a breach and the line of hsisr it went through, to tell bugs apart."""
    cause = error.__cause__ or error
    ours = [f for f in traceback.extract_tb(cause.__traceback__) if f.filename.startswith(PACKAGE)]
    line = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else str(error)[:32]
    return f"{type(cause).__name__} {line}"


@contextmanager
def _watched(folder: Path) -> Iterator[None]:
    """Listen to the interpreter, with temporary files in this folder too, and not for long."""
    kept = tempfile.tempdir, sys.dont_write_bytecode
    tempfile.tempdir, sys.dont_write_bytecode = str(folder), True
    _WATCH.begin(Path(os.path.realpath(folder)))
    signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _WATCH.folder = None
        tempfile.tempdir, sys.dont_write_bytecode = kept


def _require_one_line(message: str, stem: str) -> None:
    if not message.isprintable():
        raise LawBrokenError(f"the message is not one printable line: {message!r:.300}")
    if len(message) > 4000:
        raise LawBrokenError(f"the message is too long: {len(message)} characters")
    if stem not in message:
        raise LawBrokenError(f"the message does not name the file: {message}")
