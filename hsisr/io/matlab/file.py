"""MATLAB files of either kind as a table of variables."""

import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from hsisr.errors import HsisrError, InputDataError, ResourceError

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


@contextmanager
def reading() -> Iterator[None]:
    """Turn what happens on damaged files into one error.

    Raises:
        InputDataError: The file is damaged or no MATLAB file.
        ResourceError: A variable does not fit into memory.
    """
    try:
        yield
    except HsisrError:
        raise
    except MemoryError as error:
        raise ResourceError(
            "a variable does not fit into memory; save it with -v7.3, which is read by windows"
        ) from error
    except (
        *(OSError, ValueError, TypeError, LookupError, RuntimeError, NotImplementedError),
        *(OverflowError, AttributeError, struct.error, zlib.error),
    ) as error:
        reason = " ".join(str(error).split())
        raise InputDataError(
            f"not a whole MATLAB file; it is truncated, damaged or of another kind ({reason})"
        ) from error
