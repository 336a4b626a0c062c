"""A run that may be broken off: nobody else works on its output, and what it finished is kept.

Beside the output, in a hidden folder of its own, lie a lock, what the run is bound to, and the
journal of its finished strips, in a folder named after what the run is bound to: a process that
does not know that its run was given up disturbs no other. All goes when the output is there.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from hsisr.engine.machine import Room
from hsisr.engine.mixing import SceneStatistics
from hsisr.engine.options import DEFAULTS
from hsisr.errors import InputDataError, OutputExistsError, UsageError, warn
from hsisr.io.atomic import recover, replace_file, resource_errors, short_name
from hsisr.io.paths import RemotePath
from hsisr.io.write import main_file
from hsisr.resume.journal import Journal
from hsisr.resume.record import has_changed

_SUFFIX: Final = ".unfinished"
_LOCK: Final = "lock"
_BOUND: Final = "run.json"
_STATISTICS: Final = "statistics.npz"
_STRIPS: Final = "strips"
_TRIES: Final = 10
_LARGEST: Final = 2**26
"""Bytes of what a run is bound to; real ones have some thousands."""


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


def locked(path: Path, refusal: str) -> FileLock:
    """A lock that ends with this process, however it ends; its file is made with its folder.

    Raises:
        OutputExistsError: Another process has it, in the words of `refusal`.
        OSError: The file cannot be made.
    """
    for _ in range(_TRIES):
        path.parent.mkdir(exist_ok=True)
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise OutputExistsError(refusal) from error
        except FileNotFoundError:  # the folder went away with the run before
            continue
        if path.exists():  # else the run before removed the file that was opened here
            return lock
        lock.release()
    raise OutputExistsError(refusal)


@contextmanager
def alone_in(folder: Path, refusal: str) -> Iterator[None]:
    """Keep other processes that ask for it out of a folder; one left empty is removed."""
    path = folder / f".{_LOCK}"
    with resource_errors(path):
        lock = locked(path, refusal)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            folder.rmdir()  # fails where a run has left something, which is as it should be
        lock.release()


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
