"""What calls from Python have in common: options from keywords, and progress."""

import html
import inspect
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from hsisr.errors import UsageError, did_you_mean
from hsisr.option import Option, declared, is_of

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

_Options = TypeVar("_Options")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def chosen_options(
    kind: type[_Options], given: _Options | None, keywords: dict[str, Any]
) -> _Options:
    """Options from keywords, or given ones changed by keywords.

    Text becomes what the command line reads from it, or a path, and a single value a tuple, where
    the field is one. None is as good as nothing where a field cannot be None.

    >>> from hsisr.engine.options import UpscaleOptions
    >>> chosen_options(UpscaleOptions, UpscaleOptions(scale=2), {"tile": 16}).scale
    2
    """
    if given is not None and not isinstance(given, kind):
        found = type(given).__name__
        raise UsageError(f"found {found} for the options, expected {kind.__name__} or keywords")
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind) if field.init]  # type: ignore[arg-type]
    for name in keywords:
        if name not in known:
            meant = (n for n, (_, option) in declared(kind).items() if f"--{name}" in option.flags)
            hint = did_you_mean(next(meant, name), known)
            raise UsageError(f"no option {name!r}; {hint}known: {', '.join(known)}")
    options = {name: option for name, (_, option) in declared(kind).items()}
    values = {
        name: _value(value, str(hints[name]), options.get(name))
        for name, value in keywords.items()
        if value is not None or is_of(None, hints[name])
    }
    for name, value in values.items():
        if name not in options and not is_of(value, hints[name]):
            raise UsageError(f"found {value!r} for {name!r}, expected {hints[name]}")
    if given is None:
        return kind(**values)
    changed: _Options = replace(given, **values)  # type: ignore[type-var]
    return changed


def _value(value: Any, hint: str, option: Option | None) -> Any:
    if option and option.parse:
        texts = [value] if isinstance(value, str) else value
        if option.given_as == str | None and isinstance(value, str):
            return option.parse(value)
        if option.given_as == list[str] | None and is_of(texts, tuple[str, ...]):
            return option.parse(texts)
    return _converted(value, hint, option.reads if option else None)


def _converted(value: Any, hint: str, reads: Callable[[Any], Any] | None) -> Any:
    if value is None:
        return None
    if "bool" in hint:
        if getattr(value, "ndim", 0) or value not in (True, False):
            raise UsageError(f"found {value!r} for a switch, expected True or False")
        return bool(value)
    if hint.startswith("tuple["):
        alone = isinstance(value, (str, Path)) or not isinstance(value, Iterable)
        several = [value] if alone else value
        return tuple(_converted(one, hint.removeprefix("tuple["), reads) for one in several)
    if isinstance(value, Real):
        return _number(value, hint)
    if not isinstance(value, str):
        return _text(value) if "str" in hint else value
    return (reads or (Path if "Path" in hint else str))(value)


def _text(value: Any) -> Any:
    """A path, or a type of numbers, as text; what is neither as it is."""
    if isinstance(value, type):
        return value.__name__
    return str(value) if isinstance(value, Path) or hasattr(value, "itemsize") else value


def _number(value: Any, hint: str) -> Any:
    """A number of Python's own, not NumPy's, and as text where a field is one.

    A fraction for a whole number becomes a text, which no check lets pass.
    """
    if "int" in hint:
        return int(value) if math.isfinite(value) and value == int(value) else f"{value:g}"
    return format(float(value), ".17g") if "str" in hint else float(value)


def keywords_of(kind: type) -> Callable[[_Function], _Function]:
    """Show the fields of an options dataclass as keywords, in `help` and to completion."""

    def shows(function: _Function) -> _Function:
        signature, hints = inspect.signature(function), get_type_hints(kind)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        added = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=... if field.default is MISSING else field.default,
                annotation=hints[field.name],
            )
            for field in fields(kind)
            if field.init and field.name not in signature.parameters
        ]
        full = signature.replace(parameters=[*own, *added])
        function.__signature__ = full  # type: ignore[attr-defined]
        return function

    return shows


