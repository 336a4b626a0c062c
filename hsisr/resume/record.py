"""What made an output: tags that travel inside it, and the completion record beside it.

A record is a small JSON file, `.hsisr/OUTPUT.json` in the folder of the output, that appears after
its output and is replaced in one step. Folders may be moved with it, as long as their files keep
their times. It tells those of a `Work`: of a scene and of its output.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hsisr.engine.options import AFFECTS_RESULT, DEFAULTS, NOT_IN_TAGS, UpscaleOptions
from hsisr.errors import InputDataError
from hsisr.io.atomic import replace_file
from hsisr.io.formats import output_format
from hsisr.io.open import scene_files
from hsisr.io.paths import RemotePath, beside, scene_path, sibling
from hsisr.option import declared
from hsisr.scene.metadata import SceneMetadata

if TYPE_CHECKING:
    from hsisr.io.stac.item import SourceItem

PREFIX = "HSISR_"


def provenance_tags(
    *, source: str, model: str, weights_sha256: str | None, options: UpscaleOptions
) -> dict[str, str]:
    """Dataset tags that say how an output came to be."""
    from hsisr import __version__

    plain = plain_options(options) | hashes_beside(options)
    if "model" in plain:  # without its folder: outputs are for other people, too
        plain["model"] = PurePath(plain["model"]).name
    tags = {
        "VERSION": __version__,
        "SOURCE": source,
        "MODEL": model,
        "OPTIONS": json.dumps(plain, sort_keys=True),
        "CREATED": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if weights_sha256:
        tags["WEIGHTS_SHA256"] = weights_sha256
    return {PREFIX + key: value for key, value in tags.items()}


def provenance_of(metadata: SceneMetadata) -> dict[str, str]:
    """What an output says about how it came to be: keys as in `provenance_tags`, no prefix.

    Empty for a scene that hsisr did not make.
    """
    header = {key.upper().replace(" ", "_"): text for key, text in metadata.header.items()}
    return {
        key.removeprefix(PREFIX): text
        for key, text in {**header, **metadata.tags}.items()
        if key.startswith(PREFIX)
    }


def with_provenance(metadata: SceneMetadata, tags: Mapping[str, str]) -> SceneMetadata:
    """Metadata with these tags instead of those that an earlier run left in its output."""
    header = {
        key: text
        for key, text in metadata.header.items()
        if not key.upper().replace(" ", "_").startswith(PREFIX)
    }
    others = {key: text for key, text in metadata.tags.items() if not key.startswith(PREFIX)}
    return replace(metadata, header=header, tags={**others, **tags})


def _plain(value: Any) -> bool | float | str:
    """For JSON; of a path its name, for folders are nobody else's business."""
    if isinstance(value, PurePath):
        return value.name
    return value if isinstance(value, (bool, int, float, str)) else str(value)


_HASHED: Final = ("item_bands", "statistics_scene")
"""What is read beside the scene; tags and records of earlier versions do not have it."""


def hashes_beside(options: UpscaleOptions) -> dict[str, str]:
    """Hashes of what a STAC Item says, and of the state of the scene of `statistics_from`.

    Each is left out where there is none, or nothing is known of it.
    """
    found: list[list[Any]] = [[dict(band) for band in options.item_bands], []]
    if options.statistics_from is not None:
        path = scene_path(options.statistics_from)
        if not isinstance(path, RemotePath):
            found[1] = [asdict(state) for state in states(scene_files(path))]
    return {
        name: hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
        for name, what in zip(_HASHED, found, strict=True)
        if what
    }


def plain_options(options: Any) -> dict[str, Any]:
    """Options, a dataclass or a mapping, as values for JSON.

    Left out: what is unset or switched off, and what `Option.in_tags` says belongs in no output.
    """
    table: Mapping[str, Any] = options
    if is_dataclass(options):  # asdict() copies deeply, which a mapping proxy does not allow
        table = {f.name: getattr(options, f.name) for f in fields(options)}
    return {
        key: _plain(value)
        for key, value in table.items()
        if key not in NOT_IN_TAGS and not (value is None or value is False or value in ({}, ()))
    }


def decisive_options(options: Any) -> dict[str, Any]:
    """Options, a dataclass, that its output depends on, as values for JSON."""
    table = declared(type(options))
    plain = plain_options(options)
    return {name: plain[name] for name in table if name in plain and table[name][1].affects_result}


