"""One run at a time on an output; what a broken run finished is kept for one that is the same."""

import json
import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsisr.commands.info import info
from hsisr.commands.options import TrainOptions
from hsisr.commands.training.train import train
from hsisr.commands.upscale import upscale
from hsisr.engine.machine import Room
from hsisr.engine.options import UpscaleOptions
from hsisr.errors import HsisrWarning, InputDataError, OutputExistsError, ResourceError, UsageError
from hsisr.io.atomic import alone_in
from hsisr.io.open import open_scene
from hsisr.resume.run import Piece, RunKey, RunLock, clear_rest, locked_run
from tests.commands.runs import old_scene
from tests.nursery import forked
from tests.program import cube_at, hsisr
from tests.scenes import numbered, write_geotiff


class BrokenOffError(Exception):
    """Power fails."""


def run_on(
    output: Path, scale: int = 2, source: Any = ("a",), room: int = 1, *, resume: bool = False
) -> AbstractContextManager[RunLock]:
    return locked_run(
        output,
        lambda: RunKey(input=list(source), settings={"scale": scale}),
        lambda: Room(room, room),
        resume=resume,
        overwrite=False,
    )


def keep_strip(run: RunLock, row: int = 0) -> None:
    recording = run.journal.recording(0, row)
    recording.put(Piece(np.ones((1, 2, 2), np.int16), 0, 0))
    recording.commit(0)


def break_off(output: Path, source: list[str]) -> None:
    """Finish one strip, see the input as `source` from then on, and fail."""
    with run_on(output, source=source, room=7) as run:
        keep_strip(run)
        assert not run.is_outdated()
        source[:] = ["a"]
        raise BrokenOffError


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """An output whose run was broken off with one strip finished."""
    output = tmp_path / "out.tif"
    words = (
        "^1 strip of out.tif finished so far; the same command with --resume goes on from there$"
    )
    with pytest.warns(HsisrWarning, match=words), pytest.raises(BrokenOffError):
        break_off(output, ["a"])
    return output


def hidden(output: Path) -> list[str]:
    return [path.name for path in output.parent.iterdir()]


def test_resuming_finds_the_strips_and_plans_with_the_same_memory(broken: Path) -> None:
    with run_on(broken, room=99, resume=True) as run:
        assert len(run.journal) == 1
        assert run.room == Room(7, 7)
    assert hidden(broken) == []


def test_without_resume_the_same_run_is_refused_and_nothing_is_lost(broken: Path) -> None:
    refused = pytest.raises(OutputExistsError, match="1 strip finished; --resume goes on")
    with refused, run_on(broken):
        pass
    with run_on(broken, resume=True) as run:
        assert len(run.journal) == 1


def test_another_input_and_other_settings_are_refused_with_resume(broken: Path) -> None:
    refused = pytest.raises(InputDataError, match=r"the input of .* has changed since")
    with refused, run_on(broken, source=("b",), resume=True):
        pass
    told = pytest.raises(UsageError, match=r"other settings .scale: 2 then, 4 now")
    with told, run_on(broken, scale=4, resume=True):
        pass
    with run_on(broken, scale=4) as run:
        assert len(run.journal) == 0


def test_strips_of_an_input_that_changed_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(BrokenOffError):
        break_off(tmp_path / "out.tif", ["as it was before"])
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_was_writing_is_removed_by_the_next(broken: Path) -> None:
    part = broken.parent / ".out.tif.ab12cd_4.part"
    other = broken.parent / ".other.tif.ab12cd_4.part"
    for folder in (part, other):
        folder.mkdir()
        (folder / "out.tif").write_text("half")
    with run_on(broken, resume=True):
        assert not part.exists()
    assert hidden(broken) == [other.name]


def test_a_run_with_other_settings_stays_beside_an_older_output(broken: Path) -> None:
    broken.write_text("made before")
    folder = broken.parent / ".out.tif.unfinished"
    begun, kept = (folder / "run.json").stat().st_mtime_ns, sorted(folder.rglob("*"))
    os.utime(broken, ns=(begun - 1, begun - 1))
    clear_rest(broken)
    assert sorted(folder.rglob("*")) == kept
    os.utime(broken, ns=(begun + 1, begun + 1))
    clear_rest(broken)
    assert hidden(broken) == ["out.tif"]


SECOND = """
import sys
from pathlib import Path
from hsisr.engine.machine import Room
from hsisr.resume.run import RunKey, locked_run

kept = {"resume": False, "overwrite": False}
key, room = RunKey(input=["a"], settings={"scale": 2}), Room(1, 1)
with locked_run(Path(sys.argv[1]), lambda: key, lambda: room, **kept):
    print("inside")
"""


