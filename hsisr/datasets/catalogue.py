"""Public scenes by name: where they are, how to know them, what they hold, whose they are."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import msgspec

from hsisr.errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file to download, and how to know that it is the right one."""

    name: str
    """In the cache."""
    urls: tuple[str, ...]
    """Tried in this order."""
    size: int | None = None
    """Bytes, where known."""
    git_blob: str | None = None
    """Identity as git counts it: sha1 of `blob <size>\\0` and the bytes; where known."""
    archive: bool = False
    """A zip file of scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A public scene, or a set of scenes."""

    name: str
    title: str
    file: RemoteFile
    shape: tuple[int, int, int] | None = None
    """(bands, rows, cols) of a single scene; checked after reading where known."""
    variable: str | None = None
    """Of a .mat file."""
    axes: str | None = None
    """Axis order of the file, if it is not to be guessed."""
    citation: str
    terms: str
    photographs: bool = False
    """Colour photographs, from which recipes take spatial detail alone."""
    skip: tuple[str, ...] = ()
    """Members of an archive that are left out, by part of their path."""


def _datasets() -> dict[str, Dataset]:
    tables = tomllib.loads((files("hsisr.datasets") / "catalogue.toml").read_text("utf-8"))
    return {
        name: msgspec.convert({"name": name, **table}, Dataset) for name, table in tables.items()
    }


DATASETS: Final = _datasets()
"""Name -> dataset."""


def dataset_named(name: str) -> Dataset:
    """A dataset by its name; UsageError: there is none of that name.

    >>> dataset_named("paviau").shape
    (103, 610, 340)
    """
    if (entry := DATASETS.get(name.lower())) is None:
        hint = did_you_mean(name.lower(), DATASETS)
        raise UsageError(f"no dataset {name!r}; {hint}known: {', '.join(sorted(DATASETS))}")
    return entry
