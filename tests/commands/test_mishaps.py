"""What befalls runs from outside: strange names, a folder that goes, another run in it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hsisr.commands.info import describe
from hsisr.commands.options import TrainOptions
from hsisr.commands.training.train import train
from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.errors import InputDataError, OutputExistsError, ResourceError
from hsisr.io.open import open_scene
from hsisr.resume.lock import alone_in
from hsisr.training.reporting import draw_curve
from hsisr.training.state import Record
from tests.scenes import numbered, write_geotiff

PLAIN = UpscaleOptions(scale=2, model="bicubic", tile=8)
RECORD = Record(
    step=3,
    seconds=1.0,
    loss=0.5,
    learning_rate=1e-3,
    score=31.0,
    bicubic=30.0,
    sam=1.0,
    bicubic_sam=2.0,
)


@pytest.mark.parametrize("title", [r"$\frac$", "$", r"\frac{a", "a_b^{c", "$$", "[link=x]y[/link]"])
def test_a_curve_shows_a_name_as_it_is_written(title: str, tmp_path: Path) -> None:
    draw_curve(tmp_path / "curve.png", [RECORD], title)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


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
    with open_scene(write_geotiff(tmp_path / "x.tif", values, nodata=nodata)) as scene:
        assert (~scene.read().valid).sum() == 3
    told = describe(tmp_path / "x.tif").as_dict()
    assert float(json.loads(json.dumps(told, allow_nan=False))["nodata"]) == nodata
    upscale(tmp_path / "x.tif", tmp_path / "o.tif", PLAIN)
    assert capfd.readouterr().err == ""


def test_an_item_named_where_a_scene_is_expected_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "i.json").write_text(' {"type": "Feature", "assets": {}}')
    with pytest.raises(InputDataError, match=r"a text of JSON, .*hsisr upscale takes STAC Items"):
        open_scene(tmp_path / "i.json")