def test_two_runs_on_one_output_the_second_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "out.tif"
    with run_on(output) as run:
        keep_strip(run)
        second = forked(SECOND, output)
        assert second.returncode == 1
        assert "another run is making" in second.stderr
        assert "inside" not in second.stdout
        assert len(run.journal) == 1
        assert {*json.loads((run.folder / "run.json").read_text())["room"].values()} == {1}


NEAREST = ("upscale", "in/a.tif", "-m", "nearest", "-s", 2, "-o", "a_x2.tif")
KILLED = """
import os, shutil, signal, sys
from hsisr.cli.main import app

removed = shutil.rmtree

def killed(folder, **how):
    name = os.path.basename(folder)
    if not (name.startswith(".a_x2.tif.") and name.endswith(sys.argv[1])):
        return removed(folder, **how)
    print(*sorted(os.listdir(folder)), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

shutil.rmtree = killed
app(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What runs leave that are killed once their output is there, by the folder they remove."""
    found = {}
    for place, inside in ((".unfinished", "lock\n"), (".part", "a_x2.tif\n")):
        found[place] = tmp_path_factory.mktemp("killed")
        old_scene(found[place] / "in" / "a.tif")
        done = forked(KILLED, place, *NEAREST, cwd=found[place])
        assert (done.returncode, done.stdout) == (-9, inside), done.stderr
    return found


@pytest.mark.parametrize(
    ("at", "option", "code", "words"),
    [
        (".unfinished", "--skip-existing", 0, "finished already; left out"),
        (".unfinished, empty", "--skip-existing", 0, "finished already; left out"),
        (".unfinished, empty", "--resume", 0, "is finished already"),
        (".unfinished, empty", "--quiet", 1, "exists and is kept"),
        (".unfinished, empty", "--overwrite", 0, "nearest x2"),
        (".part", "--skip-existing", 0, "finished already; left out"),
    ],
)
def test_what_a_run_leaves_that_is_killed_once_its_output_is_there_goes(
    *,
    at: str,
    option: str,
    code: int,
    words: str,
    killed: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, _, empty = at.partition(", ")
    shutil.copytree(killed[place], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    if empty:
        Path(".a_x2.tif.unfinished", "lock").unlink()
    done = hsisr(*NEAREST, option)
    assert (done.exit_code, words in done.stderr) == (code, True), done.stderr
    assert sorted(hidden(tmp_path / "a_x2.tif")) == ["a_x2.tif", "in"]


PLAIN = UpscaleOptions(scale=2, model="bicubic", tile=8)


def test_a_second_training_in_one_folder_is_refused(tmp_path: Path) -> None:
    scene = write_geotiff(tmp_path / "x.tif", numbered(8, 64, 64))
    options = TrainOptions(scenes=(scene,), scale=2, out=tmp_path / "run", device="cpu")
    (tmp_path / "run").mkdir()
    with (
        alone_in(tmp_path / "run", "somebody else"),
        pytest.raises(OutputExistsError, match=r"run.*(training|train)"),
    ):
        train(options)


@pytest.mark.filterwarnings("ignore:finished strips cannot be kept")
def test_a_folder_that_goes_during_the_run_is_one_line(tmp_path: Path) -> None:
    scene = write_geotiff(tmp_path / "x.tif", numbered(3, 40, 24))
    folder = tmp_path / "out"
    folder.mkdir()

    def gone(done: int, _every: int) -> None:
        if done == 1:
            shutil.rmtree(folder)

    with pytest.raises(ResourceError, match=r"o\.tif: its folder does not exist"):
        upscale(scene, folder / "o.tif", PLAIN, progress=gone)


@pytest.mark.filterwarnings("ignore:.*x.tif. float64 numbers are computed in float32")
@pytest.mark.parametrize("nodata", [float(np.finfo("f4").min), -1.7e308, np.inf])
def test_nodata_beyond_float32_is_read_without_a_line_of_a_library(
    nodata: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    values = numbered(3, 6, 5, "float32" if nodata > -1e39 else "float64")
    values[:, 2, 3] = nodata
    path = write_geotiff(tmp_path / "x.tif", values, nodata=nodata)
    assert (~cube_at(path).valid).sum() == 3
    told = info(tmp_path / "x.tif").as_dict()
    assert float(json.loads(json.dumps(told, allow_nan=False))["nodata"]) == nodata
    upscale(tmp_path / "x.tif", tmp_path / "o.tif", PLAIN)
    assert capfd.readouterr().err == ""


def test_an_item_named_where_a_scene_is_expected_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "i.json").write_text(' {"type": "Feature", "assets": {}}')
    with pytest.raises(InputDataError, match=r"a text of JSON, .*hsisr upscale takes STAC Items"):
        open_scene(tmp_path / "i.json")