Advance = Callable[[int, int], None]
"""Called with what is done and what there is in all."""
Progress = bool | Advance | None
"""True: a bar; a function: it is called; False or None: nothing."""

_EVERY_S = 0.1


@contextmanager
def shown(progress: Progress, what: str, unit: str = "tiles") -> Iterator[Advance | None]:
    """What to call as work gets done, or None.

    With True a notebook gets a bar under its cell and a terminal one on stderr; elsewhere (a batch
    job, a pipe) nothing is shown.
    """
    if progress is None or progress is False:
        yield None
    elif progress is not True:
        if not callable(progress):
            raise UsageError(f"found {progress!r} for progress, expected True or a function")
        yield progress
    elif _in_notebook():
        yield _notebook_bar(what, unit)
    elif sys.stderr.isatty():
        with terminal_bars() as bars:
            yield SceneProgress(bars, what, unit)
    else:
        yield None


def terminal_bars(*, redirect: bool = True) -> "Bars":
    """Bars on stderr with name, count, `talk`, time gone and time left; to be entered by `with`.

    What is printed meanwhile appears above them, unless the caller sees to that: `redirect`.
    """
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[count]}", markup=False),
        progress.TextColumn("{task.fields[talk]}", markup=False),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=redirect,
        redirect_stderr=redirect,
    )


class Task:
    """One bar."""

    def __init__(self, bars: "Bars", name: str, unit: str = "") -> None:
        self._bars, self._unit = bars, unit
        self._task = bars.add_task(name, total=None, count="", talk="")

    def at(self, done: float, total: float | None, talk: str | None = None) -> None:
        """Show how far it is; without `talk` with its speed."""
        bars, unit = self._bars, self._unit
        if talk is None:
            speed = next(task for task in bars.tasks if task.id == self._task).speed
            talk = f"{speed:.1f}/s" if speed else ""
        of = "" if total is None else f"/{total:g}"
        done_text = f"{done:.1f}" if unit == "min" else f"{done:g}"
        count = f"{done_text}{of} {unit}"
        bars.update(self._task, completed=done, total=total, count=count, talk=talk)

    def end(self) -> None:
        """Take the bar away."""
        self._bars.remove_task(self._task)


class SceneProgress:
    """Progress of one scene; called with tiles done and tiles in all."""

    def __init__(self, bars: "Bars", name: str, unit: str = "tiles") -> None:
        self._bars, self._task = bars, Task(bars, name, unit)
        self._reading: Task | None = None

    def __call__(self, done: int, total: int) -> None:
        """Some tiles are finished."""
        self._end_reading()
        self._task.at(done, total)

    def reading(self, done: int, total: int) -> None:
        """Some rows are read for the statistics of the bands."""
        self._reading = self._reading or Task(self._bars, "reading statistics", "rows")
        self._reading.at(done, total, "")

    def _end_reading(self) -> None:
        if self._reading is not None:
            self._reading.end()
            self._reading = None

    def end(self) -> None:
        """The scene is finished, or has failed."""
        self._end_reading()
        self._task.end()


def _in_notebook() -> bool:
    """True inside a Jupyter kernel, which has IPython loaded."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def _notebook_bar(what: str, unit: str) -> Advance:
    from IPython.display import HTML, display

    handle = display(HTML(_bar(what, 0, 1, unit, 0)), display_id=True)  # type: ignore[no-untyped-call]
    started, drawn = time.monotonic(), 0.0

    def advance(done: int, total: int) -> None:
        nonlocal drawn
        now = time.monotonic()
        if done == total or now - drawn > _EVERY_S:
            drawn = now
            handle.update(HTML(_bar(what, done, total, unit, now - started)))  # type: ignore[no-untyped-call]

    return advance


def _bar(what: str, done: int, total: int, unit: str, seconds: float) -> str:
    left = f", {seconds / done * (total - done):.0f} s left" if 0 < done < total else ""
    name = html.escape(what, quote=True)
    return (
        f"<progress value='{done}' max='{total}' aria-label='{name}'></progress> "
        f"{name}: {done} of {total} {unit}, {seconds:.0f} s{left}"
    )
