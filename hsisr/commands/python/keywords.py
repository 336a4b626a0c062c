"""Keywords of a function that are the fields of an options dataclass."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from hsisr.errors import UsageError

_Options = TypeVar("_Options")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def chosen_options(
    kind: type[_Options], given: _Options | None, keywords: dict[str, Any]
) -> _Options:
    """Options from keywords, or given ones changed by keywords.

    Text becomes a path, and a single value a tuple, where the field is one.

    Raises:
        UsageError: A keyword is no option, or has an impossible value.

    >>> from hsisr.engine.options import UpscaleOptions
    >>> chosen_options(UpscaleOptions, UpscaleOptions(scale=2), {"tile": 16}).scale
    2
    """
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind) if field.init]  # type: ignore[arg-type]
    for name in keywords:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(f"no option {name!r}; {hint}known: {', '.join(known)}")
    values = {name: _converted(value, str(hints[name])) for name, value in keywords.items()}
    if given is None:
        return kind(**values)
    changed: _Options = replace(given, **values)  # type: ignore[type-var]
    return changed


def _converted(value: Any, hint: str) -> Any:
    if hint.startswith("tuple["):
        several = [value] if isinstance(value, (str, Path)) else value
        return tuple(_converted(one, hint.removeprefix("tuple[")) for one in several)
    return Path(value) if isinstance(value, str) and "Path" in hint else value


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
