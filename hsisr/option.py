"""How an option is declared: once, in the `Annotated` type of a field of an options dataclass.

The command line, checks, records, provenance tags and the reference page derive from that.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from hsisr.errors import UsageError

SCALES = (2, 4, 8)
"""HR pixels per LR pixel along a side, the ones that networks are built for."""


@dataclass(frozen=True, slots=True)
class Option:
    """The declaration of an option, in the `Annotated` type of a dataclass field.

    The field has the type and the default; None means that the option was not given.
    """

    help: str
    flags: tuple[str, ...] = ()
    """On the command line, beside or instead of the field's name with dashes."""
    metavar: str | None = None
    panel: str | None = None
    affects_result: bool = False
    """An output made with another value is another output: it is compared with the completion
    record and, by a resumed run, with the interrupted one."""
    affects_rounding: bool = False
    """Decides the last bits: a resumed run needs the same value, a finished output does not."""
    in_tags: bool = True
    """Stands in the provenance tags of outputs; False for what is nobody else's business."""
    least: int | None = None
    choices: tuple[Any, ...] = ()
    pattern: str | None = None
    """Regular expression that the whole text must match."""
    expected: str = ""
    """For the message about an impossible value, where it does not follow from the rest."""
    check: Callable[[Any], bool] | None = None
    """True for possible values; asked only for what is given."""
    suggest: Callable[[], Iterable[str]] | None = None
    """Values that the shell proposes, where `choices` does not hold them."""
    reads: Callable[[Any], Any] | None = None
    """From one text of the command line to a value."""
    given_as: Any = None
    """Type on the command line, where it is not the field's."""
    parse: Callable[[Any], Any] | None = None
    """From what the command line gives to the field's value."""

    def allows(self, value: Any) -> bool:
        """Whether a value is possible; None, not given, always is."""
        several = value if isinstance(value, tuple) else (value,)
        return value is None or not (
            (self.least is not None and value < self.least)
            or (self.choices and not {*several} <= {*self.choices})
            or (self.pattern is not None and not re.fullmatch(self.pattern, value))
            or (self.check is not None and not self.check(value))
        )

    def possible(self) -> str:
        """Possible values in words."""
        if self.choices and not self.expected:
            *others, last = map(str, self.choices)
            return f"{', '.join(others)} or {last}"
        return self.expected or f"at least {self.least}"


def plain_fields(made: Any) -> dict[str, Any]:
    """What a dataclass holds as values for JSON: paths become texts."""
    return {f.name: _plain(getattr(made, f.name)) for f in fields(made)}


class Result:
    """What a command made, a dataclass."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return plain_fields(self)


def _plain(value: Any) -> Any:
    """As JSON has it, which knows neither infinity nor NaN.

    >>> _plain((Path("a.tif"), 1.5, float("inf"), float("nan")))
    ('a.tif', 1.5, 'inf', None)
    """
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return str(value) if isinstance(value, Path) else value


def declared(kind: type) -> dict[str, tuple[Any, Option]]:
    """(type, declaration) of each option of a dataclass, by the name of its field."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        f.name: (hints[f.name].__origin__, option)
        for f in fields(kind)
        for option in getattr(hints[f.name], "__metadata__", ())
        if isinstance(option, Option)
    }


def refuse_impossible(options: Any) -> None:
    """Check every declared option of a dataclass by its type and its own declaration.

    Raises:
        UsageError: Values that are not possible, all of them at once.
    """
    complaints = []
    for name, (kind, option) in declared(type(options)).items():
        value, expected = getattr(options, name), option.possible()
        fits = is_of(value, kind)
        if not (fits or option.expected or option.choices):
            expected = _words(kind)
        if not fits or not option.allows(value):
            complaints.append(f"{name.replace('_', '-')} {_shown(value)}: expected {expected}")
    if complaints:
        raise UsageError("; ".join(complaints))


def is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a type as fields have it; lists pass for tuples, integers for floats.

    >>> is_of(None, int | None), is_of((1, "2"), tuple[int, ...]), is_of(1, float)
    (True, False, True)
    """
    inner = get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, (tuple, list)) and all(is_of(one, inner[0]) for one in value)
    if get_origin(kind) is Mapping:
        return isinstance(value, Mapping)
    if inner:
        return any(is_of(value, one) for one in inner)
    return isinstance(value, (int, float) if kind is float else kind)


def _words(kind: Any) -> str:
    """What a value of a type is called.

    >>> _words(tuple[str, ...]), _words(Path | None)
    ('texts', 'a path')
    """
    if get_origin(kind) is Mapping:
        return "a mapping of texts, or texts KEY=VALUE"
    name = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
    words = next((name[one] for one in (kind, *get_args(kind)) if one in name), "a path")
    return f"{words.removeprefix('a ')}s" if get_origin(kind) is tuple else words


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(str(one) for one in value) or "nothing"
    return f"{value:g}" if isinstance(value, float) else repr(value)


def key_values(texts: list[str]) -> dict[str, str]:
    """Creation options from KEY=VALUE texts."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--co {text}: expected KEY=VALUE")
        pairs[key.upper()] = value
    return pairs


def numbers_of(text: str | None, kind: type[Any]) -> tuple[Any, ...] | None:
    """Numbers with commas between them; the text alone, which no check lets pass, if it is none."""
    try:
        return None if text is None else tuple(kind(part) for part in text.split(","))
    except ValueError:
        return (text,)


def ranges_of(text: str) -> list[tuple[float, float]]:
    """Pairs of numbers, as "400-700,900-1000" has them."""
    ends = (part.partition("-") for part in text.split(","))
    return [(float(low), float(high)) for low, _, high in ends]


def names_of(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
