"""A run that may be broken off: nobody else works on its output, and what it finished is kept.

Beside the output, in a hidden folder of its own, lie a lock, what the run is bound to, and the
journal of its finished strips, in a folder named after what the run is bound to: a process that
does not know that its run was given up disturbs no other. All goes when the output is there.

A strip is what one row of tiles adds to one panel of the output. Each is one file, a ZIP of NumPy
arrays with a checksum for each, and appears by a rename. One that is torn or damaged, is of another
kind, or was made for another place, counts as not there: it is computed again, and nothing of it is
unpacked or believed. Many processes may write into one journal: whoever finishes a strip, its
numbers are the same.
"""

import hashlib
import json
import shutil
import tokenize
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from hsisr.engine.machine import Room
from hsisr.engine.mixing import SceneStatistics
from hsisr.engine.options import DEFAULTS
from hsisr.errors import InputDataError, OutputExistsError, ResourceError, UsageError, warn
from hsisr.io.atomic import locked, recover, replace_file, resource_errors, short_name
from hsisr.io.paths import RemotePath
from hsisr.io.write import main_file
from hsisr.resume.record import has_changed

_SUFFIX: Final = ".unfinished"
_LOCK: Final = "lock"
_BOUND: Final = "run.json"
_STATISTICS: Final = "statistics.npz"
_STRIPS: Final = "strips"
_LARGEST: Final = 2**26
"""Bytes of what a run is bound to; real ones have some thousands."""
_STRIP: Final = ".npz"
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
        return sum(1 for _ in self.folder.glob(f"*{_STRIP}"))

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
        return self.folder / f"{panel:04d}-{row:06d}{_STRIP}"


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


