"""The first inputs of the targets of folders and of JSON beside scenes: stores, items, records."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr as zarr_python
from zarr.codecs import BloscCodec, GzipCodec

from hsisr.engine.memory import Room
from hsisr.io.scene_files import FileState, head_of
from hsisr.resume.journal import Journal, Piece
from hsisr.resume.record import Record, output_spec, record_path, write_record
from tests.fuzz.beside_use import lay_record
from tests.fuzz.mutators import packed
from tests.io.written import rich_metadata, write_scene
from tests.io.zarr_stores import Version, write_store
from tests.scenes import numbered
from tests.stac_items import data_asset, write_item

Seeds = Iterator[tuple[str, bytes]]

CUBE = numbered(3, 4, 5)


def zarr() -> Seeds:
    """Stores of xarray's kind in both versions, every compression, a shard, and one of hsisr's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "own.zarr")
        write_scene(path, rich_metadata((3, 4, 5)))
        for name in ("x", "y", "fwhm", "band_offset", "good_bands", ".zmetadata"):
            part = path / name
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        yield "own", _folder(path)
        names = {"cube": (("wl", "y", "x"), CUBE), "wl": (("wl",), [400.0, 500.0, 600.0])}
        named = {**names, "band_name": (("wl",), np.array(["a", "b", "c"], "T"))}
        kinds: tuple[tuple[Version, dict[str, Any]], ...] = ((2, names), (3, named))
        for version, arrays in kinds:
            plain = write_store(Path(folder, f"{version}"), arrays, version=version)
            yield f"version-{version}", _folder(plain)
        for name, options in _PACKINGS.items():
            path = Path(folder, name)
            one = zarr_python.create_array(
                path, shape=CUBE.shape, dtype=CUBE.dtype, **{"chunks": CUBE.shape, **options}
            )
            one[...] = CUBE
            yield name, _folder(path)


_PACKINGS: dict[str, dict[str, Any]] = {
    **{
        f"packed-{codec.codec_id}": {"zarr_format": 2, "compressors": codec}
        for codec in (
            *(numcodecs.Blosc(), numcodecs.GZip(), numcodecs.Zlib(), numcodecs.BZ2()),
            *(numcodecs.LZ4(), numcodecs.LZMA(), numcodecs.Zstd()),
        )
    },
    "filtered": {"zarr_format": 2, "filters": [numcodecs.Delta("<u2")]},
    "shards": {"shards": CUBE.shape, "chunks": (1, 2, 5)},
    "blosc": {"compressors": BloscCodec()},
    "gzip": {"compressors": GzipCodec()},
}


def _folder(path: Path) -> bytes:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return packed([(file.relative_to(path).as_posix(), file.read_bytes()) for file in files])


def stac() -> Seeds:
    """An Item of an airborne flight, and a plain one."""
    with tempfile.TemporaryDirectory() as folder:
        yield "flight", write_item(Path(folder)).read_bytes()
        own = {"a": data_asset("a.tif", bands=[{"name": "b", "gsd": 30}, {}])}
        plain: dict[str, Any] = {"stac_version": "1.1.0", "stac_extensions": [], "geometry": None}
        yield "plain", write_item(Path(folder), own, **plain).read_bytes()


def record() -> Seeds:
    """The records of an output that is finished, broken off, or was made again since."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "hostile.tif")
        lay_record(path, b"")
        size = path.stat().st_size
        for name, there in (("whole", size), ("half", size + 9), ("older", size - 9)):
            write_record(path, _record([FileState(path.name, there, 0)], head_of(path)))
            yield name, record_path(path).read_bytes()


def _record(files: list[FileState], head: str) -> Record:
    return Record(
        hsisr="0.1",
        source=tuple(files),
        output=tuple(files),
        heads={"hostile.tif": head},
        created="2026-01-01T00:00:00Z",
        making=output_spec({"scale": 2, "tile": None}, Path("a.tif"), "bicubic", None),
        moved_values=0,
        seconds=1.5,
    )


def binding() -> Seeds:
    """What a broken run was bound to."""
    bound = {"input": ["a"], "settings": {"scale": 2}}
    yield "same", json.dumps({"binding": bound, "room": asdict(Room(7, 7))}).encode()
    other = {"input": ["a"], "settings": {"scale": 4, "model": "dacn"}}
    yield "other", json.dumps({"binding": other, "room": asdict(Room(7, 7))}).encode()


def strip() -> Seeds:
    """A finished strip of two pieces."""
    with tempfile.TemporaryDirectory() as folder:
        recording = Journal(Path(folder)).recording(7, 7)
        recording.put(Piece(np.ones((1, 2, 2), np.int16), 1, 0))
        recording.put(Piece(np.ones((1, 2, 2), np.int16), 0, 0, np.ones((2, 2), np.bool_)))
        recording.commit(3)
        (file,) = Path(folder).iterdir()
        yield "strip", file.read_bytes()
