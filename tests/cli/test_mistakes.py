"""Wrong calls of every command: one line, its exit code, nothing written."""

from pathlib import Path

import pytest

from tests.program import hsisr, refusal
from tests.scenes import counts, write_tif

CALLS = [
    (("degrade", "x.tif"), 2, "missing option '--output' / '-o'; see 'hsisr degrade -h'"),
    (("upscale", "x.tif", "--scale"), 2, "option '--scale' requires an argument"),
    (("info", "x.tif", "--bandz"), 2, "no such option: --bandz"),
    (("weights", "shw"), 2, "no such command 'shw'"),
    (("upscale", "--a\nb"), 2, "no such option: --a"),
    (("--frob",), 2, "no such option: --frob"),
    (("evaluate",), 2, "found 0 scenes, expected REFERENCE and ESTIMATE"),
    (("evaluate", "x.tif", "y.tif", "--json", "--csv"), 2, "found --csv and --json, expected one"),
    (("evaluate", "x.tif", "y.tif", "--model", "bicubic"), 2, "--model belongs to --wald"),
    (("evaluate", "x.tif", "--wald", "y.tif"), 2, "REFERENCE cannot be combined with --wald"),
    (("evaluate", "--wald", "y.tif", "--scale", "3"), 2, "scale 3: expected 2, 4 or 8"),
    (
        ("evaluate", "x.tif", "y.tif", "--min", "mpsnr"),
        2,
        "expected FIGURE=NUMBER such as mpsnr=30",
    ),
    (("benchmark",), 2, "found no scene to judge by"),
    (("benchmark", "--methods", "best"), 2, "no method 'best'"),
    (("benchmark", "--smoke", "--scales", "2,x"), 2, "scales 2,x: expected 2, 4 or 8"),
    (("benchmark", "--dataset", "paviaq"), 2, "no dataset 'paviaq'; did you mean 'paviau'?"),
    (("benchmark", "--dataset", "paviau", "--offline", "--data-dir", "."), 5, "--offline forbids"),
    (("benchmark", "--scenes", "none.tif", "--methods", "bicubic"), 3, "none.tif"),
    (("train",), 2, "found no scene to learn from"),
    (("train", "x.tif", "--recipe", "best"), 2, "no recipe 'best'"),
    (("train", "x.tif", "--init", "none.safetensors"), 4, "none.safetensors"),
    (
        ("train", "x.tif", "--set", "stesp=3"),
        2,
        "unknown key 'stesp'; did you mean 'steps'? a recipe",
    ),
    (("info", "x.tif", "--wavelengths", "900-400"), 2, "expected ranges in nm from low to high"),
    (("train", "x.tif", "--set", "steps"), 2, "--set steps: expected KEY=VALUE"),
    (("train", "x.tif", "--device", "abacus"), 2, "device 'abacus': expected auto, cpu"),
]


@pytest.mark.parametrize(("words", "code", "message"), CALLS, ids=lambda value: str(value)[:40])
def test_a_wrong_call_is_one_line_and_writes_nothing(
    words: tuple[str, ...], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refusal(hsisr(*words), code)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("arguments", [(), ("weights",)])
def test_without_a_command_help_is_shown(arguments: tuple[str, ...]) -> None:
    done = hsisr(*arguments)
    assert done.exit_code == 2
    assert "Commands" in done.stderr + done.stdout


def test_what_is_refused_leaves_nothing_and_loses_nothing(tmp_path: Path) -> None:
    judge, report = write_tif(tmp_path / "judge.tif", counts(3, 24, 16)), tmp_path / "report"
    wrong = ("benchmark", "--methods", "dacn", "--scenes", judge, "-o", report)
    assert hsisr(*wrong).exit_code == 2  # nothing to learn from
    assert not report.exists()
    report.mkdir()
    (report / "report.json").write_text("mine")
    assert hsisr(*wrong, "--overwrite").exit_code == 2
    assert (report / "report.json").read_text() == "mine"
