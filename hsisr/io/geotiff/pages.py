"""TIFF files and their pages: whether these are a stack of bands, which GDAL would not see.

tifffile knows the axes. Files whose bands lie in one image go to GDAL.
"""

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Final

from tifffile import TiffFile, TiffFileError, TiffPageSeries

from hsisr.errors import InputDataError, UsageError
from hsisr.io.base import Scene
from hsisr.io.formats import loaded
from hsisr.io.geotiff.reader import open_raster

DAMAGED: Final = (
    *(TiffFileError, OSError, ValueError, LookupError, TypeError, RuntimeError),
    *(ArithmeticError, SyntaxError, struct.error),
)
"""What tifffile raises on files that are no TIFF inside."""
_BROKEN_CHAIN: Final = ("invalid page", "corrupted", "missing", "truncated")
"""What it only logs, and then goes on with the pages up to there."""

_MOST_PAGES: Final = 100_000
_CLASSIC: Final = ("H", "I", 12)
_BIG: Final = ("Q", "Q", 20)
"""Type of a count of tags, type of a place, bytes per tag."""


def open_tiff(path: Path, *, axes: str | None = None) -> Scene:
    """Open a TIFF: a stack of pages or planes, or one image with bands.

    Raises:
        InputDataError: It cannot be read.
        UsageError: `axes` is given for what is no stack.
    """
    if is_tiff_stack(path):
        stack: Scene = loaded("hsisr.io.arrays.stack:open_stack")(path, axes)
        return stack
    if axes is not None:
        raise UsageError(f"--axes {axes} has no meaning for a TIFF that is no stack; leave it out")
    return open_raster(path)


def is_tiff_stack(path: Path) -> bool:
    """True if a TIFF keeps its bands where GDAL shows only one, on further pages or planes.

    Overviews and masks are pages too, but no bands.

    Raises:
        InputDataError: The list of pages is cut off or damaged.
    """
    try:
        refuse_circles(path)
        with listening_to_tifffile(), TiffFile(path) as tiff:
            return bool(stacks_in(tiff))
    except InputDataError:
        raise
    except DAMAGED:
        return False


def stacks_in(tiff: TiffFile) -> list[TiffPageSeries]:
    """Images of several pages or planes."""
    with listening_to_tifffile() as heard:
        try:
            stacks = [series for series in tiff.series if _has_planes(series)]
        except TiffFileError as error:
            raise InputDataError(f"the list of pages is damaged ({error})") from error
    for line in heard:
        if any(word in line for word in _BROKEN_CHAIN):
            raise InputDataError(f"the list of pages is cut off; the file is truncated ({line})")
    return stacks


@contextmanager
def listening_to_tifffile() -> Iterator[list[str]]:
    """Hear what tifffile logs, instead of the user."""
    heard: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield heard
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


def _has_planes(series: TiffPageSeries) -> bool:
    page = series.keyframe
    return len(series.pages) > 1 or page.imagedepth > 1 or (series.ndim > 2 and page.ndim == 2)


def refuse_circles(path: Path) -> None:
    """Return if the list of pages ends; tifffile would follow circles for millions of pages.

    Raises:
        InputDataError: It comes back to a page it has been to, or there are unlikely many.
        OSError: The file cannot be read.
    """
    seen: set[int] = set()
    with path.open("rb") as file:
        for place in _places(file):
            if place in seen or len(seen) >= _MOST_PAGES:
                raise InputDataError(
                    f"the list of pages goes in circles, or on for more than {_MOST_PAGES}; the "
                    "file is damaged"
                )
            seen.add(place)


def _places(file: BufferedReader) -> Iterator[int]:
    """Where each page begins, as far as the list can be followed."""
    start = file.read(16)
    order = ">" if start[:2] == b"MM" else "<"
    big = start[2:4] in (b"+\0", b"\0+")
    counts, places, tag = _BIG if big else _CLASSIC
    try:
        place = struct.unpack_from(order + places, start, 8 if big else 4)[0]
        while place:
            yield place
            file.seek(place)
            (tags,) = struct.unpack(order + counts, file.read(struct.calcsize(counts)))
            file.seek(place + struct.calcsize(counts) + tags * tag)
            (place,) = struct.unpack(order + places, file.read(struct.calcsize(places)))
    except (struct.error, OverflowError, OSError):
        return  # cut off; whoever reads the pages says so
