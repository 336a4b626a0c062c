"""Zarr stores made to show other files, to have no end, to load code or to write on a terminal."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import zarr

from hsisr.errors import InputDataError
from hsisr.io.open import open_scene
from hsisr.tiling import Window
from tests.fuzz.scene_use import use_scene
from tests.io.zarr_stores import edit_json, write_store
from tests.scenes import numbered

CUBE = numbered(3, 4, 5)
Make = Callable[[Path], Path]


def array(version: Literal[2, 3] = 2, **changes: Any) -> Make:
    """A store of one little array, its document changed."""

    def make(folder: Path) -> Path:
        store = write_store(
            folder / "scene.zarr",
            {"cube": (("band", "y", "x"), CUBE)},
            version=version,
            chunks=CUBE.shape,
        )
        edit_json(store / "cube" / {2: ".zarray", 3: "zarr.json"}[version], **changes)
        return store

    return make


def linked(store: Path, target: Path) -> None:
    (store / "cube" / "0.0.0").symlink_to(target)


def piped(store: Path, _: Path) -> None:
    os.mkfifo(store / "cube" / "0.0.0")


def endless(store: Path, _: Path) -> None:
    (store / "cube" / "0.0.0").symlink_to("/dev/zero")


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need rights there")
@pytest.mark.parametrize("way", [linked, piped, endless])
def test_a_chunk_that_is_no_plain_file_is_not_read(
    way: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(120))
    store = array(compressor=None)(tmp_path)
    (store / "cube" / "0.0.0").unlink()
    way(store, secret)
    with open_scene(store) as scene, pytest.raises(InputDataError, match=r"scene\.zarr: .* a link"):
        scene.read(Window(0, 0, 4, 5))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_groups_in_circles_come_to_an_end(tmp_path: Path) -> None:
    store = write_store(tmp_path / "scene.zarr", {"cube": (("b", "y", "x"), CUBE)})
    (store / "a").symlink_to(store)
    (store / "b").symlink_to(store)
    with pytest.raises(InputDataError, match=r"part [ab]/\.z\w+ of it is a link or a device"):
        open_scene(store)


def test_arrays_that_a_store_says_to_lie_outside_are_not_read(tmp_path: Path) -> None:
    write_store(tmp_path / "secret.zarr", {"cube": (("b", "y", "x"), CUBE)})
    store = write_store(tmp_path / "scene.zarr", {})
    said = json.loads((tmp_path / "secret.zarr" / "cube" / ".zarray").read_text())
    documents = {".zgroup": {"zarr_format": 2}, "../secret.zarr/cube/.zarray": said}
    documents["../secret.zarr/cube/.zattrs"] = {}
    (store / ".zmetadata").write_text(
        json.dumps({"zarr_consolidated_format": 1, "metadata": documents})
    )
    with pytest.raises(InputDataError, match=r"scene\.zarr"):
        use_scene(store)


def test_consolidated_metadata_that_disagrees_is_an_error_or_harmless(tmp_path: Path) -> None:
    store = write_store(tmp_path / "scene.zarr", {"cube": (("b", "y", "x"), CUBE)})
    zarr.consolidate_metadata(store, zarr_format=2)
    copy = json.loads((store / ".zmetadata").read_text())
    copy["metadata"]["cube/.zarray"] |= {"shape": [3, 400, 500], "chunks": [3, 40, 50]}
    (store / ".zmetadata").write_text(json.dumps(copy))
    with pytest.raises(InputDataError, match=r"scene\.zarr: array cube cannot be read"):
        use_scene(store)


@pytest.mark.parametrize("name", ["os", "numcodecs.pickle", "pickle", "json2", "../x"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_codec_is_never_looked_for_by_a_name_of_the_store(
    name: str, version: Literal[2, 3], tmp_path: Path
) -> None:
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    own = {"name": name, "configuration": {}}
    key, value = {2: ("compressor", {"id": name}), 3: ("codecs", [little, own])}[version]
    with pytest.raises(InputDataError, match=r"scene\.zarr"):
        use_scene(array(version, **{key: value})(tmp_path))


CLAIMS: dict[str, tuple[Make, str]] = {
    "bands": (array(shape=[10**12, 4, 5], chunks=[1, 1, 1]), "bands, expected at most"),
    "chunk": (array(shape=[1, 10**9, 9], chunks=[1, 10**9, 1]), "has chunks of 2000000000 bytes"),
    "chunk of nothing": (array(chunks=[0, 0, 0]), "scene.zarr"),
    "nothing": (array(shape=[3, 0, 10**12]), "scene.zarr"),
    "digits": (array(shape=[3, int("9" * 300), 5]), "scene.zarr"),
    "fill value": (array(fill_value="many"), "scene.zarr"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_of_size_are_refused_before_memory_is_taken(name: str, tmp_path: Path) -> None:
    make, words = CLAIMS[name]
    with pytest.raises(InputDataError, match=re.escape(words)), open_scene(make(tmp_path)) as scene:
        scene.read(Window(0, 0, 1, 1))
