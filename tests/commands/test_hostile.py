"""Names of scenes never lead an output out of its folder."""

from pathlib import Path

import pytest

from hsisr.commands.archive.select import _name
from hsisr.engine.options import UpscaleOptions


@pytest.mark.parametrize("name", ["..", "../..", "a/..", "a/../../b.tif", "x/\n../y.hdr", "-x.tif"])
def test_outputs_of_many_scenes_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    output = tmp_path / _name(Path(name), Path(name), None, UpscaleOptions(scale=2))
    assert output.resolve().parent == tmp_path.resolve()
