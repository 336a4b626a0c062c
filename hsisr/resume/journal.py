"""What is finished of a scene, kept so that a broken run goes on where it stopped.

A strip is what one row of tiles adds to one panel of the output. Each is one file, a ZIP of NumPy
arrays with a checksum for each, and appears by a rename. One that is torn or damaged, is of another
kind, or was made for another place, counts as not there: it is computed again, and nothing of it is
unpacked or believed. Many processes may write into one journal: whoever finishes a strip, its
numbers are the same.
"""

import json
import shutil
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from hsisr.errors import ResourceError, warn

FACTS: Final = "strip.json"
_DAMAGED: Final = (
    *(OSError, zipfile.BadZipFile, EOFError, ValueError, LookupError, TypeError),
    *(AttributeError, NotImplementedError, RuntimeError, OverflowError, MemoryError),
    *(SyntaxError, tokenize.TokenError),
)
"""What zipfile, json and numpy raise on what is none; the last line is Python's, on a literal."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Stored numbers at a place of the panel."""

    numbers: npt.NDArray[Any]
    """Shape (bands, rows, cols of the panel)."""
    band: int
    row: int
    """HR row of the scene."""
    mask: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What a strip fills, once, with its pieces; all of them are as high and as wide as it is."""

    dtype: np.dtype[Any]
    """Of the stored numbers."""
    bands: int
    row: int
    """First HR row of the scene."""
    rows: int
    cols: int
    """HR columns of the panel."""
    masked: bool
    """True if the piece with the first band has the pixel mask."""

    def holds(self, piece: Piece) -> bool:
        """True for a piece as wide and as high as the strip, of its type, with a mask where due."""
        sides, mask = (self.rows, self.cols), piece.mask
        due = (np.dtype(np.bool_), sides) if self.masked and piece.band == 0 else None
        found = None if mask is None else (mask.dtype, mask.shape)
        numbers = piece.numbers.dtype, piece.numbers.shape[1:], piece.row
        return (*numbers, found) == (self.dtype, sides, self.row, due)


_SUFFIX: Final = ".npz"


class Journal:
    """Finished strips in a folder.

    With `required`, a folder that is not there is an error, and so is a strip that cannot be kept.
    Otherwise the folder is made with the first strip; once one cannot be kept, that is said, all
    strips make room for the output, and none is kept any more.
    """

    def __init__(self, folder: Path, *, required: bool = False) -> None:
        self.folder = folder
        self.required = required
        self.given_up = False
        """True once a strip could not be kept."""

    def __len__(self) -> int:
        """Strips that are there."""
        return sum(1 for _ in self.folder.glob(f"*{_SUFFIX}"))

    def has(self, panel: int, row: int, extent: Extent) -> bool:
        """True if a strip (number of the panel, of the row of tiles) is there, whole, and fits."""
        filled: list[int] = []
        try:
            with zipfile.ZipFile(self._path(panel, row)) as file:
                facts = _facts(file)
                moved = facts["moved"]  # not `in range`: a float would be looked for one by one
                counted = type(moved) is int and 0 <= moved < 2**63
                ours = counted and facts["strip"] == [panel, row]
                for piece in _pieces(file):  # reading one to its end checks its sum
                    if not extent.holds(piece):
                        return False
                    filled += range(piece.band, piece.band + len(piece.numbers))
        except _DAMAGED:
            return False
        return ours and sorted(filled) == list(range(extent.bands))

    def pieces(self, panel: int, row: int) -> Iterator[Piece]:
        """The pieces of a strip that is there, in the order they were put."""
        with zipfile.ZipFile(self._path(panel, row)) as file:
            yield from _pieces(file)

    def moved(self, panel: int, row: int) -> int:
        """How many values of a strip that is there had to be moved."""
        with zipfile.ZipFile(self._path(panel, row)) as file:
            return int(_facts(file)["moved"])

    def recording(self, panel: int, row: int) -> "Recording":
        """Begin to keep a strip."""
        return Recording(self, self._path(panel, row), (panel, row))

    def give_up(self, error: OSError) -> None:
        """Keep nothing any more."""
        reason = error.strerror or str(error)
        if self.required:
            raise ResourceError(f"cannot write {self.folder}: {reason}") from error
        if not self.given_up:
            self.given_up = True
            shutil.rmtree(self.folder, ignore_errors=True)
            warn(
                f"finished strips cannot be kept ({reason}); should this run break, the next one "
                "begins anew"
            )

    def _path(self, panel: int, row: int) -> Path:
        return self.folder / f"{panel:04d}-{row:06d}{_SUFFIX}"


class Recording:
    """A strip that is being kept; it counts from `commit` on."""

    def __init__(self, journal: Journal, path: Path, place: tuple[int, int]) -> None:
        self._journal, self._path, self._place = journal, path, place
        self._growing = path.with_name(f".{path.name}.{uuid4().hex}")
        self._places: list[dict[str, Any]] = []
        self._file: zipfile.ZipFile | None = None
        if not journal.given_up:
            with self._keeping():
                if not journal.required:
                    path.parent.mkdir(parents=True, exist_ok=True)
                self._file = zipfile.ZipFile(self._growing, "w")

    def put(self, piece: Piece) -> None:
        """Add a piece."""
        if self._file is None:
            return
        number = len(self._places)
        place = {"band": piece.band, "row": piece.row, "masked": piece.mask is not None}
        self._places.append(place)
        with self._keeping():
            _write(self._file, f"numbers-{number}.npy", piece.numbers)
            if piece.mask is not None:
                _write(self._file, f"mask-{number}.npy", piece.mask)

    def commit(self, moved: int) -> None:
        """The strip is whole."""
        if self._file is None:
            return
        facts = {"strip": self._place, "places": self._places, "moved": moved}
        with self._keeping():
            self._file.writestr(FACTS, json.dumps(facts))
            self._file.close()
            self._growing.replace(self._path)
            self._file = None

    def discard(self) -> None:
        """Forget the strip; after `commit` it does nothing."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # what cannot be written now is not wanted any more
                file.close()
            self._growing.unlink(missing_ok=True)

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.discard()
            self._journal.give_up(error)


def _write(file: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> None:
    with file.open(name, "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def _array(file: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with file.open(name) as member:
        array: npt.NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
    return array


def _pieces(file: zipfile.ZipFile) -> Iterator[Piece]:
    for number, place in enumerate(_facts(file)["places"]):
        mask = _array(file, f"mask-{number}.npy") if place["masked"] else None
        numbers = _array(file, f"numbers-{number}.npy")
        yield Piece(numbers, place["band"], place["row"], mask)


def _facts(file: zipfile.ZipFile) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(file.read(FACTS))
    return facts
