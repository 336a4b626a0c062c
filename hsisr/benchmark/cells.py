"""Finished pieces of a comparison, one file each, so that nothing is done twice.

A cell's name ends in a digest of its fingerprint: what the piece depends on. With other settings it
is another cell, and a file that is there is finished, for it appears whole or not at all.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsisr import __version__
from hsisr.errors import InputDataError
from hsisr.io.atomic import replace_file


@dataclass(frozen=True, slots=True)
class Cell:
    """One piece: what it is called and what it depends on."""

    kind: str
    """train, score, cost."""
    name: str
    fingerprint: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Its file's name without suffix."""
        text = json.dumps({"hsisr": __version__, **self.fingerprint}, sort_keys=True, default=str)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


@dataclass(frozen=True, slots=True)
class Cells:
    """The folder of cells of a report."""

    folder: Path

    def path(self, cell: Cell, suffix: str = ".json") -> Path:
        """Where a cell lies, or what lies beside it."""
        return self.folder / cell.kind / f"{cell.label}{suffix}"

    def found(self, cell: Cell) -> dict[str, Any] | None:
        """The facts of a finished cell; None if it is still to be done.

        Raises:
            InputDataError: The file was changed by another hand.
        """
        path = self.path(cell)
        if not path.exists():
            return None
        try:
            facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["facts"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputDataError(f"{path}: not a cell of a benchmark; remove it") from error
        return facts

    def keep(self, cell: Cell, facts: Mapping[str, Any]) -> None:
        """Write a finished cell, whole."""
        table = {"hsisr": __version__, "fingerprint": cell.fingerprint, "facts": facts}
        text = json.dumps(table, indent=1, allow_nan=False, default=str)
        replace_file(self.path(cell), f"{text}\n".encode())
