"""The plugin in a real QGIS, without windows; needs Debian's python3-qgis."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.files import counts, write_tif

PLUGIN = Path(__file__).parents[2] / "docs/integrations/qgis"
PYTHON = "/usr/bin/python3"
pytestmark = pytest.mark.clients


def test_the_algorithms_do_in_qgis_what_the_transcript_says(tmp_path: Path) -> None:
    if subprocess.run([PYTHON, "-c", "import qgis"], check=False).returncode:
        pytest.skip("no QGIS for the system's Python")
    program = shutil.which("hsisr", path=str(Path(sys.executable).parent))
    assert program is not None
    write_tif(tmp_path / "scene.tif", counts(34, 24, 24))
    done = subprocess.run(
        [PYTHON, str(PLUGIN / "transcript.py"), program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert done.returncode == 0, done.stderr
    page = (PLUGIN.parents[1] / "src/how-to/qgis.md").read_text(encoding="utf-8")
    expected = page.split("```text\n")[1].split("```")[0].splitlines()
    said = done.stdout.splitlines()
    assert said[0].startswith("QGIS 3.")
    assert said[1:] == expected[1:]
