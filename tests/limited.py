"""Running a piece of Python in a process that may ask for little more memory than it has."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.nursery import forked

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


def outcomes(
    use: str, makers: Mapping[str, Callable[[Path], Path]], sound: Path, *, more: int = LITTLE
) -> dict[str, str]:
    """What "module:function" comes to on each file, in one process that may take `more` bytes.

    Each is made in a folder of its own beside `sound`.
    """
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux counts a process's address space in /proc")
    paths = []
    for name, make in makers.items():
        (sound.parent / name).mkdir()
        paths.append(make(sound.parent / name))
    module, function = use.split(":")
    done = forked(_PROGRAM.format(module=module, function=function), sound, more, *paths)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(makers, json.loads(done.stdout.splitlines()[-1]), strict=True))
