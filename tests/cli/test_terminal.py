"""What a person sees on a real terminal: bars that nothing is printed into, clean pipes."""

import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pexpect
import pyte
import pytest
from typer.main import get_command

from hsisr.cli.main import application

PROJECT = Path(__file__).parents[2]
HSISR = (sys.executable, "-m", "hsisr")
WIDTH, HEIGHT = 100, 40


def screen_after(
    command: str, folder: Path, *, width: int = WIDTH, height: int = HEIGHT
) -> list[str]:
    """The lines that stand on a terminal once a shell command has ended."""
    screen = pyte.Screen(width, height)
    child = pexpect.spawn(
        "/bin/sh",
        ["-c", command],
        cwd=str(folder),
        dimensions=(height, width),
        encoding="utf-8",
        timeout=600,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), "TERM": "xterm"},
    )
    pyte.Stream(screen).feed(child.read())
    child.close()
    assert child.exitstatus == 0, screen.display
    return [line.rstrip() for line in screen.display if line.strip()]


@pytest.fixture
def call(tmp_path: Path) -> str:
    """A call that upscales two scenes; of both it warns, for their values do not fit a byte."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("a", "b"):
        cube = np.random.default_rng(0).integers(0, 500, (9, 40, 31)).astype(np.uint16)
        np.save(folder / f"{name}.npy", cube)
    words = (*HSISR, "upscale", folder, "-mbicubic", "-tuint8", "-fGTiff", "--axes", "brc")
    return shlex.join(map(str, (*words, "-o", "out")))


def test_results_and_warnings_stand_above_bars_that_leave_nothing_behind(
    call: str, tmp_path: Path
) -> None:
    lines = screen_after(call, tmp_path)
    assert [line for line in lines if line.startswith("out/")] == ["out/a_x4.tif", "out/b_x4.tif"]
    assert sum(line.startswith("warning: a_x4.tif: ") for line in lines) == 1
    assert lines.count("--dtype float32 keeps them") == 2  # broken between words
    assert not any(mark in line for line in lines for mark in ("━", "\x1b", "scenes "))


def test_paths_reach_a_pipe_though_bars_are_on_the_terminal(call: str, tmp_path: Path) -> None:
    lines = screen_after(f"{call} > list.txt", tmp_path)
    assert (tmp_path / "list.txt").read_text().split() == ["out/a_x4.tif", "out/b_x4.tif"]
    assert not any(line.startswith("out/") for line in lines)


@pytest.mark.parametrize(
    "command", [("upscale",), ("evaluate",), ("train",), ("weights", "export")]
)
@pytest.mark.parametrize("width", [60, 80])
def test_help_cuts_no_word(command: tuple[str, ...], width: int, tmp_path: Path) -> None:
    call = shlex.join((*HSISR, *command, "--help"))
    lines = screen_after(call, tmp_path, width=width, height=500)
    assert not any("\N{HORIZONTAL ELLIPSIS}" in line for line in lines)
    told = {word.strip("│,") for line in lines for word in line.split()}
    shown: Any = get_command(application(command[0]))
    for name in command:
        shown = shown.commands[name]
    flags = {flag for one in shown.params for flag in (*one.opts, *one.secondary_opts)}
    assert {flag for flag in flags if flag.startswith("--")} - told == set()
