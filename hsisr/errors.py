"""Every deliberate error and warning; each error class carries its exit code.

A message says what was found, what was expected and what to do. The command line prints that
line and nothing else; text of files in it is made safe for terminals.
"""

import errno
import struct
import unicodedata
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields
from typing import Any, ClassVar, Final, Literal, get_args, get_origin, get_type_hints

_LONGEST: Final = 3000
DAMAGED: Final = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError),
    *(AssertionError, BufferError, EOFError, SyntaxError, struct.error, zlib.error),
)
"""What libraries raise on files that are not what they seem, memory apart."""


class HsisrError(Exception):
    """Base of all deliberate errors; the command line prints its message and nothing else."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """The message as one printable line, whatever a file had in the words quoted from it."""
        return one_line(super().__str__())


def one_line(text: str) -> str:
    r"""Text without line breaks and control characters, its middle left out if it is very long.

    >>> one_line("bands = 5\n\x1b[2Jsamples")
    'bands = 5 \\x1b[2Jsamples'
    """
    plain = " ".join(text.split())
    if not plain.isprintable():
        plain = "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain
        )
    if len(plain) > _LONGEST:
        plain = f"{plain[: _LONGEST * 2 // 3]} [...] {plain[-_LONGEST // 4 :]}"
    return plain


def printable(text: str) -> str:
    r"""Lines of text without control characters, which could rewrite a terminal.

    >>> printable("crs\tx\x1b[2J\nline 2")
    'crs\tx\\x1b[2J\nline 2'
    """
    return "".join(
        c
        if c.isprintable() or c in "\n\t" or unicodedata.category(c) == "Zs"
        else c.encode("unicode_escape").decode()
        for c in text.encode("utf-8", "backslashreplace").decode()
    )


class DivergedError(HsisrError):
    """Training broke down: the loss is no longer a number."""


class OutputExistsError(HsisrError, FileExistsError):
    """The output is there already and `--overwrite` was not given."""


class UsageError(HsisrError, ValueError):
    """The options contradict each other or ask for something that does not exist."""

    exit_code = 2


class TilingError(UsageError):
    """Windows cannot cover an axis as asked."""


class InputDataError(HsisrError, ValueError):
    """The data given cannot be used as it is."""

    exit_code = 3


class WeightsError(HsisrError, ValueError):
    """A weights file or model name cannot be used."""

    exit_code = 4


class ResourceError(HsisrError, OSError):
    """The machine lacks something: space, memory, a device, the permission to write."""

    exit_code = 5


class HsisrWarning(UserWarning):
    """Something the user may want to know but need not act on."""


def warn(text: str) -> None:
    """Warn with an `HsisrWarning` on behalf of the function that calls the caller."""
    warnings.warn(text, HsisrWarning, stacklevel=3)


_scene: ContextVar[str] = ContextVar("scene", default="")


@contextmanager
def about_scene(name: object) -> Iterator[None]:
    """Have warnings that are raised inside name this scene."""
    token = _scene.set(str(name))
    try:
        yield
    finally:
        _scene.reset(token)


def warn_of_scene(text: str) -> None:
    """Warn of something in the scene that is being opened or read (`about_scene`).

    Warns:
        HsisrWarning: Always.
    """
    name = _scene.get()
    warn(f"{name}: {text}" if name else text)


class MovedValuesWarning(HsisrWarning):
    """Values had to be changed to fit the output's data type or to stay apart from nodata."""


def system_words(error: OSError) -> str:
    """What the system refused, and of which file.

    >>> system_words(FileNotFoundError(2, "No such file or directory", "a.tif"))
    'a.tif: No such file or directory'
    """
    named = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return one_line(": ".join([*named, error.strerror or str(error)]))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names, as words in the middle of a message; nothing if none is near.

    >>> did_you_mean("dacm", ["dacn", "edsr"]), did_you_mean("x", ["dacn"])
    ("did you mean 'dacn'? ", '')
    """
    from difflib import get_close_matches  # late: only mistakes need it

    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


_NO_MEMORY: Final = (
    *("can't allocate memory", "failed to map segment", "std::bad_alloc"),
    *("could not create a primitive", "could not execute a primitive", "could not create a memory"),
    *("error return without exception set", "returned NULL without setting an exception"),
    "can't start new thread",
)
"""What torch's allocator, the system's loader and C++ say; oneDNN, which gives no reason, but is
asked only for what it can do; and Python, of a library that could not even make its error, and of a
thread whose stack finds no room."""


def means_no_memory(error: BaseException) -> bool:
    """True if an error of whatever library says that there is not enough memory.

    >>> means_no_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    True
    >>> means_no_memory(RuntimeError("could not create a primitive (-vv shows where)"))
    True
    >>> means_no_memory(RuntimeError("can't start new thread"))
    True
    """
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(words in str(error) for words in _NO_MEMORY)


def wrong_fields(made: Any) -> list[str]:
    """What a dataclass holds that the types of its fields do not allow: found and expected.

    Types are those of msgspec: `Annotated[int, Meta(gt=0)]` is a whole number above 0. A whole
    number passes for a float; a float that is not finite passes for one without a limit.
    """
    import msgspec

    hints, found = get_type_hints(type(made), include_extras=True), []
    for field in fields(made):
        hint, value = hints[field.name], getattr(made, field.name)
        try:
            msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            expected = (
                str(error).partition(" - at ")[0].replace("`", "").replace("Expected", "expected")
            )
            if get_origin(hint) is Literal:
                expected = f"expected {' or '.join(map(repr, get_args(hint)))}"
            found.append(f"{field.name} is {value!r}, {expected}")
    return found
