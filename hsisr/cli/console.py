"""What the command line says, and where: results on stdout, talk on stderr, verdict in the code.

A reader of stdout or stderr that went away does not end the work. What cannot be written is
dropped, and remembered: at the end, a full disk is exit code 5, and a pipe or a terminal that was
closed leaves the verdict of the work.
"""

import errno
import io
import json
import logging
import os
import shutil
import signal
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TextIO

import typer

from hsisr import errors

if TYPE_CHECKING:
    from rich.console import Console

QUIET, NORMAL, VERBOSE, DEBUG = -1, 0, 1, 2
INTERRUPTED, TERMINATED = 130, 143
_WAIT_S: Final = 0.05
_MOST_WAITS: Final = 200
"""Ten seconds; longer than any library takes to load."""


_LIVE: Final[list["Console"]] = []
"""Consoles that draw bars at the moment; they print above these."""


@contextmanager
def bars_on(console: "Console") -> Iterator[None]:
    """Have lines printed above the bars that `console` draws inside the `with` block."""
    _LIVE.append(console)
    try:
        yield
    finally:
        _LIVE.remove(console)


def say(message: str, *, color: str | None = None) -> None:
    """One line of talk on stderr, on a terminal in colour and broken between words."""
    plain = "NO_COLOR" in os.environ or not sys.stderr.isatty()
    _say(_filled(errors.one_line(message), sys.stderr), None if plain else color)


def say_table(text: str) -> None:
    """Aligned lines of talk on stderr, without control characters that a file may have brought."""
    _say(errors.printable(text), None)


def fact_table(title: str, rows: Iterable[tuple[str, str]], column: int, stream: TextIO) -> str:
    """Facts, one a line, values from `column` on; a terminal's width breaks them between words."""
    start = f"  {{:<{column - 2}}}"
    lines = [_filled(value, stream, start.format(name), column) for name, value in rows]
    return "\n".join([_filled(title, stream), *lines])


