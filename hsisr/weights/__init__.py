"""The released weights by name: which there are, where they lie, which a scale uses by default.

Reading and writing weights files, which takes torch, is in `store`, loaded on first use.
"""

import os
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from hsisr.errors import WeightsError, did_you_mean
from hsisr.option import SCALES

if TYPE_CHECKING:
    from hsisr.weights.store import LoadedWeights, load_weights, save_weights

__all__ = [
    "CatalogueEntry",
    "LoadedWeights",
    "default_for",
    "load_weights",
    "released",
    "released_folder",
    "resolve",
    "save_weights",
]

_SUFFIXES: Final = {".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".keras", ".h5"}
"""What ends in one of these is meant as a file, whether it is there or not."""


class CatalogueEntry(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One released network; one table of the file."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9._-]*$")]
    """What `--model` takes."""
    path: Path = msgspec.field(name="file")
    """The safetensors file, in the file's table its name beside the catalogue."""
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """Hash of that file."""
    scale: int
    """HR pixels per LR pixel along a side."""
    card: Path
    """The model card: how it was trained, on what, and what it is good for."""
    default: bool = False
    """Used for its scale when no model is named."""
    alias: str = ""
    """A name without a version that stands for these weights: dacn-any-x4 for dacn-any-x4-2."""


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    weights: tuple[CatalogueEntry, ...] = ()


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
    """The catalogue, in its own order; in `folder`, else the one that comes with hsisr.

    Raises:
        WeightsError: The catalogue cannot be read or contradicts itself.
    """
    folder = folder or released_folder()
    path = folder / "catalogue.toml"

    def beside(_: type, name: object) -> Path:
        if not isinstance(name, str) or name in (".", "..") or not re.fullmatch(r"[^/\\]+", name):
            raise ValueError(f"Expected the name of a file beside the catalogue, got {name!r}")
        return folder / name

    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
        entries = msgspec.convert(plain, _Table, dec_hook=beside).weights
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WeightsError(f"{path}: not a readable catalogue of weights: {error}") from error
    except msgspec.ValidationError as error:
        raise WeightsError(
            f"{path}: {error}, counted from 0; expected [[weights]] tables as its head says"
        ) from error
    _refuse_contradictions(path, entries)
    return entries


def default_for(scale: int) -> CatalogueEntry | None:
    """The released network a scale uses when none is named, or None while there is none.

    Raises:
        WeightsError: As in `released`.
    """
    return next((e for e in released() if e.default and e.scale == scale), None)


def resolve(name_or_path: str | Path, scale: int | None = None) -> CatalogueEntry | Path:
    """What a user means by a model: a released network, or a file.

    Where a name in the catalogue is also that of a file, the name wins, and `./name` is the file.

    Returns:
        Something `load_weights` takes. A file's scale is known only when it is loaded.

    Raises:
        WeightsError: Nothing has that name, or what has it is for another scale.
    """
    text, path = str(name_or_path), Path(name_or_path)
    if text != path.name or path.suffix.lower() in _SUFFIXES:
        return Path(os.path.expanduser(path))  # noqa: PTH111 - leaves `~` where there is no home
    entries = released()
    named = [entry for entry in entries if text and text in (entry.name, entry.alias)]
    if entry := next(iter(named), None):
        if scale in (None, entry.scale):
            return entry
        wrong = f"{entry.name} is for scale {entry.scale}, found --scale {scale}"
    elif path.is_file():
        return path
    else:
        wrong = f"no weights named {text!r}"
    known = [entry.name for entry in entries if scale in (None, entry.scale)]
    like = text if scale is None else re.sub(r"-x\d+(-\d+)?$", f"-x{scale}", text)
    hint = did_you_mean(like, known)  # of several as near, the newest
    raise WeightsError(
        f"{wrong}; {hint}'hsisr weights list' names those that are released; or give a safetensors "
        "file"
    )


def _refuse_contradictions(path: Path, entries: Sequence[CatalogueEntry]) -> None:
    """One network per name or alias, and at most one default per scale."""
    names = Counter(name for e in entries for name in (e.name, e.alias) if name)
    defaults = Counter(e.scale for e in entries if e.default)
    scales = {e.scale for e in entries}
    complaints = [f"scale {s}, expected one of {SCALES}" for s in scales - set(SCALES)]
    complaints += [f"{n} networks named {name!r}" for name, n in names.items() if n > 1]
    complaints += [f"{n} defaults for scale {s}" for s, n in defaults.items() if n > 1]
    if complaints:
        raise WeightsError(f"{path}: {'; '.join(complaints)}")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("hsisr.weights.store"), name)
