"""`hsisr evaluate` and `hsisr degrade` as their user meets them."""

import json
from pathlib import Path

import pytest

from tests.program import hsisr, succeed
from tests.scenes import counts, write_tif


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return (
        write_tif(tmp_path / "x.tif", counts(3, 24, 16)),
        write_tif(tmp_path / "y.tif", counts(3, 24, 16, seed=1)),
    )


def test_scores_are_a_table_or_one_object_with_every_definition(files: tuple[Path, Path]) -> None:
    done = hsisr("evaluate", *files, "--scale", 4)
    assert (done.exit_code, done.stderr) == (0, "")
    figures = [line.split()[0] for line in done.stdout.splitlines()]
    assert figures == ["figure", "mpsnr", "mssim", "sam", "cc", "ergas", "rmse", "uiqi"]
    done = hsisr("evaluate", *files, "--json", "--per-band", "--convention", "sspsr")
    found = json.loads(done.stdout)
    assert found["convention"] == "sspsr"
    assert set(found["scores"]) == set(found["definitions"])
    assert len(found["per_band"]) == 3
    assert set(found["per_band"][0]) == {"band", *found["per_band_definitions"]}


def test_a_limit_that_fails_is_said_and_exits_1(files: tuple[Path, Path]) -> None:
    done = hsisr("evaluate", *files, "--min", "mpsnr=90", "--max", "sam=90")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: mpsnr is ")
    assert done.stderr.endswith(", expected mpsnr >= 90\n")
    assert "mpsnr" in done.stdout


def test_degrading_prints_its_output_and_agrees_with_its_source(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    lr = files[0].with_name("lr.tif")
    made = hsisr("degrade", files[0], "--scale", 2, "-o", lr, "--dtype", "float32")
    assert (made.exit_code, made.stdout, made.stderr) == (0, f"{lr}\n", "")
    done = succeed("evaluate", "--lr", lr, files[0], "--max", "lr_max=1e-3", "--json")
    assert json.loads(done.stdout)["agreement"]["scale"] == 2
    done = hsisr(
        "degrade", files[0], "-o", tmp_path / "lr.img", "--method", "mtf", "--gain", 0.2, "--json"
    )
    found = json.loads(done.stdout)
    assert found["output_shape"] == [3, 6, 4]
    assert found["definition"].startswith("Gaussian with gain 0.2 at the LR Nyquist frequency")


def test_wald_scores_a_model_beside_plain_bicubic(files: tuple[Path, Path]) -> None:
    done = succeed("evaluate", "--wald", files[0], "--model", "bicubic", "--scale", 2, "--json")
    found = json.loads(done.stdout)
    assert found["model"] == "bicubic"
    plain, scores, drawn = (found[key] for key in ("bicubic", "scores", "baseline"))
    assert scores["rmse"] < plain["rmse"]  # agreement pays
    for name in scores:  # older keys keep their meaning
        assert found["gain"][name] == scores[name] - plain[name]
        assert found["gain_over_baseline"][name] == scores[name] - drawn[name]
