"""No option is handed on unchanged through more than three calls."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Final

import hsisr
from hsisr.commands.options import DegradeOptions, EvaluateOptions, TrainOptions, ViewOptions
from hsisr.engine.options import SelectOptions, UpscaleOptions

MOST_CALLS: Final = 3
KINDS: Final = (UpscaleOptions, SelectOptions, DegradeOptions, EvaluateOptions, TrainOptions)
QUANTITIES: Final = {"scale", "bands", "window", "wavelengths", "tile", "observed", "axes"}
"""What functions compute with, whether or not it was once an option of that name."""
OPTIONS: Final = {f.name for kind in (*KINDS, ViewOptions) for f in fields(kind)} - QUANTITIES

Place = tuple[str, str]
"""Name of a function or class, name of its parameter."""


def functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions by the name under which they are called: a constructor by that of its class."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield owner if node.name == "__init__" else node.name, node
            yield from functions(node)
        else:
            yield from functions(node, node.name if isinstance(node, ast.ClassDef) else owner)


def parameters(function: ast.FunctionDef) -> list[str]:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args)]
    return names[names[:1] in (["self"], ["cls"]) :] + [one.arg for one in given.kwonlyargs]


def handed_on(sources: list[str]) -> dict[Place, set[Place]]:
    """From a parameter to the parameters of the same name that get it as it came."""
    known = [found for source in sources for found in functions(ast.parse(source))]
    taken = defaultdict(list)
    for name, function in known:
        taken[name].append(parameters(function))
    found = defaultdict(set)
    for name, function in known:
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            called = getattr(call.func, "id", getattr(call.func, "attr", ""))
            for names in taken.get(called, ()):
                given = [*zip(names, call.args, strict=False)]
                given += [(one.arg, one.value) for one in call.keywords if one.arg in names]
                found_here = {
                    (called, parameter)
                    for parameter, value in given
                    if isinstance(value, ast.Name) and value.id == parameter != called
                }
                for _, parameter in found_here & {(called, one) for one in parameters(function)}:
                    if called != name:
                        found[name, parameter].add((called, parameter))
    return found


def chain(start: Place, onwards: dict[Place, set[Place]], seen: tuple[Place, ...]) -> list[str]:
    """The longest way of an option; a class that is made with it keeps it, so it ends there."""
    following = [] if start[0][:1].isupper() else onwards.get(start, set()) - {*seen}
    ways = [chain(place, onwards, (*seen, start)) for place in following]
    return [start[0], *max(ways, key=len, default=[])]


def too_long(sources: list[str]) -> list[tuple[str, list[str]]]:
    onwards = handed_on(sources)
    ways = [(place[1], chain(place, onwards, ())) for place in [*onwards] if place[1] in OPTIONS]
    return [way for way in ways if len(way[1]) - 1 > MOST_CALLS]


def test_no_option_is_handed_on_through_more_than_three_calls() -> None:
    package = Path(hsisr.__file__).parent
    sources = [path.read_text(encoding="utf-8") for path in package.rglob("*.py")]
    assert too_long(sources) == []


def test_the_law_sees_what_is_handed_on_by_place_and_by_name() -> None:
    source = """
def a(dtype): b(dtype)
def b(dtype): c(1, dtype=dtype)
def c(_, *, dtype): x.d(dtype)
class D:
    def d(self, dtype): E(dtype)
class E:
    def __init__(self, dtype): f(dtype)
def f(dtype): dtype
"""
    assert too_long([source]) == [("dtype", ["a", "b", "c", "d", "E"])]
