"""How an option is declared: once, in the `Annotated` type of a field of an options dataclass.

The command line, checks, records, provenance tags and the reference page derive from that.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

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
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
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
    """Check every declared option of a dataclass by its own declaration; all complaints at once."""
    complaints = []
    for name, (_, option) in declared(type(options)).items():
        value = getattr(options, name)
        try:
            fits = option.allows(value)
        except TypeError:  # a text where a number is compared, or the like
            fits = False
        if not fits:
            said = f"{name.replace('_', '-')} {_shown(value)}: expected {option.possible()}"
            complaints.append(said)
    if complaints:
        raise UsageError("; ".join(complaints))


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
