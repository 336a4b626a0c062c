"""Outputs in other programs: GDAL's command line, QGIS, SPy, xarray, rioxarray, Octave."""

from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/src/reference/clients.md"
pytestmark = pytest.mark.clients


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # rioxarray's use of affine
def test_other_programs_see_what_the_page_says(tmp_path: Path) -> None:
    for package in ("rioxarray", "spectral", "xarray"):
        pytest.importorskip(package)
    from tests.clients.outputs import missing, table, write_outputs

    if absent := missing():
        pytest.skip(f"not installed: {', '.join(absent)}")
    write_outputs(tmp_path)
    assert table(tmp_path) in PAGE.read_text(encoding="utf-8")
