"""What an earlier hsisr wrote is still read: the files in `c1336df` are of that commit."""

import json
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from hsisr.commands.archive.run import Done, Skipped, upscale_all
from hsisr.commands.archive.select import select
from hsisr.commands.upscale import upscale
from hsisr.engine.options import SelectOptions, UpscaleOptions
from hsisr.engine.session import model_named
from hsisr.resume.completion import judge
from hsisr.resume.record import Work, read_record
from hsisr.training.state import load_state
from tests.scenes import TRANSFORM, UTM, write_geotiff

SAMPLES = Path(__file__).parent / "c1336df"
TINY = UpscaleOptions(scale=2, model="tiny.safetensors", threads=1, axes="rcb", device="cpu")
BICUBIC = UpscaleOptions(scale=2, model="bicubic", axes="rcb", overlap=3, tile=8, consistency=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files where that hsisr had left them, with the times that they had."""
    record = json.loads((SAMPLES / "record.json").read_text())
    for name in ("scene.npy", "tiny.safetensors", "state.safetensors"):
        shutil.copy(SAMPLES / name, tmp_path)
    shutil.copytree(SAMPLES / "broken", tmp_path / ".broken.tif.unfinished")
    (tmp_path / "out" / ".hsisr").mkdir(parents=True)
    shutil.copy(SAMPLES / "scene_x2.tif", tmp_path / "out")
    shutil.copy(SAMPLES / "record.json", tmp_path / "out" / ".hsisr" / "scene_x2.tif.json")
    for path, (kept,) in (("scene.npy", record["source"]), ("out/scene_x2.tif", record["output"])):
        os.utime(tmp_path / path, ns=(kept["mtime_ns"], kept["mtime_ns"]))
    settings = json.loads((SAMPLES / "broken" / "run.json").read_text())["binding"]["settings"]
    monkeypatch.setattr("hsisr.commands.upscale.version", lambda _: settings["torch"])
    monkeypatch.setattr("hsisr.commands.upscale.__version__", settings["hsisr"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as dataset:
            return np.asarray(dataset.read(), dtype=np.int64)


def test_a_run_that_it_had_begun_is_resumed(folder: Path) -> None:
    upscale("scene.npy", "broken.tif", replace(TINY, resume=True))
    upscale("scene.npy", "unbroken.tif", TINY)
    assert not (folder / ".broken.tif.unfinished").exists()
    difference = pixels(folder / "broken.tif") - pixels(folder / "unbroken.tif")
    assert abs(difference).max() <= 1  # another processor rounds differently


@pytest.mark.parametrize("recorded", [True, False])
def test_an_output_that_it_had_finished_is_left_out(folder: Path, recorded: bool) -> None:
    if recorded:
        found = read_record(folder / "out" / "scene_x2.tif")
        assert found is not None
        assert found.making.model == "bicubic"
    else:
        shutil.rmtree(folder / "out" / ".hsisr")  # its tags tell
    selection = select(SelectOptions(sources=[Path("scene.npy")], output=Path("out")), BICUBIC)
    (outcome,) = upscale_all(selection, BICUBIC, skip_existing=True)
    assert isinstance(outcome, Skipped), outcome


@pytest.mark.parametrize(("bands", "state"), [(32, "finished"), (33, "other")])
@pytest.mark.parametrize("recorded", [True, False])
def test_it_saw_all_bands(tmp_path: Path, bands: int, state: str, *, recorded: bool) -> None:
    """It knew no pseudo-bands, which scenes of more than 32 bands have today."""
    rng = np.random.default_rng(bands)
    values = rng.random((bands, 26, 26), np.float32)
    scene = write_geotiff(tmp_path / "a.tif", values, crs=UTM, transform=TRANSFORM)
    options = UpscaleOptions(scale=2, band_groups="all")
    wanted = SelectOptions(sources=[scene], output=tmp_path)
    selection = select(wanted, options)
    (made,) = upscale_all(selection, options)
    assert isinstance(made, Done)
    record = tmp_path / ".hsisr" / "a_x2.tif.json"
    table = json.loads(record.read_text())
    del table["making"]["options"]["band_groups"]
    record.write_text(json.dumps(table))
    if not recorded:
        record.unlink()
        with rasterio.open(tmp_path / "a_x2.tif", "r+") as dataset:
            told = json.loads(dataset.tags()["HSISR_OPTIONS"])
            del told["band_groups"]
            dataset.update_tags(HSISR_OPTIONS=json.dumps(told))
    (work,) = selection.entries
    assert isinstance(work, Work)
    model = model_named(options)
    assert judge(work, replace(options, band_groups=None), model).state == state
    assert judge(work, options, model).state == "finished"


def test_a_training_state_is_read(folder: Path) -> None:
    state = load_state(folder / "state.safetensors")
    assert (state.progress.step, state.progress.best_score) == (6, 31.0)
    assert state.progress.history[0].baseline is None
    assert state.fingerprint["recipe"] == {"precision": "bfloat16"}
    assert state.optimiser[0]["step"].item() == 6
