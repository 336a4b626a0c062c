"""The program as its user calls it, in this process, and what it leaves."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from typer.testing import CliRunner, Result

from hsisr.cli.main import app
from hsisr.io.open import open_scene
from hsisr.scene.metadata import Cube, SceneMetadata


def hsisr(*arguments: object, stdin: str | None = None) -> Result:
    """Run a command; its exit code, and what it wrote to either stream."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def succeed(*arguments: object, stdin: str | None = None) -> Result:
    result = hsisr(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def ran(code: str, *words: object, **more: Any) -> "subprocess.CompletedProcess[str]":
    """A program in Python in a process of its own, which has ended."""
    how = {"capture_output": True, "text": True, "timeout": 300, **more}
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], check=False, **how)


def refusal(done: Result, code: int) -> str:
    """The one line that a command ended with."""
    assert (done.exit_code, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@contextmanager
def warned() -> Iterator[list[str]]:
    """All that is warned of until the end."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    said += [str(one.message) for one in caught]


def cube_at(path: Path | str, **how: Any) -> Cube:
    """All of a scene as hsisr reads it, opened with these options."""
    with open_scene(path, **how) as scene:
        return scene.read()


def values_of(path: Path | str, **how: Any) -> npt.NDArray[Any]:
    """All numbers of a scene as hsisr reads them, shape (bands, rows, cols)."""
    return cube_at(path, **how).values


def metadata_at(path: Path | str, **how: Any) -> SceneMetadata:
    with open_scene(path, **how) as scene:
        return scene.metadata


def assert_holds(path: Path | str, values: npt.ArrayLike, **how: Any) -> None:
    np.testing.assert_array_equal(values_of(path, **how), values)
