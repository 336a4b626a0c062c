"""The house's floors: imports go down, and never round."""

import ast
import gc
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import hsisr

ROOT = Path(hsisr.__file__).parent
FLOORS = (
    {"errors"},
    {"scene", "tiling", "degradation", "metrics"},
    {"io", "models"},
    {"weights", "datasets", "training", "engine", "resume"},
    {"commands", "benchmark"},
    {"cli", "__main__"},
)


@pytest.fixture(autouse=True)
def no_garbage() -> Iterator[None]:
    """Garbage of other tests is taken away before, not in the middle of `ast.parse`.

    What is destroyed may print where it came from, which parses a line; Python 3.11 then takes the
    inner parser's depth for the outer one's and raises SystemError.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def modules() -> dict[str, Path]:
    return {
        ".".join(("hsisr", *path.relative_to(ROOT).with_suffix("").parts)): path
        for path in ROOT.rglob("*.py")
        if path.name != "__init__.py"
    }


def imported(path: Path) -> set[str]:
    """Modules of the house that a file names in any import, type-only and late ones included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("hsisr"):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & modules().keys()


def rooms() -> dict[str, set[str]]:
    return {name: imported(path) for name, path in modules().items()}


def floor(module: str) -> int:
    """Number of the floor a module lives on, the ground being 0."""
    return next(n for n, names in enumerate(FLOORS) if module.split(".")[1] in names)


def test_imports_go_down() -> None:
    up = [(a, b) for a, used in rooms().items() for b in used if floor(b) > floor(a)]
    assert up == []


def test_imports_never_go_round() -> None:
    TopologicalSorter(rooms()).prepare()  # raises CycleError, naming the rooms


def test_readers_and_writers_know_no_torch() -> None:
    for path in (ROOT / "io").glob("*.py"):
        assert "import torch" not in path.read_text(encoding="utf-8"), path


def test_no_file_outgrows_its_idea() -> None:
    long = {str(p): n for p in ROOT.rglob("*.py") if (n := len(p.read_text().splitlines())) > 320}
    assert long == {}
