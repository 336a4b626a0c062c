"""The program as its user calls it, in this process, and what it leaves."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy.typing as npt
from typer.testing import CliRunner, Result

from hsisr.cli.main import app
from hsisr.io.open import open_scene
from hsisr.scene.metadata import SceneMetadata


def hsisr(*arguments: object, stdin: str | None = None) -> Result:
    """Run a command; its exit code, and what it wrote to either stream."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


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


def values_of(path: Path | str) -> npt.NDArray[Any]:
    """All numbers of a scene as hsisr reads them, shape (bands, rows, cols)."""
    with open_scene(path) as scene:
        return scene.read().values


def metadata_at(path: Path | str) -> SceneMetadata:
    """What hsisr knows of a scene."""
    with open_scene(path) as scene:
        return scene.metadata
