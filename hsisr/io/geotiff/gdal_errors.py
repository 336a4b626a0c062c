"""What GDAL complains about while it writes, turned into errors.

GDAL reports much in passing only: an option it does not know, a block it could not write when the
file was closed. rasterio logs these; here they are heard.
"""

import ctypes
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from rasterio import _err
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from hsisr.errors import HsisrError, ResourceError, UsageError


class Listener(logging.Handler):
    """Keeps what GDAL said, in order, warnings and errors apart."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[str] = []
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take one message."""
        heard = self.errors if record.levelno >= logging.ERROR else self.warnings
        heard.append(_plain(record.getMessage()))


@contextmanager
def listening(listener: Listener | None = None) -> Iterator[Listener]:
    """Hear what GDAL says meanwhile."""
    heard = listener or Listener()
    logger = logging.getLogger("rasterio")
    logger.addHandler(heard)
    try:
        yield heard
    finally:
        logger.removeHandler(heard)


@contextmanager
def strict_options(target: Path) -> Iterator[None]:
    """Create a file such that an option GDAL rejects, or would ignore, is an error.

    Raises:
        UsageError: GDAL complained.
    """
    with listening() as heard:
        try:
            yield
        except HsisrError:
            raise
        except (RasterioError, CPLE_BaseError, ValueError, TypeError) as error:
            words = heard.warnings or [_plain(str(error))]
            raise UsageError(_refusal(target, words[0])) from error
    if heard.warnings or heard.errors:
        raise UsageError(_refusal(target, (heard.warnings + heard.errors)[0]))


@contextmanager
def write_errors(target: Path, heard: Listener) -> Iterator[None]:
    """Write such that a failure GDAL reports, or only logs, is an error.

    Raises:
        ResourceError: GDAL could not write.
    """
    with listening(heard):
        try:
            yield
        except HsisrError:
            raise
        except (RasterioError, CPLE_BaseError) as error:
            words = heard.errors[0] if heard.errors else str(error.__cause__ or error)
            raise ResourceError(_failure(target, words)) from error
    if heard.errors:
        raise ResourceError(_failure(target, heard.errors[0]))


@cache
def silence_libtiff() -> None:
    """Keep libtiff from printing by itself; the same failures reach GDAL, and are heard here.

    GDAL opens TIFFs with an error handler of their own, but tells of a write that failed through
    libtiff's common one, which prints to stderr. It is taken away where the libtiff that GDAL uses
    can be found, and can have handlers of each file's own (4.5 and later). Source: libtiff,
    TIFFSetErrorHandler; GDAL, frmts/gtiff/tifvsi.cpp.
    """
    try:
        libtiff = ctypes.CDLL(_err.__file__)  # with all that it is linked to
        if hasattr(libtiff, "TIFFOpenOptionsSetErrorHandlerExtR"):
            libtiff.TIFFSetErrorHandler(None)
    except (OSError, AttributeError):
        pass  # a GDAL that has its libtiff inside, or another system: it may print


def _refusal(target: Path, words: str) -> str:
    return (
        f"cannot create {target}: {words}; correct the creation option or the data type, see the "
        "GDAL documentation of the format"
    )


def _failure(target: Path, words: str) -> str:
    return (
        f"cannot write {target}: GDAL says {_plain(words)!r}; check the space left, limits and "
        "permissions, or write elsewhere"
    )


def _plain(message: str) -> str:
    """The message without rasterio's prefix, on one line.

    >>> _plain("CPLE_NotSupported in driver COG does not support creation option FOO")
    'driver COG does not support creation option FOO'
    """
    line = " ".join(message.split())
    if line.startswith("CPLE_") and " in " in line:
        line = line.split(" in ", 1)[1]
    return line.rstrip(".")