def run_place(output: Path, file_format: str | None) -> Path:
    """The file beside which a run's folder lies: the output, or one in the user's cache."""
    if not isinstance(output, RemotePath):
        return main_file(output, file_format)
    import pooch

    digest = hashlib.sha256(str(output).encode()).hexdigest()[:16]
    folder = Path(pooch.os_cache("hsisr")) / "unfinished"
    with resource_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{digest}-{output.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKey:
    """What decides every number of a run's result."""

    input: Any
    """From `hsisr.resume.record.scene_identity`."""
    settings: Mapping[str, Any]
    """By the names that a user knows: options, weights, versions."""

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        table: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return table


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLock:
    """A run that is under way."""

    folder: Path
    room: Room
    """Memory to plan with: that of the run's first beginning."""
    journal: Journal
    bound: RunKey
    current: Callable[[], RunKey]
    """What the run would be bound to if it began now."""
    statistics: SceneStatistics | None = None
    """Of the scene, measured when the run first began: other machines add up in another order."""

    def is_outdated(self) -> bool:
        """True if the input has changed since the run began."""
        try:
            return has_changed(self.bound.input, self.current().input)
        except InputDataError:
            return True


@contextmanager
def locked_run(
    output: Path,
    binding: Callable[[], RunKey],
    room: Callable[[], Room],
    measure: Callable[[], SceneStatistics | None] = lambda: None,
    *,
    resume: bool,
    overwrite: bool,
) -> Iterator[RunLock]:
    """Work on an output alone; strips that are finished outlive an error.

    A folder is made beside `output`. What the run is bound to is asked again when something failed;
    `measure` measures the scene, and `room` is asked, for a run that begins. `resume` goes on with
    what an earlier run finished, `overwrite` begins anew whatever that was.

    Raises:
        OutputExistsError: Another run works on this output, or one with the same settings was
            broken off, and neither `resume` nor `overwrite` says what becomes of it.
        UsageError: The run to be resumed had other settings.
        InputDataError: The run to be resumed had another input.
    """
    folder = _folder(output)
    existed = folder.exists()
    with resource_errors(output):
        lock = locked(
            folder / _LOCK,
            f"another run is making {output} now; wait until it is done, or give another name",
        )
    try:
        if existed:
            recover(output)
        run = _begun(folder, output, binding, room, measure, resume=resume, overwrite=overwrite)
        try:
            yield run
        except BaseException:
            _keep_or_remove(run, output)
            raise
        (folder / _BOUND).unlink(missing_ok=True)  # first: what is left by a kill is no run
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        if folder.exists() and not (folder / _BOUND).exists():  # nothing but the lock
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()  # last, so that nobody begins in a folder that is being removed


def is_unfinished(output: Path) -> bool:
    """True if a run on this output is under way or left something behind."""
    return _folder(output).exists()


def clear_rest(output: Path) -> None:
    """Remove what a run left that was killed once its output was there, unless another is at it.

    A run that began after the output was there, with other settings, can be resumed and stays.
    """
    folder = _folder(output)
    bound = folder / _BOUND
    if not folder.exists():
        return
    with suppress(OutputExistsError, OSError):
        lock = locked(folder / _LOCK, "")
        try:
            if not bound.exists() or bound.stat().st_mtime_ns <= output.stat().st_mtime_ns:
                recover(output)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            lock.release()


def _folder(output: Path) -> Path:
    return output.with_name(f".{short_name(output.name)}{_SUFFIX}")


def _begun(
    folder: Path,
    output: Path,
    binding: Callable[[], RunKey],
    room: Callable[[], Room],
    measure: Callable[[], SceneStatistics | None],
    *,
    resume: bool,
    overwrite: bool,
) -> RunLock:
    bound, before = binding(), _read(folder / _BOUND)
    begun = partial(RunLock, folder=folder, bound=bound, current=binding)
    journal = Journal(_strips_of(folder, before))
    done = len(journal)
    if before is not None and done:
        then, here = before["binding"], bound.plain()
        if resume:
            _require_same(then, here, output)
            statistics = _measured(folder, before, output)
            return begun(room=Room(**before["room"]), journal=journal, statistics=statistics)
        changed = has_changed(then["input"], here["input"])
        differing = _differing(then["settings"], here["settings"])
        if not differing and not changed and not overwrite:
            raise OutputExistsError(
                f"{output}: its run was broken off with {_strips(done)} finished; --resume goes on "
                "from there, --overwrite begins anew"
            )
    for outdated in folder.glob(f"{_STRIPS}*"):
        shutil.rmtree(outdated, ignore_errors=True)
    memory, statistics = room(), measure()
    table: dict[str, Any] = {"binding": bound.plain(), "room": asdict(memory)}
    if statistics is not None:
        table["statistics"] = statistics.digest
        replace_file(folder / _STATISTICS, statistics.as_bytes())
    replace_file(folder / _BOUND, json.dumps(table, indent=1).encode())
    journal = Journal(_strips_of(folder, table))
    return begun(room=memory, journal=journal, statistics=statistics)


def _measured(folder: Path, table: Mapping[str, Any], output: Path) -> SceneStatistics | None:
    """The statistics that an interrupted run kept; None where it needed none."""
    if "statistics" not in table:
        return None
    try:
        found = SceneStatistics.from_bytes((folder / _STATISTICS).read_bytes())
    except (OSError, ValueError):
        found = None
    if found is None or found.digest != table["statistics"]:
        raise InputDataError(
            f"the statistics that the interrupted run of {output} kept are damaged; without "
            "--resume it is made anew"
        )
    return found


def _strips_of(folder: Path, table: Mapping[str, Any] | None) -> Path:
    """Where a run keeps its strips; runs that differ in anything have other places."""
    text = json.dumps(table, sort_keys=True)
    return folder / f"{_STRIPS}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _read(path: Path) -> dict[str, Any] | None:
    """What an earlier run was bound to; None where nothing can be read."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        found = json.loads(path.read_bytes())
        room, binding = asdict(Room(**found["room"])), found["binding"]
        sound = all(type(size) is int and 0 <= size < 2**63 for size in room.values())
        sound = sound and isinstance(binding["settings"], dict) and "input" in binding
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return dict(found) if sound else None


def _require_same(then: Mapping[str, Any], now: Mapping[str, Any], output: Path) -> None:
    if has_changed(then["input"], now["input"]):
        raise InputDataError(
            f"the input of {output} has changed since its run was broken off; without --resume "
            "it is made anew"
        )
    old, new = then["settings"], now["settings"]
    if differing := _differing(old, new):
        name = differing[0]
        raise UsageError(
            f"the run of {output} that was broken off had other settings ({name}: "
            f"{old.get(name)} then, {new.get(name)} now); repeat them to go on, or leave out "
            "--resume to begin anew"
        )


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Names of settings that are not the same; what an earlier version had not was its default."""

    def had(settings: Mapping[str, Any], name: str) -> Any:
        value = settings.get(name)
        return DEFAULTS.get(name) if value is None else value

    return [name for name in sorted({*old, *new}) if had(old, name) != had(new, name)]


def _keep_or_remove(run: RunLock, output: Path) -> None:
    done = len(run.journal)
    if not done or run.is_outdated():
        shutil.rmtree(run.folder, ignore_errors=True)
        return
    warn(
        f"{_strips(done)} of {output.name} finished so far; the same command with --resume goes "
        "on from there"
    )


def _strips(count: int) -> str:
    return "1 strip" if count == 1 else f"{count} strips"
