"""The released weights by name: which there are, where they lie, which a scale uses by default."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from hsisr.errors import WeightsError
from hsisr.models.descriptor import SCALES

_FIELDS: Final[Mapping[str, type]] = {
    "name": str,
    "file": str,
    "sha256": str,
    "scale": int,
    "card": str,
    "default": bool,
    "alias": str,
}
_OPTIONAL: Final[Mapping[str, Any]] = {"default": False, "alias": ""}
_SUFFIXES: Final = {".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".keras", ".h5"}
"""What ends in one of these is meant as a file, whether it is there or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One released network."""

    name: str
    """What `--model` takes."""
    path: Path
    """The safetensors file."""
    sha256: str
    """Hash of that file; 64 lower-case hexadecimal digits."""
    scale: int
    """HR pixels per LR pixel along a side."""
    card: Path
    """The model card: how it was trained, on what, and what it is good for."""
    default: bool = False
    """Used for its scale when no model is named."""
    alias: str = ""
    """A name without a version that stands for these weights: dacn-any-x4 for dacn-any-x4-2."""


def released_folder() -> Path:
    """Folder of the catalogue: inside an installed package, else at the top of the checkout.

    Raises:
        WeightsError: It is in neither place.
    """
    package = Path(str(files("hsisr")))
    for folder in (package / "released_weights", package.parent / "weights"):
        if (folder / "catalogue.toml").is_file():
            return folder
    raise WeightsError(
        f"no catalogue of weights in {package / 'released_weights'}; this installation is "
        "incomplete, so install hsisr again or give a safetensors file"
    )


def released(folder: Path | None = None) -> tuple[CatalogueEntry, ...]:
    """The catalogue, in its own order.

    Args:
        folder: Where `catalogue.toml` lies; None: the one that comes with hsisr.

    Raises:
        WeightsError: The catalogue cannot be read or contradicts itself.
    """
    folder = folder or released_folder()
    path = folder / "catalogue.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WeightsError(f"{path}: not a readable catalogue of weights: {error}") from error
    rows = table.get("weights", [])
    if table.keys() - {"weights"} or not _is_list_of_tables(rows):
        raise WeightsError(f"{path}: expected nothing but [[weights]] tables")
    entries = tuple(_entry(path, n, row) for n, row in enumerate(rows, start=1))
    _refuse_contradictions(path, entries)
    return entries


def default_for(scale: int, folder: Path | None = None) -> CatalogueEntry | None:
    """The released network a scale uses when none is named, or None while there is none.

    Args:
        scale: HR pixels per LR pixel along a side.
        folder: As in `released`.

    Raises:
        WeightsError: As in `released`.
    """
    return next((e for e in released(folder) if e.default and e.scale == scale), None)


def resolve(
    name_or_path: str | Path, scale: int | None = None, folder: Path | None = None
) -> CatalogueEntry | Path:
    """What a user means by a model: a released network, or a file.

    Args:
        name_or_path: A name in the catalogue, or a path; where both fit the name wins, and
            `./name` is the path.
        scale: The scale it is needed for; None: any.
        folder: As in `released`.

    Returns:
        Something `load_weights` takes. A file's scale is known only when it is loaded.

    Raises:
        WeightsError: Nothing has that name, or what has it is for another scale.
    """
    text, path = str(name_or_path), Path(name_or_path)
    if text != path.name or path.suffix.lower() in _SUFFIXES:
        return _expanded(path)
    entries = released(folder)
    if (entry := next((e for e in entries if text in (e.name, e.alias)), None)) is not None:
        _refuse_other_scale(entry, scale, entries)
        return entry
    if path.is_file():
        return path
    fitting = [e.name for e in entries if scale in (None, e.scale)]
    near = get_close_matches(text, fitting or [e.name for e in entries], n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise WeightsError(f"no weights named {text!r}; {hint}{_known(entries, 'released')}")


def _expanded(path: Path) -> Path:
    """With `~` spelt out, where there is such a home."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _refuse_other_scale(
    entry: CatalogueEntry, scale: int | None, entries: Sequence[CatalogueEntry]
) -> None:
    if scale is None or entry.scale == scale:
        return
    fitting = [e for e in entries if e.scale == scale]
    raise WeightsError(
        f"{entry.name} is for scale {entry.scale}, found --scale {scale}; "
        f"{_known(fitting, f'for scale {scale}')}"
    )


def _known(entries: Sequence[CatalogueEntry], which: str) -> str:
    """What could be given instead.

    >>> _known([], "released")
    'no weights are released yet, so give a safetensors file'
    """
    if not entries:
        yet = "are released yet" if which == "released" else f"are released {which} yet"
        return f"no weights {yet}, so give a safetensors file"
    return f"{which}: {', '.join(e.name for e in entries)}; or give a safetensors file"


def _is_list_of_tables(rows: object) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def _entry(path: Path, number: int, row: Mapping[str, Any]) -> CatalogueEntry:
    """One table of the catalogue, checked."""
    complaints = [f"unknown key {key!r}" for key in sorted(row.keys() - _FIELDS.keys())]
    complaints += [
        f"{key} {row.get(key)!r}"
        for key, kind in _FIELDS.items()
        if type(row.get(key, _OPTIONAL.get(key))) is not kind
    ]
    if not complaints:
        complaints = _impossible(row)
    if complaints:
        raise WeightsError(f"{path}: [[weights]] table {number}: {'; '.join(complaints)}")
    return CatalogueEntry(
        name=row["name"],
        path=path.parent / row["file"],
        sha256=row["sha256"],
        scale=row["scale"],
        card=path.parent / row["card"],
        default=row.get("default", False),
        alias=row.get("alias", ""),
    )


def _impossible(row: Mapping[str, Any]) -> list[str]:
    complaints = []
    if row["scale"] not in SCALES:
        complaints.append(f"scale {row['scale']}, expected one of {SCALES}")
    if not re.fullmatch("[0-9a-f]{64}", row["sha256"]):
        complaints.append("sha256 is not 64 lower-case hexadecimal digits")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", row["name"]):
        complaints.append(f"name {row['name']!r} is not of lower-case letters, digits, . _ -")
    complaints += [
        f"{key} {row[key]!r} does not lie beside the catalogue"
        for key in ("file", "card")
        if Path(row[key]).name != row[key]
    ]
    return complaints


def _refuse_contradictions(path: Path, entries: Sequence[CatalogueEntry]) -> None:
    """One network per name or alias, and at most one default per scale."""
    names = Counter(name for e in entries for name in (e.name, e.alias) if name)
    defaults = Counter(e.scale for e in entries if e.default)
    complaints = [f"{n} networks named {name!r}" for name, n in names.items() if n > 1]
    complaints += [f"{n} defaults for scale {s}" for s, n in defaults.items() if n > 1]
    if complaints:
        raise WeightsError(f"{path}: {'; '.join(complaints)}")
