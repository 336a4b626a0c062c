"""What an output says about how it came to be."""

import json
from pathlib import Path

import pytest

from hsisr.commands.upscale import upscale
from hsisr.engine.options import UpscaleOptions
from hsisr.io.open import open_scene
from hsisr.resume.record import provenance_of
from tests.commands.files import counts, write_tif


@pytest.mark.parametrize("suffix", [".tif", ".hdr", ".mat"])
def test_an_output_of_an_output_tells_of_its_own_making_only(tmp_path: Path, suffix: str) -> None:
    source = write_tif(tmp_path / "scene.tif", counts(2, 6, 5))
    once, twice = tmp_path / f"once{suffix}", tmp_path / f"twice{suffix}"
    upscale(source, once, UpscaleOptions(scale=2, model="bicubic", tile=5))
    upscale(once, twice, UpscaleOptions(scale=2, model="nearest"))
    with open_scene(twice) as scene:
        found = provenance_of(scene.metadata)
    assert found.keys() == {"VERSION", "SOURCE", "MODEL", "OPTIONS", "CREATED"}
    assert (found["SOURCE"], found["MODEL"]) == (once.name, "nearest")
    assert "tile" not in json.loads(found["OPTIONS"])
