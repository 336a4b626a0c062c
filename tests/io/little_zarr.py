"""Zarr stores of one little array, one document or chunk of which is whatever a test says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import zarr

from tests.io.zarr_stores import edit_json
from tests.scenes import numbered

CUBE = numbered(3, 4, 5)

Make = Callable[[Path], Path]


def array(**changes: Any) -> Make:
    """One array of version 2, its document changed."""

    def make(folder: Path) -> Path:
        path = folder / "scene.zarr"
        zarr.create_array(
            path,
            shape=CUBE.shape,
            dtype="u2",
            zarr_format=2,
            chunks=CUBE.shape,
            attributes={"_ARRAY_DIMENSIONS": ["band", "y", "x"]},
        )
        edit_json(path / ".zarray", **changes)
        return path

    return make


def array_3(**changes: Any) -> Make:
    """The same of version 3."""

    def make(folder: Path) -> Path:
        path = folder / "scene.zarr"
        zarr.create_array(
            path,
            shape=CUBE.shape,
            dtype="u2",
            chunks=CUBE.shape,
            dimension_names=("band", "y", "x"),
        )
        edit_json(path / "zarr.json", **changes)
        return path

    return make


def chunk(codec: dict[str, Any], content: bytes) -> Make:
    """The only chunk of a little array holds these bytes."""

    def make(folder: Path) -> Path:
        path = array(compressor=codec)(folder)
        (path / "0.0.0").write_bytes(content)
        return path

    return make


def chunk_3(codecs: list[dict[str, Any]], content: bytes) -> Make:
    def make(folder: Path) -> Path:
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        path = array_3(codecs=[little, *codecs])(folder)
        (path / "c" / "0" / "0").mkdir(parents=True)
        (path / "c" / "0" / "0" / "0").write_bytes(content)
        return path

    return make
