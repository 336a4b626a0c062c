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
from tests.training.small import SETTINGS

PROJECT = Path(__file__).parents[2]
HSISR = (sys.executable, "-m", "hsisr")
WIDTH, HEIGHT = 100, 40


def typed(command: str, folder: Path, width: int = WIDTH, height: int = HEIGHT) -> Any:
    """A shell command at work on a terminal."""
    return pexpect.spawn(
        "/bin/sh",
        ["-c", command],
        cwd=str(folder),
        dimensions=(height, width),
        encoding="utf-8",
        timeout=600,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), "TERM": "xterm"},
    )


def screen_after(
    command: str, folder: Path, *, width: int = WIDTH, height: int = HEIGHT
) -> list[str]:
    """The lines that stand on a terminal once a shell command has ended."""
    screen, child = pyte.Screen(width, height), typed(command, folder, width, height)
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


def test_reading_has_its_own_count_and_minutes_are_counted_where_they_are_the_limit(
    tmp_path: Path,
) -> None:
    cube = np.random.default_rng(0).integers(0, 5000, (300, 300, 200)).astype(np.uint16)
    np.save(tmp_path / "a.npy", cube)
    upscale = typed(shlex.join((*HSISR, "upscale", "a.npy", "-s", "2", "-o", "a.tif")), tmp_path)
    upscale.expect(r"reading statistics[^\r]* \d+/300 rows")
    upscale.sendintr()
    upscale.expect(pexpect.EOF)
    np.save(tmp_path / "b.npy", cube[:64, :64, :36])
    small = [word for setting in (*SETTINGS, "steps=99999") for word in ("--set", setting)]
    words = (*HSISR, "train", "b.npy", "-s", "2", *small, "--max-minutes", "9", "-o", "run")
    train = typed(shlex.join(words), tmp_path)
    train.expect(r"training[^\r]* 0\.\d/9 min step \d+ loss")
    train.sendintr()
    train.expect(pexpect.EOF)
    assert not (tmp_path / "a.tif").exists()
