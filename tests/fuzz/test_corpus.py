"""Every input that once did harm, and every seed, obeys the law; no fuzzer is needed for that."""

import sys
from pathlib import Path

import pytest

from tests.fuzz.mutators import VALUES
from tests.fuzz.targets import TARGETS, run, warm_up

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.skipif(sys.platform == "win32", reason="the law's clock is an alarm signal")
@pytest.mark.parametrize("name", TARGETS)
def test_every_input_works_or_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    inputs = sorted((CORPUS / name).iterdir())
    assert inputs
    warm_up(TARGETS[name], CORPUS / name, tmp_path)
    for file in inputs:
        run(TARGETS[name], file.read_bytes(), tmp_path)


def test_the_fuzzer_knows_the_attributes_that_readers_look_for() -> None:
    place = {"grid_mapping", "proj:code", "proj:transform", "spatial:transform", "GeoTransform"}
    texts = {value for value in VALUES if isinstance(value, str)}
    assert {*place, "_FillValue", "scale_factor", "eo:bands"} <= texts


def test_the_corpus_is_small() -> None:
    sizes = [file.stat().st_size for file in CORPUS.rglob("*") if file.is_file()]
    assert max(sizes) < 4 * 1024
    assert sum(sizes) < 300 * 1024