def _filled(text: str, stream: TextIO, start: str = "", column: int = 0) -> str:
    """Text that a terminal's width breaks between words, lines after the first from `column` on."""
    return textwrap.fill(
        text,
        max(shutil.get_terminal_size().columns, 2 * column) if stream.isatty() else sys.maxsize,
        initial_indent=start,
        subsequent_indent=" " * column,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _say(text: str, color: str | None) -> None:
    if _LIVE:
        _print_above(text, color)
    else:
        typer.secho(text, fg=color, err=True, color=None)


def tell(result: object) -> None:
    """A result on stdout, without control characters that a file may have brought."""
    text = errors.printable(str(result))
    if isinstance(result, PurePath):
        text = text.replace("\n", "\\n")
    if _LIVE and sys.stdout.isatty():
        _print_above(text, None)  # the same terminal
    else:
        typer.echo(text)


def _print_above(text: str, color: str | None) -> None:
    from rich.text import Text

    _LIVE[-1].print(Text(text, style=color or ""), soft_wrap=True)


def print_json(result: Mapping[str, Any]) -> None:
    """One JSON object on stdout; what is not JSON (infinities, NaN) has to be handled before."""
    tell(json.dumps(result, indent=2, allow_nan=False, default=str))


@contextmanager
def expected_errors(verbosity: int = NORMAL) -> Iterator[None]:
    """Turn every error into one line on stderr and its exit code.

    Deliberate errors keep their message; an unforeseen one is named as a bug, with its traceback
    from `-vv` on. Warnings become lines, unless quiet. SIGTERM unwinds like Ctrl-C, so that
    nothing half-written stays behind.
    """
    with _warnings_as_lines(verbosity), _log_level(verbosity), _signals_unwind():
        try:
            yield
        except typer.Exit:
            raise
        except errors.HsisrError as error:
            _fail(str(error), error.exit_code, error)
        except KeyboardInterrupt as error:
            _fail("interrupted; no half-made output was left behind", INTERRUPTED, error)
        except UnicodeEncodeError as error:
            what = "a name is not UTF-8, which files and records need; rename the file or folder"
            _fail(what, errors.UsageError.exit_code, error)
        except Exception as error:
            if errors.means_no_memory(error):
                advice = "out of memory; free some, or try a smaller --tile or --batch-size"
                _fail(advice, errors.ResourceError.exit_code, error)
            if isinstance(error, OSError) and error.errno is not None and verbosity < DEBUG:
                _fail(errors.system_words(error), errors.ResourceError.exit_code, error)
            if verbosity >= DEBUG:
                raise
            what = f"{type(error).__name__}: {' '.join(str(error).split())}"
            _fail(f"this is a bug in hsisr: {what} (-vv shows where)", 1, error)


def _fail(message: str, code: int, error: BaseException) -> NoReturn:
    say(f"error: {' '.join(message.split())}", color="red")
    raise typer.Exit(code) from error


@contextmanager
def _warnings_as_lines(verbosity: int) -> Iterator[None]:
    """Show hsisr's own warnings as `warning: ...`, and those of libraries only when debugging."""
    shown: set[str] = set()  # a scene that is opened twice is not complained of twice

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        ours = issubclass(category, errors.HsisrWarning)
        if ((ours and verbosity > QUIET) or verbosity >= DEBUG) and str(message) not in shown:
            shown.add(str(message))
            say(f"warning: {errors.one_line(str(message))}", color="yellow")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        yield


class _Talk(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        say(self.format(record))


@contextmanager
def _log_level(verbosity: int) -> Iterator[None]:
    """Let `hsisr` loggers speak on stderr from `-v` on, and those of libraries from `-vv` on."""
    root, logger, talk = logging.getLogger(), logging.getLogger("hsisr"), _Talk()
    # without a handler of its own, Python's last resort would speak for the root
    added = [(root, logging.NullHandler()), (logger, talk)] if verbosity < DEBUG else [(root, talk)]
    before = logger.level
    logger.setLevel(logging.DEBUG if verbosity >= VERBOSE else logging.WARNING)
    for one, handler in added:
        one.addHandler(handler)
    try:
        yield
    finally:
        for one, handler in added:
            one.removeHandler(handler)
        logger.setLevel(before)


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """Make SIGTERM raise, so that `with` blocks clean up; the exit code is 143. Ctrl-C does so.

    Either waits while a library is being loaded: torch's C++ ends the process by SIGABRT if an
    exception comes out of the Python that it calls then.
    """
    waits = [_MOST_WAITS]

    def stop(number: int, frame: FrameType | None) -> None:
        if waits[0] > 0 and _is_loading(frame):
            waits[0] -= 1
            again = threading.Timer(_WAIT_S, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            say("error: terminated; no half-made output was left behind", color="red")
            raise SystemExit(TERMINATED)

    before = {}
    try:
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, stop)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            before[signal.SIGINT] = signal.signal(signal.SIGINT, stop)
    except ValueError:  # not the main thread: a program that calls us has its own handlers
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_loading(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "tile"), counted(2, "tile")
    ('1 tile', '2 tiles')
    """
    return f"{number} {what}{'s' * (number != 1)}"


def ranges(numbers: Iterable[int]) -> str:
    """Rising whole numbers as ranges.

    >>> ranges([1, 2, 3, 105, 110, 111])
    '1-3, 105, 110-111'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)


def megabytes(count: int) -> str:
    """A number of bytes.

    >>> megabytes(11_075_029), megabytes(1536)
    ('11.1 MB', '1.5 kB')
    """
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(0.84), duration(75), duration(7500)
    ('0.8 s', '1 min 15 s', '2 h 5 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes} min {left} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


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
        """The exit code, once all is written."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        error = self._out.error
        if code not in (0, None) or error is None or error.errno in _CLOSED:
            return code
        sys.stderr.write(f"error: results cannot be written to stdout: {error.strerror}\n")
        sys.stderr.flush()
        return errors.ResourceError.exit_code


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
