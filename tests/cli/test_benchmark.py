"""`hsisr benchmark` as its user meets it."""

import json
import re
from pathlib import Path

import pytest

from tests.commands.files import counts, write_tif
from tests.program import hsisr

QUICK = ["--methods", "edsr", "--set", "steps=1", "--set", "validate_every=1"]


@pytest.mark.slow  # `.ci/run` makes one, too
def test_smoke_makes_a_whole_report(tmp_path: Path) -> None:
    out = tmp_path / "report"
    done = hsisr("benchmark", "--smoke", *QUICK, "--device", "cpu", "-o", out)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(out / "report.html")
    lines = done.stderr.splitlines()
    assert lines[0].startswith("[1/14] judging sample-bicubic-x4-seed0 on sample-judge.tif, area ")
    assert re.match(r"\[(\d+)/\1\] cost of edsr at x4, 1 at once: ", lines[-1])
    names = {path.name for path in out.iterdir()}
    assert names == {"cells", "report.json", "report.csv", "report.md", "report.html"}
    costs = json.loads((out / "report.json").read_text())["costs"]
    assert [row["method"] for row in costs] == ["bicubic", "edsr"]
    assert all(row["peak_bytes"] > row["base_bytes"] for row in costs)
    again = hsisr(
        *("benchmark", "--smoke", *QUICK, "--device", "cpu", "-o", out),
        *("--resume", "-q", "--table", 1),
    )
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout.startswith("## Measured, in the layout of table I of the paper")
    assert "| x4 | dacn-group-48 | - | - |" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "found no scene to judge by"),
        (["--methods", "best"], 2, "no method 'best'"),
        (["--smoke", "--scales", "2,x"], 2, "scales 2,x: expected 2, 4 or 8"),
        (["--dataset", "paviaq"], 2, "no dataset 'paviaq'; did you mean 'paviau'?"),
        (["--dataset", "paviau", "--offline", "--data-dir", "."], 5, "--offline forbids"),
        (["--scenes", "none.tif", "--methods", "bicubic"], 3, "none.tif"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = hsisr("benchmark", *arguments)
    assert done.exit_code == code, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_what_is_refused_leaves_nothing_and_loses_nothing(tmp_path: Path) -> None:
    judge, report = write_tif(tmp_path / "judge.tif", counts(3, 24, 16)), tmp_path / "report"
    wrong = ("benchmark", "--methods", "dacn", "--scenes", judge, "-o", report)
    assert hsisr(*wrong).exit_code == 2  # nothing to learn from
    assert not report.exists()
    report.mkdir()
    (report / "report.json").write_text("mine")
    assert hsisr(*wrong, "--overwrite").exit_code == 2
    assert (report / "report.json").read_text() == "mine"
