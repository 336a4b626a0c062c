"""MATLAB files of either kind as a table of variables."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from hsisr.io.products.hdf import reading_errors

Kind = Literal["numbers", "flags", "text", "other"]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable by its outside."""

    shape: tuple[int, ...]
    """As MATLAB's `size` gives it."""
    kind: Kind


class MatFile(ABC):
    """An open MATLAB file."""

    format: str
    variables: Mapping[str, Variable]

    @abstractmethod
    def array(self, name: str) -> tuple[Any, bool]:
        """A variable of numbers to slice, and whether its axes are in reverse of MATLAB's."""

    @abstractmethod
    def texts(self, name: str) -> list[str]:
        """The strings of a text: one a row of a char array, one a cell of a cell array."""

    @abstractmethod
    def close(self) -> None:
        """Release the file."""


reading = partial(reading_errors, "MATLAB file")
"""Context in which what happens on damaged files becomes one error; see `reading_errors`."""
