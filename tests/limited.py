"""Running a piece of Python in a process that may ask for little more memory than it has."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.program import ran

LITTLE = 256 * 2**20
"""Bytes that scenes may take beyond what the libraries have."""

_PROGRAM = """
import json, resource, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from hsisr.errors import HsisrError
from {module} import {function} as use
def outcome(path):
    try:
        use(Path(path))
    except HsisrError as error:
        return type(error).__name__ + ": " + str(error)
    except MemoryError:
        return "MemoryError"
    return "works"
warm, more, *paths = sys.argv[1:]
assert outcome(warm) == "works", outcome(warm)
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + int(more)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(json.dumps([outcome(path) for path in paths]))
"""


def outcomes(use: str, sound: Path, hostile: Sequence[Path], *, more: int) -> list[str]:
    """What "module:function" comes to on each path, in a process that may take `more` bytes."""
    module, function = use.split(":")
    program = _PROGRAM.format(module=module, function=function)
    done = ran(program, sound, more, *hostile)
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def outcomes_of_scenes(
    folder: Path, makers: Mapping[str, Callable[[Path], Path]], sound: Path
) -> dict[str, str]:
    """The same for scenes, each made in a folder of its own, in one process of little memory."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux counts a process's address space in /proc")
    paths = []
    for name, make in makers.items():
        (folder / name).mkdir()
        paths.append(make(folder / name))
    found = outcomes("tests.fuzz.scene_use:use_scene", sound, paths, more=LITTLE)
    return dict(zip(makers, found, strict=True))