_HEAD: Final = 256


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it stands now; a folder counts as the sum of its files."""

    name: str
    """Without its folder, so that whole archives may move."""
    bytes: int
    mtime_ns: int
    """Time of the last change, in nanoseconds; of a folder, the latest in it."""


def states(paths: Iterable[Path]) -> tuple[FileState, ...]:
    """How files stand; those that are not there are left out."""
    return tuple(state for path in paths if (state := _state(path)) is not None)


def head_of(path: Path) -> str:
    """The first bytes of a file in hexadecimal digits; empty for a folder or what is not there.

    A file that was broken off still begins as the whole one did.
    """
    if isinstance(path, RemotePath):
        from hsisr.io.remote.transport import read_beginning

        return (read_beginning(path, _HEAD) or b"").hex()
    try:
        with path.open("rb") as file:
            return file.read(_HEAD).hex()
    except OSError:
        return ""


def scene_identity(path: Path) -> list[list[str | int]]:
    """Name, bytes and time of change of every file of a scene; `has_changed` compares them.

    Of remote files, what their server tells; see `remote_identity`.
    """
    if isinstance(path, RemotePath):
        from hsisr.io.remote.scene import remote_identity

        return remote_identity(path)
    if not (found := states(scene_files(path))):
        raise InputDataError(f"{path}: cannot be read (no such file)")
    return [[state.name, state.bytes, state.mtime_ns] for state in found]


def has_changed(then: Any, now: Any) -> bool:
    """True if two identities of a scene (see `scene_identity`) tell of different states.

    Files on servers count where something was told of them both times, others always; what was read
    from a file may be anything.
    """
    if then == now:
        return False
    before, after = _remote_files(then), _remote_files(now)
    if before is None or after is None or not (shared := before.keys() & after.keys()):
        return True
    told = [(before[name], after[name]) for name in shared]
    return any(one != other for one, other in told if one and other)


def _remote_files(identity: Any) -> dict[str, Sequence[Any]] | None:
    """What was told of each file, by its name; None if one is of this machine."""
    try:
        files = {str(name): told for name, *told in identity}
    except (TypeError, ValueError):
        return None
    return files if all("/" in name for name in files) else None


def _state(path: Path) -> FileState | None:
    if isinstance(path, RemotePath):
        from hsisr.io.remote.transport import remote_state

        known = remote_state(path)
        return None if known is None else FileState(path.name, *known)
    try:
        files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
        found = [file.stat() for file in files]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputDataError(f"{path}: cannot be looked at ({error.strerror})") from error
    newest = max((entry.st_mtime_ns for entry in found), default=0)
    return FileState(path.name, sum(entry.st_size for entry in found), newest)


@dataclass(frozen=True, slots=True)
class Work:
    """A scene and its output."""

    source: Path
    """What the user named: a scene, or a STAC Item that points to one."""
    scene: Path | str
    """What is opened."""
    output: Path
    item: "SourceItem | None" = None
    """The item from which one is derived for the output."""


def item_path(output: Path) -> Path:
    """Where the STAC Item of an output goes.

    >>> item_path(Path("finer/a_x4.tif")).name
    'a_x4.json'
    """
    return sibling(output, f"{output.stem}.json")


def output_files(work: Work, options: UpscaleOptions) -> tuple[Path, ...]:
    """One, or an ENVI pair; and what is wanted beside them: standard errors, a STAC Item."""
    files: tuple[Path, ...] = (work.output,)
    if output_format(work.output, options.format).name == "ENVI":
        from hsisr.io.envi.files import envi_pair

        files = envi_pair(work.output)
    files = files if options.uncertainty is None else (*files, options.uncertainty)
    return (*files, item_path(work.output)) if work.item is not None else files


def source_states(work: Work) -> tuple[FileState, ...]:
    """How the input's files stand; nothing is known of one that is not on this machine."""
    if isinstance(work.scene, RemotePath) or not isinstance(work.scene, Path):
        return ()
    return states(scene_files(work.scene))


def told_of_source(work: Work) -> list[list[str | int]]:
    """What servers tell of an input that is not on this machine; else nothing."""
    return scene_identity(work.scene) if isinstance(work.scene, RemotePath) else []


