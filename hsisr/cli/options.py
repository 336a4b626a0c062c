"""Options on the command line: from the declarations in dataclasses to Typer's parameters."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args

import typer
from typer.models import OptionInfo

from hsisr.cli.console import QUIET, expected_errors
from hsisr.engine import options as declarations
from hsisr.io.paths import scene_path
from hsisr.option import Option, declared

_Options = TypeVar("_Options")


@dataclass(frozen=True, slots=True)
class Given:
    """Options as the command line gave them, before they are checked."""

    values: Mapping[str, Any]
    """By the name of the field; what was not given is left out."""
    flags: Mapping[str, str]
    """Of those that differ from their defaults, as they are written."""
    json: bool = False
    """The result is wanted as one JSON object."""
    verbosity: int = 0
    """-1 quiet, 0 normal, 1 verbose, 2 debug."""

    @property
    def quiet(self) -> bool:
        """Nothing is to be said but errors."""
        return self.verbosity == QUIET

    def made(self, kind: type[_Options], **changes: Any) -> _Options:
        """An options dataclass; `changes` take the place of what was given."""
        given = {}
        for name, (as_type, option) in declared(kind).items():
            if name in self.values:
                several = str(as_type).startswith("tuple")
                parse = option.parse or (tuple if several else lambda value: value)
                given[name] = parse(self.values[name])
        return kind(**{**given, **{n: v for n, v in changes.items() if v is not None}})

    def foreign(self, kind: type[Any]) -> list[str]:
        """Flags of what was given and is no option of a dataclass."""
        return [flag for name, flag in self.flags.items() if name not in declared(kind)]


def takes(
    *kinds: type[Any], quiet: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one parameter for each option that dataclasses declare, and --json, -v and -q.

    They take the place of the command's own parameter `options`, which receives a `Given`. Where
    several dataclasses have an option, the first describes it, and it has no default unless theirs
    are the same. Errors become lines and exit codes (`expected_errors`). `quiet`: there is a -q.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command)
        derived = _parameters(kinds)
        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, one in own.parameters.items()
            for parameter in (derived.values() if name == "options" else [one])
        ]
        parameters += [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=kind.__origin__(), annotation=kind
            )
            for name, kind in _TALKING.items()
            if quiet or name != "quiet"
        ]
        parameters.sort(key=_panel)

        @functools.wraps(command)
        def called(**given: Any) -> None:
            json, verbose, silent = (given.pop(name, False) for name in _TALKING)
            level = QUIET if silent else int(verbose)
            values = {n: v for n, v in given.items() if n in derived and v not in (None, [])}
            flags = {n: _flag(derived[n]) for n, v in values.items() if v != derived[n].default}
            others = {n: v for n, v in given.items() if n not in derived}
            with expected_errors(level):
                command(**others, options=Given(values, flags, json, level))

        called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in parameters}
        return called

    return decorated


def _parameters(kinds: tuple[type[Any], ...]) -> dict[str, inspect.Parameter]:
    defaults = [{f.name: f.default for f in fields(kind)} for kind in kinds]
    found: dict[str, inspect.Parameter] = {}
    for kind in kinds:
        for name, (type_, option) in declared(kind).items():
            default = next(table[name] for table in defaults if name in table)
            same = all(table.get(name, default) == default for table in defaults)
            if name not in found:
                found[name] = _parameter(name, type_, option, default if same else MISSING)
    return found


def _parameter(name: str, type_: Any, option: Option, default: Any) -> inspect.Parameter:
    """Typer's parameter; what is parsed from another type has its default in the help."""
    default = None if default is MISSING else default
    given_as, text = option.given_as, option.help
    if given_as is None and str(type_).startswith("tuple"):
        given_as = list[get_args(type_)[0]] | None  # type: ignore[misc]
    if given_as is not None:
        if default:
            shown = (f"{n:g}" if isinstance(n, float) else str(n) for n in default)
            text += f" [default: {','.join(shown)}]"
        default = None
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[
            given_as or type_, _shown(name, option, default, text, _word(given_as or type_))
        ],
    )


def _flag(parameter: inspect.Parameter) -> str:
    """How an option is written whose value is not the default."""
    flags = parameter.annotation.__metadata__[0].param_decls
    long = next((flag for flag in flags or () if flag.startswith("--")), None)
    name = parameter.name.replace("_", "-")
    return long or (f"--no-{name}" if parameter.default is True else f"--{name}")


def _panel(parameter: inspect.Parameter) -> int:
    """Place of a parameter's panel in the help; arguments come first, options of none are main."""
    described = parameter.annotation.__metadata__[0]
    if not isinstance(described, OptionInfo):
        return -1
    described.rich_help_panel = described.rich_help_panel or declarations.MAIN
    return declarations.PANELS.index(described.rich_help_panel)


def _word(type_: Any) -> str | None:
    """What stands in the help for a value of a type; None for switches.

    >>> _word(str | None), _word(int), _word(bool)
    ('NAME', 'N', None)
    """
    words = {"Path": "PATH", "int": "N", "float": "NUMBER", "str": "NAME"}
    return next((word for kind, word in words.items() if kind in str(type_)), None)


def _shown(name: str, option: Option, default: object, text: str, word: str | None) -> Any:
    """Typer's description of an option; a switch that is on by default gets its negative too."""
    flags = option.flags
    if default is not True and not any(flag.startswith("--") for flag in flags):
        flags = (f"--{name.replace('_', '-')}", *flags)
    return typer.Option(
        *flags,
        help=text,
        metavar=option.metavar or "|".join(map(str, option.choices)) or word,
        rich_help_panel=option.panel,
        parser=option.reads,
        autocompletion=completed(option.suggest or (lambda: map(str, option.choices))),
    )


def scene_argument(metavar: str, text: str) -> Any:
    """A positional parameter that names one scene, or several."""
    return typer.Argument(metavar=metavar, parser=scene_path, help=text)


def completed(values: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """What a shell asks for the values of an option that begin with a text."""
    return lambda incomplete: [
        value for value in values() if value.lower().startswith(incomplete.lower())
    ]


def examples(*calls: str) -> str:
    """Calls of a command, for the end of its help."""
    return "\n\n".join(["Examples:", *(f"- `{call}`" for call in calls)])


_TALK: Final[dict[str, Any]] = {"rich_help_panel": declarations.TALK}
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        show_default=False,
        help="Say more; -vv shows tracebacks.",
        **_TALK,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", **_TALK)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.", **_TALK)]
_TALKING: Final[dict[str, Any]] = {"json": Json, "verbose": Verbose, "quiet": Quiet}
SceneArgument = Annotated[Path, scene_argument("SCENE", "A scene in any supported format.")]
Overwrite = _parameters((declarations.UpscaleOptions,))["overwrite"].annotation
