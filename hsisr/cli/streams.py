"""Standard streams that cannot fail: a reader that went away does not end the work.

What cannot be written is dropped, and remembered: at the end, a full disk is exit code 5, and a
pipe or a terminal that was closed leaves the verdict of the work.
"""

import errno
import io
import os
import signal
import sys
from typing import Any, Final

from hsisr.errors import ResourceError

_CLOSED: Final = (errno.EPIPE, errno.EIO, errno.ECONNRESET)
"""A pipe, a terminal, a socket whose other end was closed."""


class _Raw(io.RawIOBase):
    """Writes to a file descriptor until that fails, and drops the rest."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                return os.write(self._descriptor, data)
            except OSError as error:
                self.error = error
        return len(data)


class StandardStreams:
    """Puts streams that cannot fail in place of stdout and stderr.

    A descriptor that is closed is opened on the null device, or the next file that is opened would
    get its number, and what libraries print would go into that file.
    """

    def __init__(self) -> None:
        self._out = _Raw(1)
        if os.name != "posix":
            return
        for descriptor in (0, 1, 2):
            _open_if_closed(descriptor)
        if sys.stdin is None:
            sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as the program does
        sys.stdout = _text_stream(self._out, sys.stdout, line_buffering=os.isatty(1))
        sys.stderr = _text_stream(_Raw(2), sys.stderr, line_buffering=True)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal was closed

    def verdict(self, code: Any) -> Any:
        """The exit code, once all is written.

        Args:
            code: Of the work.
        """
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        error = self._out.error
        if code not in (0, None) or error is None or error.errno in _CLOSED:
            return code
        sys.stderr.write(f"error: results cannot be written to stdout: {error.strerror}\n")
        sys.stderr.flush()
        return ResourceError.exit_code


def _open_if_closed(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)


def _text_stream(raw: _Raw, replaced: Any, *, line_buffering: bool) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(replaced, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=line_buffering,
    )