FOLDER: Final = ".hsisr"
_FORMAT: Final = 1
_LARGEST: Final = 2**20


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """What an output's numbers follow from, beside its input."""

    model: str
    """Interpolation, or name of the weights."""
    weights_sha256: str | None
    options: Mapping[str, Any]
    """The decisive ones, as JSON has them."""

    def difference(self, other: "OutputSpec") -> str | None:
        """In a few words, what the other one was made with instead; None: the same.

        Weights are the same if their hash is, whatever they are called.
        """
        if self.weights_sha256 != other.weights_sha256:
            return f"with other weights ({other.model})"
        if self.weights_sha256 is None and self.model != other.model:
            return f"with {other.model}"
        names = sorted(self.options.keys() | other.options.keys())
        changed = [n for n in names if _value(self.options, n) != _value(other.options, n)]
        lacking = {n for n in _HASHED if n not in self.options or n not in other.options}
        changed = [n for n in changed if n not in lacking]  # as of earlier versions
        return f"with other options ({', '.join(changed)})" if changed else None


def _value(options: Mapping[str, Any], name: str) -> Any:
    """Of an option; what is left out is off, or as an earlier version without it had it."""
    default = DEFAULTS.get(name)
    return options.get(name, None if isinstance(default, (bool, dict)) else default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A finished output, its input, and how the one was made from the other."""

    hsisr: str
    """Version of the program."""
    source: tuple[FileState, ...]
    """The input's files, as they stood before the work began; none of a remote input."""
    output: tuple[FileState, ...]
    """The output's files, its STAC Item included."""
    heads: Mapping[str, str]
    """The first bytes of the output's files, by name."""
    created: str
    """When the record was written."""
    making: OutputSpec
    moved_values: int
    seconds: float
    remote_source: Sequence[Any] = ()
    """What servers told of a remote input before the work began: see `remote_identity`."""


def output_spec(
    options: Mapping[str, Any], output: Path, model: str, sha256: str | None
) -> OutputSpec:
    """How an output is made, in a form that can be compared; see `plain_options`.

    The output's suffix names the format where the options do not; an interpolation has no hash.
    """
    decisive = {k: v for k, v in options.items() if k in AFFECTS_RESULT | {*_HASHED}}
    named = decisive.get("format")
    decisive["format"] = output_format(output, None if named is None else str(named)).name
    return OutputSpec(model, sha256, decisive)


def output_spec_of(
    options: UpscaleOptions, output: Path, model: str, sha256: str | None
) -> OutputSpec:
    """The same for options as they are given."""
    plain = plain_options(options) | hashes_beside(options)
    return output_spec(plain, output, model, sha256)


def record_path(output: Path) -> Path:
    """Where the record of an output lies.

    >>> record_path(Path("finer/a_x4.tif")).as_posix()
    'finer/.hsisr/a_x4.tif.json'
    """
    name = f"{output.name}.json"
    if isinstance(output, RemotePath):
        return beside(output, f"{FOLDER}/{name}")
    return output.parent / FOLDER / name


def write_record(output: Path, record: Record) -> None:
    """Remember that an output is finished."""
    text = json.dumps({"record": _FORMAT, **asdict(record)}, indent=1, sort_keys=True)
    path, content = record_path(output), f"{text}\n".encode()
    if isinstance(path, RemotePath):
        from hsisr.io.remote.transport import write_whole

        write_whole(path, content)
    else:
        replace_file(path, content)


def read_record(output: Path) -> Record | None:
    """What is remembered of an output; None: nothing that can be read."""
    path = record_path(output)
    remote = None
    if isinstance(path, RemotePath):
        from hsisr.io.remote.transport import read_beginning

        remote = read_beginning(path, _LARGEST)
    try:
        if isinstance(path, RemotePath):
            return None if remote is None else _record(json.loads(remote))
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        return _record(json.loads(path.read_bytes()))
    except (
        *(OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError),
        msgspec.MsgspecError,
    ):
        return None


def _record(plain: dict[str, Any]) -> Record | None:
    if plain.pop("record") != _FORMAT or plain.keys() - {field.name for field in fields(Record)}:
        return None
    return msgspec.convert(plain, Record)
