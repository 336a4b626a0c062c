"""Streams that are closed, full or read in part; text from files on its way to them."""

import fcntl
import io
import os
import pty
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pexpect
import psutil
import pyte
import pytest
from pexpect import fdpexpect
from rich.console import Console
from typer.main import get_command

from hsisr.cli.console import bars_on, say, tell
from hsisr.cli.main import application
from hsisr.metrics.report import as_csv
from tests.nursery import HSISR, Forked, fork, forked
from tests.program import hsisr, refusal
from tests.scenes import numbered, write_npy

pytestmark = pytest.mark.skipif(os.name != "posix", reason="streams of POSIX systems")
UPSCALE = "upscale lr -o hr -m bicubic -s 2 --axes rcb"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five small scenes, their numbers far from the ends of the type."""
    (tmp_path / "lr").mkdir()
    for n in range(5):
        write_npy(tmp_path / "lr" / f"{n}.npy", numbered(2, 4, 4) + np.uint16(2000))
    return tmp_path


def without_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(
    ("stdout", "code"), [(without_reader, 0), (lambda: os.open("/dev/full", os.O_WRONLY), 5)]
)
def test_work_goes_on_whatever_stdout_does(
    folder: Path, stdout: Callable[[], int], code: int
) -> None:
    with (folder / "said").open("w+") as said, os.fdopen(stdout(), "w") as out:
        streams = [said.fileno(), out.fileno(), said.fileno()]
        assert fork(HSISR, *UPSCALE.split(), streams=streams, cwd=folder).wait() == code
        said.seek(0)
        errors = [line for line in said.read().splitlines() if "error" in line.lower()]
    assert len([*(folder / "hr").glob("*.tif")]) == 5
    expected = "error: results cannot be written to stdout: No space left on device"
    assert errors == ([expected] if code else [])


def test_work_goes_on_without_streams(folder: Path) -> None:
    line = f"{sys.executable} -m hsisr {UPSCALE} >&- 2>&- <&-"
    subprocess.run(["bash", "-c", line], cwd=folder, check=True, timeout=300)
    assert len([*(folder / "hr").glob("*.tif")]) == 5


def test_a_fork_that_nobody_waits_for_ends_no_others(tmp_path: Path) -> None:
    asked, ask = os.pipe()
    with (tmp_path / "said").open("w") as said:
        left = fork("import sys; sys.stdin.read()", streams=[asked, said.fileno(), said.fileno()])
    pid = left.pid
    del left
    os.close(asked)
    os.close(ask)
    while psutil.pid_exists(pid):
        time.sleep(0.01)
    assert forked("print(5)").stdout == "5\n"


def test_a_terminal_that_is_closed_does_not_end_the_work(folder: Path) -> None:
    leader, follower = pty.openpty()
    run = fork(HSISR, *UPSCALE.split(), streams=[follower] * 3, cwd=folder, terminal=True)
    os.close(follower)
    while b"hr" not in os.read(leader, 4096):  # the first result
        pass
    os.close(leader)
    os.kill(run.pid, signal.SIGHUP)
    assert run.wait() == 0
    assert len(list((folder / "hr").iterdir())) >= 5


ESCAPE = "x\x1b]0;PWNED\x07\x1b[2J"


def test_nothing_from_a_file_rewrites_the_terminal(tmp_path: Path) -> None:
    crs = (
        f'PROJCS["{ESCAPE}",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",'
        '6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],'
        'PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",500000.0],'
        'PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",15.5],'
        'PARAMETER["Scale_Factor",0.9996],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
    )
    header = tmp_path / "e.hdr"
    header.write_text(
        "ENVI\nsamples = 4\nlines = 4\nbands = 2\ndata type = 1\ninterleave = bsq\n"
        "byte order = 0\nmap info = {UTM, 1, 1, 500000, 5800000, 30, 30, 33, North, WGS-84}\n"
        f"coordinate system string = {{{crs}}}\n"
    )
    (tmp_path / "e.img").write_bytes(bytes(32))
    said = hsisr("info", header)
    assert said.exit_code == 0
    assert "\x1b" not in said.output
    assert "\x07" not in said.output
    assert r"x\x1b]0;PWNED\x07\x1b[2J" in said.stdout


def test_a_name_of_two_lines_is_one_line_of_results(tmp_path: Path) -> None:
    scene = write_npy(tmp_path / "a\nb.npy", numbered(2, 4, 4))
    done = hsisr("degrade", scene, "-s", "2", "-o", tmp_path / "c\nd.tif")
    assert done.stdout == f"{tmp_path}/c\\nd.tif\n"


@pytest.mark.parametrize("command", ["info", "degrade", "upscale", "view", "evaluate", "train"])
def test_a_name_that_is_not_utf8_is_one_line(command: str, tmp_path: Path) -> None:
    plain = write_npy(tmp_path / "a.npy", numbered(2, 4, 4))
    broken = tmp_path / os.fsdecode(b"b\xff.npy")
    shutil.copy(plain, broken)
    suffix = {"degrade": "tif", "upscale": "tif", "view": "html"}.get(command)
    others: dict[str, list[object]] = {"evaluate": [plain], "train": ["-o", tmp_path / "t"]}
    more = ["-o", tmp_path / f"o.{suffix}"] if suffix else others.get(command, [])
    how = ["-m", "nearest"] if command == "upscale" else []
    assert "the name is not UTF-8" in refusal(hsisr(command, broken, *more, *how), 3)
    if suffix:
        target = os.fsdecode(f"{tmp_path}/o".encode() + b"\xff." + suffix.encode())
        assert "the name is not UTF-8" in refusal(hsisr(command, plain, "-o", target, *how), 2)


@pytest.mark.parametrize(
    ("name", "cell"),
    [("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"), ("@SUM(1)", "'@SUM(1)"), ("-1.5", "-1.5")],
)
def test_no_cell_of_a_csv_is_a_formula(name: str, cell: str) -> None:
    assert as_csv(("scene",), [(name,), (-2,), ("a.tif",)]) == f"scene\n{cell}\n-2\na.tif"


WIDTH, HEIGHT = 100, 40


def typed(command: str, folder: Path) -> tuple[Forked, Any]:
    """The program, and what it says on a terminal of its own."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("4H", HEIGHT, WIDTH, 0, 0))
    env = {"PATH": "/usr/bin:/bin", "TERM": "xterm", "OMP_NUM_THREADS": "1"}
    words = shlex.split(command)
    run = fork(HSISR, *words, streams=[follower] * 3, cwd=folder, env=env, terminal=True)
    os.close(follower)
    return run, fdpexpect.fdspawn(leader, encoding="utf-8", timeout=600)


