"""The page of the comparison is what its script makes of the committed report."""

import json
import subprocess
import sys

import pytest

from tests.conftest import PROJECT

REPORT = PROJECT / "docs" / "benchmarks" / "comparison" / "report.json"
PAGE = PROJECT / "docs" / "src" / "reference" / "benchmark.md"
EVERY_METHOD = 19
"""Bicubic, 12 networks, 6 variants of DACN."""


def test_the_page_is_made_from_the_report() -> None:
    script = PROJECT / "docs" / "benchmarks" / "page.py"
    words = [sys.executable, str(script), str(REPORT)]
    made = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert made == PAGE.read_text(encoding="utf-8")


def test_the_report_has_every_method_and_three_seeds_where_they_are_promised() -> None:
    facts = json.loads(REPORT.read_text(encoding="utf-8"))
    assert len(facts["methods"]) == EVERY_METHOD
    assert facts["failures"] == []
    seeds: dict[str, set[int]] = {}
    for row in facts["scores"]:
        seeds.setdefault(row["method"], set()).add(row["seed"])
    assert {name for name, own in seeds.items() if own == {0, 1, 2}} == {
        *("dacn", "edsr", "mcnet", "dsdcn")
    }
    scenes = {name for name, _ in facts["courses"][0]["judges"]}
    assert len(facts["scores"]) == sum(len(own) for own in seeds.values()) * len(scenes)
    taught = {name for name, _ in facts["courses"][0]["train"]}
    assert not taught & scenes


@pytest.mark.parametrize("name", ["report.json", "report.html", "report.csv"])
def test_the_report_names_no_place_of_the_machine_that_made_it(name: str) -> None:
    text = (REPORT.parent / name).read_text(encoding="utf-8")
    for place in ("/home/", "/tmp/", "/root/", "/Users/"):  # noqa: S108
        assert place not in text
