"""`hsisr benchmark` as its user meets it."""

from pathlib import Path

from tests.commands.files import counts, write_tif
from tests.program import hsisr


def test_what_is_refused_leaves_nothing_and_loses_nothing(tmp_path: Path) -> None:
    judge, report = write_tif(tmp_path / "judge.tif", counts(3, 24, 16)), tmp_path / "report"
    wrong = ("benchmark", "--methods", "dacn", "--scenes", judge, "-o", report)
    assert hsisr(*wrong).exit_code == 2  # nothing to learn from
    assert not report.exists()
    report.mkdir()
    (report / "report.json").write_text("mine")
    assert hsisr(*wrong, "--overwrite").exit_code == 2
    assert (report / "report.json").read_text() == "mine"
