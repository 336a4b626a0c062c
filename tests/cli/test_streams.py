"""Streams that are closed, full or read in part; text from files on its way to them."""

import io
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pexpect
import pyte
import pytest
from rich.console import Console
from typer.main import get_command

from hsisr.cli.console import bars_on, say, tell
from hsisr.cli.main import application
from hsisr.metrics.report import as_csv
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


def shell(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a line of bash in which `hsisr` is the program."""
    line = f'hsisr() {{ {sys.executable} -m hsisr "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize(
    ("redirected", "code"), [("| true", 0), ("> /dev/full", 5), (">&- 2>&- <&-", 0)]
)
def test_work_goes_on_whatever_the_streams_do(folder: Path, redirected: str, code: int) -> None:
    done = shell(f"hsisr {UPSCALE} {redirected}; echo code ${{PIPESTATUS[0]}}", folder)
    assert f"code {code}" in done.stdout
    assert len(list((folder / "hr").glob("*.hdr"))) + len(list((folder / "hr").glob("*.tif"))) == 5
    said = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    expected = "error: results cannot be written to stdout: No space left on device"
    assert said == ([expected] if code else [])


def test_a_terminal_that_is_closed_does_not_end_the_work(folder: Path) -> None:
    leader, follower = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "hsisr", *UPSCALE.split()],
        cwd=folder,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    while b"hr" not in os.read(leader, 4096):  # the first result
        pass
    os.close(leader)
    os.kill(run.pid, signal.SIGHUP)
    assert run.wait(timeout=300) == 0
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


PROJECT = Path(__file__).parents[2]
HSISR = (sys.executable, "-m", "hsisr")
WIDTH, HEIGHT = 100, 40


def typed(command: str, folder: Path) -> Any:
    return pexpect.spawn(
        "/bin/sh",
        ["-c", command],
        cwd=str(folder),
        dimensions=(HEIGHT, WIDTH),
        encoding="utf-8",
        timeout=600,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), "TERM": "xterm"},
    )


def screen_after(command: str, folder: Path) -> list[str]:
    """The lines that stand on a terminal once a shell command has ended."""
    screen, child = pyte.Screen(WIDTH, HEIGHT), typed(command, folder)
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


def test_results_stand_above_bars_that_leave_nothing_behind(call: str, tmp_path: Path) -> None:
    lines = screen_after(call, tmp_path)
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
    upscale = typed(shlex.join((*HSISR, "upscale", "a.npy", "-s", "2", "-o", "a.tif")), tmp_path)
    upscale.expect(r"reading statistics[^\r]* \d+/300 rows")
    upscale.sendintr()
    upscale.expect(pexpect.EOF)
    assert not (tmp_path / "a.tif").exists()
