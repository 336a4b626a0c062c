"""`hsisr upscale` on archives: lists, shards, what is finished already."""

import json
from pathlib import Path

import pytest

from tests.commands.files import counts, write_tif
from tests.program import hsisr


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return write_tif(tmp_path / "in" / "scene.tif", counts(3, 11, 9))


def test_a_list_is_read_from_stdin_and_what_is_missing_fails_alone(scene: Path, out: Path) -> None:
    text = f"# two\n{scene}\n\n{scene.with_name('gone.tif')}\n"
    done = hsisr("upscale", "--list", "-", "-mnearest", "-s2", "--json", "-o", out, stdin=text)
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert [result["output"] for result in report["results"]] == [str(out / "scene_x2.tif")]
    (failed,) = report["failed"]
    assert failed["source"].endswith("gone.tif")
    assert "there is no such file or folder" in failed["error"]
    assert (report["skipped"], report["shard"]) == ([], None)
    assert "1 of 2 scenes failed" in done.stderr


def test_shards_share_the_scenes_and_say_so(
    scene: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.with_name("other.tif").write_bytes(scene.read_bytes())
    command = ("upscale", scene.parent, "-mnearest", "-s2", "-o", out)
    first = hsisr(*command, "--shard", "1/3")
    assert first.exit_code == 0
    said = first.stderr.splitlines()
    assert said[0] == "shard 1 of 3: 1 of 2 scenes"
    assert said[1].startswith("other_x2.tif: 3 bands, 22 rows, 18 columns, nearest, ")
    assert len(said) == 2
    assert first.stdout == f"{out / 'other_x2.tif'}\n"
    for name, value in (("ID", "2"), ("COUNT", "3"), ("MIN", "0")):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    empty = hsisr(*command)
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert empty.stderr == "shard 3 of 3: 0 of 2 scenes; nothing to do\n"
    second = hsisr(*command, "--shard", "2/3", "--json", "-q")
    assert second.stderr == ""
    report = json.loads(second.stdout)
    assert report["shard"] == {"number": 2, "of": 3, "scenes": 1, "of_scenes": 2}
    assert [result["output"] for result in report["results"]] == [str(out / "scene_x2.tif")]


def test_a_broken_off_output_is_made_anew_and_a_strange_one_kept(scene: Path, out: Path) -> None:
    scene.with_name("other.tif").write_bytes(scene.read_bytes())
    command = ("upscale", scene.parent, "-mnearest", "-s2", "-o", out, "--skip-existing")
    assert hsisr(*command).exit_code == 0
    broken, strange = out / "scene_x2.tif", out / "other_x2.tif"
    with broken.open("r+b") as file:
        file.truncate(300)
    strange.write_bytes(scene.read_bytes())
    done = hsisr(*command, "--json")
    assert done.exit_code == 1
    assert f"warning: {broken} is broken off, 300 of" in done.stderr
    assert f"error: {strange} has changed since it was made, and is kept" in done.stderr
    report = json.loads(done.stdout)
    assert [result["output"] for result in report["results"]] == [str(broken)]
    assert [failed["source"] for failed in report["failed"]] == [str(scene.with_name("other.tif"))]
    assert hsisr(*command, "--overwrite").stdout == f"{strange}\n"
    assert hsisr(*command).stderr == "2 of 2 scenes finished already; left out\n"
