"""The layout of the package: imports only downwards, never round, and no room too large."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

import hsisr
from hsisr.commands.options import DegradeOptions, EvaluateOptions, TrainOptions, ViewOptions
from hsisr.engine.options import SelectOptions, UpscaleOptions

ROOT = Path(hsisr.__file__).parent
PROJECT = Path(__file__).parents[1]
FLOORS = (
    {"", "errors", "option"},  # the package's own `__init__` imports late
    {"scene", "tiling", "degradation", "metrics"},
    {"io", "models"},
    {"weights", "datasets", "training", "engine", "resume"},
    {"commands", "benchmark", "view"},
    {"cli", "__main__"},
)
MOST_LINES: Final = 500
MOST_ENTRIES: Final = 14
MOST_ENTRIES_OF: Final = {"": 18, "io": 18}
STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
STILL_LARGER: Final[dict[str, int]] = {}
"""Folders above the limit and their number of entries, which may only shrink."""


def name_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(("hsisr", *(parts[:-1] if parts[-1] == "__init__" else parts)))


class House:
    """Modules of a package tree, packages included, and what each imports."""

    def __init__(self, root: Path) -> None:
        self.paths = {name_of(path, root): path for path in sorted(root.rglob("*.py"))}
        self.trees = {
            name: ast.parse(path.read_text(encoding="utf-8")) for name, path in self.paths.items()
        }

    @cache  # noqa: B019 - one house, or two, live as long as the tests
    def imports(self, module: str, *, late: bool) -> list[tuple[str, str | None]]:
        """(module, name or None) of each import; `late`: those too that loading does not run."""
        tree, found = self.trees[module], list[tuple[str, str | None]]()
        for node in ast.walk(tree) if late else _run_on_loading(tree):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found += [(node.module, alias.name) for alias in node.names]
            elif isinstance(node, ast.Import):
                found += [(alias.name, None) for alias in node.names]
        return found

    def used(self, module: str, *, late: bool = True) -> set[str]:
        """Modules of the house that an import names, or takes from through an `__init__`."""
        found = set()
        for origin, name in self.imports(module, late=late):
            target = f"{origin}.{name}"
            if target in self.paths:
                found.add(target)
            elif origin in self.paths:
                found |= {origin, *self._origin_of(origin, name)}
            # the packages on the way are loaded, too
            steps = origin.split(".")
            ways = {".".join(steps[:end]) for end in range(1, len(steps))} & self.paths.keys()
            found |= {way for way in ways if not f"{module}.".startswith(f"{way}.")}
        return found - {module}

    def _origin_of(self, package: str, name: str | None) -> set[str]:
        """Where a package has a name from that its `__init__` imports."""
        if self.paths[package].name != "__init__.py":
            return set()
        return {
            origin
            for origin, given in self.imports(package, late=True)
            if given == name and origin in self.paths
        }

    @cache  # noqa: B019 - as above
    def graph(self, *, late: bool = True) -> dict[str, set[str]]:
        # an `__init__` that loads its rooms late (PEP 562) does not depend on them
        return {
            name: self.used(name, late=late and path.name != "__init__.py")
            for name, path in self.paths.items()
        }

    def names_torch(self, module: str, *, late: bool) -> bool:
        return any(origin.split(".")[0] == "torch" for origin, _ in self.imports(module, late=late))

    def ways_to_torch(self, module: str) -> list[str]:
        """Modules loaded with this one, itself included, that load torch."""
        graph, seen, waiting = self.graph(late=False), {module}, [module]
        while waiting:
            new = graph[waiting.pop()] - seen
            seen |= new
            waiting += new
        return sorted(name for name in seen if self.names_torch(name, late=False))


def _run_on_loading(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, STATEMENTS) or isinstance(child, FUNCTIONS):
            continue  # no import is in an expression
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _run_on_loading(child)


@pytest.fixture(scope="module")
def house() -> House:
    return House(ROOT)


def floor(module: str) -> int:
    """Number of the floor a module lives on, the ground being 0."""
    room = (*module.split("."), "")[1]
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def test_imports_go_down_and_never_round(house: House) -> None:
    up = [(a, b) for a, used in house.graph().items() for b in used if floor(b) > floor(a)]
    assert up == []
    TopologicalSorter(house.graph()).prepare()  # raises CycleError, naming the modules


def test_readers_and_writers_know_no_torch(house: House) -> None:
    rooms = [name for name in house.paths if name.startswith("hsisr.io")]
    assert [name for name in rooms if house.names_torch(name, late=True)] == []
    assert {name: ways for name in rooms if (ways := house.ways_to_torch(name))} == {}


def test_the_law_sees_every_form_of_import(tmp_path: Path) -> None:
    sources = {
        "__init__.py": "",
        "io/__init__.py": "from hsisr.models import network",
        "io/zarr/__init__.py": "",
        "io/zarr/reader.py": "def read():\n    from torch import nn",
        "models/__init__.py": "from hsisr.models.layers import network",
        "models/layers.py": "import torch.nn as nn\nfrom hsisr.cli import main",
        "cli/__init__.py": "",
        "cli/main.py": "from hsisr.io import network",
    }
    for name, text in sources.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    house = House(tmp_path)
    assert house.names_torch("hsisr.io.zarr.reader", late=True)
    assert house.ways_to_torch("hsisr.io") == ["hsisr.models.layers"]
    assert "hsisr.models.layers" in house.used("hsisr.io")  # through an `__init__`
    assert house.used("hsisr.cli.main") == {"hsisr.io", "hsisr.models"}
    with pytest.raises(ValueError, match="cycle"):
        TopologicalSorter(house.graph()).prepare()


def test_no_file_is_too_long() -> None:
    files = [p for room in ("hsisr", "tests", "docs") for p in (PROJECT / room).rglob("*.py")]
    lengths = {str(p): len(p.read_text(encoding="utf-8").splitlines()) for p in files}
    assert {path: count for path, count in lengths.items() if count > MOST_LINES} == {}


def entries_of_folders() -> dict[str, int]:
    folders = [ROOT, *(p for p in ROOT.rglob("*") if p.is_dir() and p.name != "__pycache__")]
    return {
        folder.relative_to(ROOT).as_posix().removeprefix("."): sum(
            (p.suffix == ".py" and p.name != "__init__.py") or (p / "__init__.py").exists()
            for p in folder.iterdir()
        )
        for folder in folders
    }


def test_no_folder_has_too_many_entries() -> None:
    limits = {**MOST_ENTRIES_OF, **STILL_LARGER}
    found = entries_of_folders()
    assert {f: n for f, n in found.items() if n > limits.get(f, MOST_ENTRIES)} == {}
    done = [f for f in STILL_LARGER if found[f] <= MOST_ENTRIES_OF.get(f, MOST_ENTRIES)]
    assert done == [], "within the limit now: take them out of STILL_LARGER"


MOST_CALLS: Final = 3
KINDS: Final = (UpscaleOptions, SelectOptions, DegradeOptions, EvaluateOptions, TrainOptions)
QUANTITIES: Final = {"scale", "bands", "window", "wavelengths", "tile", "observed", "axes"}
"""What functions compute with, whether or not it was once an option of that name."""
OPTIONS: Final = {f.name for kind in (*KINDS, ViewOptions) for f in fields(kind)} - QUANTITIES

Place = tuple[str, str]
"""Name of a function or class, name of its parameter."""


def functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
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


def handed_on(trees: Iterable[ast.AST]) -> dict[Place, set[Place]]:
    """From a parameter to the parameters of the same name that get it as it came."""
    known = [found for tree in trees for found in functions(tree)]
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


def too_long(trees: Iterable[ast.AST]) -> list[tuple[str, list[str]]]:
    onwards = handed_on(trees)
    ways = [(place[1], chain(place, onwards, ())) for place in [*onwards] if place[1] in OPTIONS]
    return [way for way in ways if len(way[1]) - 1 > MOST_CALLS]


def test_no_option_is_handed_on_through_more_than_three_calls(house: House) -> None:
    assert too_long(house.trees.values()) == []


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
    assert too_long([ast.parse(source)]) == [("dtype", ["a", "b", "c", "d", "E"])]
