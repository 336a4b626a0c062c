"""The list of pages of a TIFF, walked without reading the pages.

Each page names the place of the next one. A list that goes in circles would keep tifffile busy
for its limit of four million pages.
"""

import struct
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final

from hsisr.errors import InputDataError

_MOST_PAGES: Final = 100_000
_CLASSIC: Final = ("H", "I", 12)
_BIG: Final = ("Q", "Q", 20)
"""Type of a count of tags, type of a place, bytes per tag."""


def refuse_circles(path: Path) -> None:
    """Return if the list of pages ends.

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