def test_results_stand_above_bars_that_leave_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("a", "b"):  # with values that do not fit a byte, of which it warns
        cube = np.random.default_rng(0).integers(0, 500, (9, 40, 31)).astype(np.uint16)
        np.save(folder / f"{name}.npy", cube)
    words = "upscale scenes -mbicubic -tuint8 -fGTiff --axes brc -o out"
    screen, (run, terminal) = pyte.Screen(WIDTH, HEIGHT), typed(words, tmp_path)
    pyte.Stream(screen).feed(terminal.read())
    terminal.close()
    assert run.wait() == 0, screen.display
    lines = [line.rstrip() for line in screen.display if line.strip()]
    assert [line for line in lines if line.startswith("out/")] == ["out/a_x4.tif", "out/b_x4.tif"]
    assert sum(line.startswith("warning: a_x4.tif: ") for line in lines) == 1
    assert lines.count("--dtype float32 keeps them") == 2  # broken between words
    assert not any(mark in line for line in lines for mark in ("━", "\x1b", "scenes "))


def test_paths_reach_a_pipe_though_bars_are_on_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = io.StringIO()
    with bars_on(Console(file=terminal, force_terminal=True)):
        tell(Path("out/a_x4.tif"))
        say("careful")
    assert capsys.readouterr() == ("out/a_x4.tif\n", "")
    assert terminal.getvalue() == "careful\n"


@pytest.mark.parametrize(
    "command", [("upscale",), ("evaluate",), ("train",), ("weights", "export")]
)
@pytest.mark.parametrize("width", [60, 80])
def test_help_cuts_no_word(
    command: tuple[str, ...],
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    app = application(command[0])
    app([*command, "--help"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert 40 < max(map(len, lines)) <= width
    assert not any("\N{HORIZONTAL ELLIPSIS}" in line for line in lines)
    told = {word.strip("│,") for line in lines for word in line.split()}
    shown: Any = get_command(app)
    for name in command:
        shown = shown.commands[name]
    flags = {flag for one in shown.params for flag in (*one.opts, *one.secondary_opts)}
    assert {flag for flag in flags if flag.startswith("--")} - told == set()


def test_reading_has_its_own_count(tmp_path: Path) -> None:
    cube = np.random.default_rng(0).integers(0, 5000, (300, 300, 200)).astype(np.uint16)
    np.save(tmp_path / "a.npy", cube)
    run, terminal = typed("upscale a.npy -s 2 -o a.tif", tmp_path)
    terminal.expect(r"reading statistics[^\r]* \d+/300 rows")
    terminal.send("\x03")  # Ctrl-C
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert run.wait() == 130
    assert not (tmp_path / "a.tif").exists()
