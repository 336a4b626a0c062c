"""Completion records: what an archive's folder remembers of each finished output.

A record is a small JSON file, `.hsisr/OUTPUT.json` in the folder of the output; one for each
output, so that many runs may write theirs at once. It appears after its output and is replaced in
one step. Folders may be moved with it, as long as their files keep their times.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from hsisr.engine.options import AFFECTS_RESULT, DEFAULTS, UpscaleOptions
from hsisr.io.atomic import replace_file
from hsisr.io.paths import RemotePath, beside
from hsisr.io.remote.files import read_beginning, write_whole
from hsisr.io.scene_files import FileState
from hsisr.io.write import guess_format
from hsisr.resume.provenance import item_bands_hash, plain_options

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
        if any("item_bands" not in known for known in (self.options, other.options)):
            changed = [n for n in changed if n != "item_bands"]  # tags and earlier records lack it
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
    """How an output is made, in a form that can be compared.

    Args:
        options: Plain ones; see `plain_options`.
        output: Its suffix names the format where the options do not.
        model: Interpolation, or name of the weights.
        sha256: Hash of the weights; None: an interpolation.
    """
    decisive = {k: v for k, v in options.items() if k in AFFECTS_RESULT | {"item_bands"}}
    named = decisive.get("format")
    decisive["format"] = guess_format(output, None if named is None else str(named))
    return OutputSpec(model, sha256, decisive)


def output_spec_of(
    options: UpscaleOptions, output: Path, model: str, sha256: str | None
) -> OutputSpec:
    """The same for options as they are given."""
    plain = plain_options(options) | item_bands_hash(options)
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
    """Remember that an output is finished.

    Raises:
        ResourceError: The record cannot be written.
    """
    text = json.dumps({"record": _FORMAT, **asdict(record)}, indent=1, sort_keys=True)
    path, content = record_path(output), f"{text}\n".encode()
    if isinstance(path, RemotePath):
        write_whole(path, content)
    else:
        replace_file(path, content)


def read_record(output: Path) -> Record | None:
    """What is remembered of an output; None: nothing that can be read.

    Raises:
        InputDataError: The output is remote, and cannot be reached.
    """
    path = record_path(output)
    remote = read_beginning(path, _LARGEST) if isinstance(path, RemotePath) else None
    try:
        if isinstance(path, RemotePath):
            return None if remote is None else _record(json.loads(remote))
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        return _record(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _record(plain: dict[str, Any]) -> Record | None:
    if plain.pop("record") != _FORMAT:
        return None
    made = plain.pop("making")
    sha256 = made["weights_sha256"]
    return Record(
        hsisr=_text(plain.pop("hsisr")),
        source=_states(plain.pop("source")),
        output=_states(plain.pop("output")),
        heads={_text(name): _text(head) for name, head in plain.pop("heads").items()},
        created=_text(plain.pop("created")),
        making=OutputSpec(
            _text(made["model"]), sha256 and _text(sha256), dict(made["options"].items())
        ),
        moved_values=_whole(plain.pop("moved_values")),
        remote_source=list(plain.pop("remote_source", ())),
        **plain,
    )


def _states(rows: list[dict[str, Any]]) -> tuple[FileState, ...]:
    return tuple(
        FileState(_text(row["name"]), _whole(row["bytes"]), _whole(row["mtime_ns"])) for row in rows
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {value!r:.80}, expected a text")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"found {value!r:.80}, expected a whole number")
    return value
