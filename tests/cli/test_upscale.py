"""`hsisr upscale`, `info` and `sample` as their user meets them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from hsisr.weights import released_folder
from hsisr.weights.store import file_sha256
from tests.program import hsisr, refusal, succeed
from tests.scenes import counts, write_geotiff, write_tif


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_tif(tmp_path / "scene.tif", counts(5, 21, 17), nodata=0)


def test_the_path_is_on_stdout_and_what_was_done_on_stderr(scene: Path, out: Path) -> None:
    done = hsisr("upscale", scene, "--scale", "x2", "--model", "bicubic", "-o", out / "a.tif")
    assert (done.exit_code, done.stdout) == (0, f"{out / 'a.tif'}\n")
    assert [p.name for p in out.iterdir()] == ["a.tif"]
    lines = dict(line.strip().split(None, 1) for line in done.stderr.splitlines()[1:])
    assert done.stderr.startswith("scene.tif -> a.tif\n")
    assert lines["size"] == (
        "5 bands, 21 rows, 17 columns -> 5 bands, 42 rows, 34 columns; pixels 30 m -> 15 m"
    )
    assert lines["format"].startswith("GTiff, uint16, ")
    assert lines["agreement"].startswith("block averages equal the observed pixels")
    assert lines["took"].endswith("MB of memory")
    assert lines["detail"] == "inside an observed pixel is estimated, not measured"
    assert hsisr("upscale", scene, "-q", "-m", "bicubic", "-o", out / "b.tif").stderr == ""


def test_a_scene_of_nodata_alone_is_told(tmp_path: Path, out: Path) -> None:
    scene = write_tif(tmp_path / "void.tif", 0 * counts(5, 9, 8), nodata=0)
    done = succeed("upscale", scene, "-s", 2, "-m", "bicubic", "-o", out / "a.tif")
    assert f"{scene}: no pixel is data, so none of the output is" in done.stderr


def test_without_an_output_it_lies_beside_the_scene(scene: Path, tmp_path: Path) -> None:
    done = hsisr("upscale", scene, "-s", 2, "-m", "nearest")
    assert done.stdout == f"{tmp_path / 'scene_x2.tif'}\n"
    meant = hsisr("upscale", scene, tmp_path / "b.tif")
    assert f"if it is the output, write -o {tmp_path / 'b.tif'}" in meant.stderr
    several = hsisr("upscale", scene, scene.parent)
    assert "found 2 inputs and no output, expected a folder" in several.stderr
    folder = hsisr("upscale", scene.parent)
    assert "found a folder or list and no output, expected a folder" in folder.stderr
    forgotten = hsisr(scene, "-o", "x.tif")
    assert f"write hsisr upscale {scene} -o OUTPUT" in forgotten.stderr


def test_the_default_is_the_released_network_of_the_scale(scene: Path, out: Path) -> None:
    done = hsisr("upscale", scene, "-s", 2, "--json", "-o", out / "a.tif")
    assert (done.exit_code, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    (result,) = report["results"]
    assert (result["output"], report["failed"]) == (str(out / "a.tif"), [])
    assert (result["model"], result["output_shape"]) == ("dacn-equivariant-x2-7", [5, 42, 34])
    weights = released_folder() / "dacn-equivariant-x2-7.safetensors"
    assert result["weights_sha256"] == file_sha256(weights)


def test_a_dry_run_plans_and_writes_nothing(scene: Path, out: Path) -> None:
    done = succeed("upscale", scene, "-m", "bicubic", "--dry-run", "-o", out / "a.tif")
    assert "5 bands, 21 rows, 17 columns -> 5 bands, 84 rows, 68 columns" in done.stdout
    assert "peak memory" in done.stdout
    assert list(out.iterdir()) == []
    several = "--list", "-", "--quicklook", out / "look", "-o", out / "new" / "er"
    other = write_tif(scene.with_name("b.tif"), counts(2, 5, 4))
    succeed("upscale", "-m", "bicubic", "--dry-run", *several, stdin=f"{scene}\n{other}\n")
    assert list(out.iterdir()) == []
    planned = hsisr("upscale", scene, "--dry-run", "--json", "-o", out / "a.tif")
    assert json.loads(planned.stdout)["results"][0]["written"] is False


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        ("a.tif", ("--co", "FOO=1"), "does not support creation option FOO"),
        ("a.tif", ("--dtype", "float16"), "GDAL cannot store float16"),
        ("a.mat", ("--co", "VERSION=4"), "found the creation option VERSION=4"),
        ("a.hdr", ("--dtype", "int8"), "ENVI cannot store int8"),
        ("a.nc", ("--co", "LAYOUT=EMIT"), "LAYOUT=EMIT needs the lookup table"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(
    name: str, how: tuple[str, str], said: str, scene: Path, out: Path
) -> None:
    for dry in ((), ("--dry-run",)):
        done = hsisr("upscale", scene, "-m", "bicubic", *dry, *how, "-o", out / name)
        assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
        assert list(out.iterdir()) == []


def test_resuming_keeps_what_is_finished_or_another_thing(scene: Path, out: Path) -> None:
    words = ["upscale", scene, "-s", "2", "-m", "bicubic", "-o", out / "a.tif"]
    words += ["--report", out / "a.html"]
    succeed(*words)
    before = (out / "a.tif").read_bytes()
    again = hsisr(*words, "--resume")
    assert (again.exit_code, again.stdout) == (0, f"{out / 'a.tif'}\n")
    assert "a.tif is finished already" in again.stderr
    other = hsisr(*words, "--resume", "--no-consistency")
    assert other.exit_code == 1
    assert "exists and is kept" in other.stderr
    assert (out / "a.tif").read_bytes() == before
    assert {path.name for path in out.iterdir()} == {"a.tif", "a.html"}


def test_every_file_that_was_written_is_told_at_the_end(scene: Path, out: Path) -> None:
    page, picture, errors = scene.with_name("page.html"), out / "a.png", out / "u.tif"
    asked = ("--quicklook", picture, "--report", page, "--uncertainty", errors)
    done = succeed("upscale", scene, "-s", 2, *asked, "-o", out / "a.hdr")
    assert done.stderr.startswith(f"scene.tif -> a.hdr, a.img, u.tif, a.png, {page}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "dacn-equivariant-x2" in page.read_text(encoding="utf-8")
    size = sum((out / name).stat().st_size for name in ("a.hdr", "a.img"))
    assert f"ENVI, uint16, {size / 1e3:.1f} kB" in done.stderr
    assert {path.name for path in out.iterdir()} == {"a.hdr", "a.img", "u.tif", "a.png"}


def test_the_input_is_never_its_own_output(scene: Path) -> None:
    before = scene.read_bytes()
    done = hsisr("upscale", scene, "-m", "bicubic", "-o", scene, "--overwrite")
    assert "is an input of this run" in refusal(done, 2)
    assert scene.read_bytes() == before


def test_info_says_what_it_sees(scene: Path) -> None:
    done = succeed("info", scene)
    for words in (
        *("5 bands, 21 rows, 17 columns", "400 to 440 nm, 10 nm apart", "uint16"),
        *("30 x 30 m on the ground", "EPSG:32633 (WGS 84 / UTM zone 33N)"),
        *("upper left corner 364095.00, 5809965.00", "no bands near red, green and blue"),
    ):
        assert words in done.stdout


@pytest.mark.parametrize("command", ["upscale", "degrade"])
def test_reflectances_that_become_whole_numbers_are_told(
    command: str, tmp_path: Path, out: Path
) -> None:
    values = counts(3, 8, 8).astype("float32")
    scenes = {"small.tif": values * np.float32(1e-4), "large.tif": values, "few.tif": values % 8}
    for name, numbers in scenes.items():
        scene = write_tif(tmp_path / name, numbers)
        how = ("-s", 2, "--dtype", "uint16", "-o", out / name)
        done = succeed(command, scene, *how, *(("-m", "bicubic") if command == "upscale" else ()))
        words = r"numbers like [\d.]+ are rounded to whole ones in uint16; give a float --dtype"
        assert bool(re.search(words, done.stderr)) == (name == "small.tif")


@pytest.mark.parametrize(
    ("how", "fate"), [("interpolate", "3: interpolated"), ("drop", "3: dropped")]
)
def test_what_became_of_bad_bands_is_told_of_chosen_bands_too(
    how: str, fate: str, tmp_path: Path, out: Path
) -> None:
    scene = write_tif(tmp_path / "bad.tif", counts(5, 9, 8), bad=(2,))
    chosen = ("--bands", "1-4", "--bad-bands", how)
    done = succeed("upscale", scene, "-s", 2, "-m", "bicubic", *chosen, "-o", out / "a.tif")
    assert f"bad bands    {fate}\n" in done.stderr


def test_a_page_without_wavelengths_shows_the_bands_that_were_not_dropped(
    tmp_path: Path, out: Path
) -> None:
    numbers = counts(4, 9, 8)
    numbers[1] = 7
    scene, page = write_geotiff(tmp_path / "flat.tif", numbers), out / "p.html"
    how = ("-s", 2, "-m", "bicubic", "--bad-bands", "drop", "--report", page)
    succeed("upscale", scene, *how, "-o", out / "a.tif")
    assert "flat.tif: 3 bands, 9 rows, 8 columns" in page.read_text()


@pytest.mark.parametrize(("side", "said"), [(0.05, "12.34568"), (7.0, "12.346"), (60.0, "12.35")])
def test_info_places_a_corner_to_a_thousandth_of_a_pixel(
    tmp_path: Path, side: float, said: str
) -> None:
    grid = Affine(0, -side, 12.3456789, -side, 0, 0)  # turned by a right angle
    path = write_geotiff(tmp_path / "x.tif", counts(1, 4, 4), transform=grid)
    assert f"upper left corner {said}, 0.0" in succeed("info", path).stdout


@pytest.fixture
def archived(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return write_tif(tmp_path / "in" / "scene.tif", counts(3, 11, 9))


def test_of_a_list_on_stdin_what_is_broken_or_missing_fails_alone(
    archived: Path, out: Path
) -> None:
    broken, gone = (archived.with_name(f"{name}.tif") for name in ("broken", "gone"))
    broken.write_bytes(b"no TIFF at all")
    text = f"# three\n{broken}\n\n{gone}\n{archived}\n"
    done = hsisr("upscale", "--list", "-", "-mnearest", "-s2", "--json", "-o", out, stdin=text)
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert [result["output"] for result in report["results"]] == [str(out / "scene_x2.tif")]
    failed = {failure["source"]: failure["error"] for failure in report["failed"]}
    assert failed.keys() == {str(broken), str(gone)}
    assert "there is no such file or folder" in failed[str(gone)]
    assert (report["skipped"], report["shard"]) == ([], None)
    assert "2 of 3 scenes failed" in done.stderr


def test_shards_share_scenes(archived: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archived.with_name("other.tif").write_bytes(archived.read_bytes())
    command = ("upscale", archived.parent, "-mnearest", "-s2", "-o", out)
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
