"""Options on the command line: from the declarations in options dataclasses to Typer's parameters.

`takes` gives a command every option of a dataclass. The types below are for commands that list
their options one by one.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, Final, Generic, TypeVar, get_args

import typer

from hsisr.engine import options as declarations
from hsisr.engine.options import Option, declared

_Options = TypeVar("_Options")


@dataclass(frozen=True, slots=True)
class Given(Generic[_Options]):
    """Options as the command line gave them, before they are checked."""

    kind: type[_Options]
    values: Mapping[str, Any]
    """By the name of the field; what was not given is left out."""

    def made(self, **changes: Any) -> _Options:
        """The options dataclass; `changes` take the place of what was given.

        Raises:
            UsageError: An option has an impossible value.
        """
        table = declared(self.kind)
        parsed = {
            name: value if (parse := table[name][1].parse) is None else parse(value)
            for name, value in self.values.items()
        }
        given = {name: value for name, value in changes.items() if value is not None}
        return self.kind(**{**parsed, **given})


def takes(kind: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one parameter for each option that a dataclass declares.

    They take the place of the command's own parameter `options`, which receives a `Given`.

    Args:
        kind: A dataclass whose fields are annotated with `Option`.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command)
        derived = _parameters(kind)
        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, one in own.parameters.items()
            for parameter in (derived if name == "options" else [one])
        ]
        parameters.sort(key=_panel)
        names = {parameter.name for parameter in derived}

        @functools.wraps(command)
        def called(**given: Any) -> None:
            values = {n: v for n, v in given.items() if n in names and v is not None}
            others = {n: v for n, v in given.items() if n not in names}
            command(**others, options=Given(kind, values))

        called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in parameters}
        return called

    return decorated


def _parameters(kind: type[Any]) -> list[inspect.Parameter]:
    defaults = {f.name: None if f.default is MISSING else f.default for f in fields(kind)}
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults[name],
            annotation=Annotated[option.given_as or given, _shown(name, option, defaults[name])],
        )
        for name, (given, option) in declared(kind).items()
    ]


def _panel(parameter: inspect.Parameter) -> int:
    """Place of a parameter's panel in the help; arguments come first."""
    panel = getattr(parameter.annotation.__metadata__[0], "rich_help_panel", None)
    return declarations.PANELS.index(panel) if panel in declarations.PANELS else -1


def _shown(name: str, option: Option, default: object = None, least: int | None = None) -> Any:
    """Typer's description of an option; a switch that is on by default gets its negative too."""
    flags = option.flags
    if default is not True and not any(flag.startswith("--") for flag in flags):
        flags = (f"--{name.replace('_', '-')}", *flags)
    return typer.Option(
        *flags,
        help=option.help,
        metavar=option.metavar or "|".join(map(str, option.choices)) or None,
        rich_help_panel=option.panel,
        min=least,
        parser=option.reads,
        autocompletion=completed(option.suggest or (lambda: map(str, option.choices))),
    )


def completed(values: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """What a shell asks for the values of an option that begin with a text."""
    return lambda incomplete: [
        value for value in values() if value.lower().startswith(incomplete.lower())
    ]


def _one(name: str, alias: object) -> Any:
    """Typer's description of an option that is declared as a type of its own."""
    option = next(found for found in get_args(alias) if isinstance(found, Option))
    return _shown(name, option, least=option.least)


_TALK: Final[dict[str, Any]] = {"rich_help_panel": declarations.TALK}
Verbose = Annotated[
    int,
    typer.Option("--verbose", "-v", count=True, help="Say more; -vv shows tracebacks.", **_TALK),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", **_TALK)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.", **_TALK)]
Overwrite = Annotated[bool, _one("overwrite", declarations.Overwrite)]
Variable = Annotated[str | None, _one("variable", declarations.Variable)]
Axes = Annotated[str | None, _one("axes", declarations.Axes)]
Nodata = Annotated[str | None, _one("nodata", declarations.Nodata)]
WindowOf = Annotated[str | None, _one("window", declarations.WindowOf)]
Bbox = Annotated[str | None, _one("bbox", declarations.Bbox)]
Scale = Annotated[int, _one("scale", declarations.Scale)]
Device = Annotated[str, _one("device", declarations.Device)]
Threads = Annotated[int | None, _one("threads", declarations.Threads)]


def verbosity(verbose: int, *, quiet: bool) -> int:
    """One number for how much to say: -1 quiet, 0 normal, 1 verbose, 2 debug."""
    return -1 if quiet else verbose
