"""What is done with hostile stores, items, records, and what a broken run leaves."""

import hashlib
import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import rasterio

from hsisr.commands.archive.stac_item import item_text
from hsisr.commands.job import UpscaleResult
from hsisr.engine.machine import Room
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.session import Model
from hsisr.io.stac.item import read_item
from hsisr.io.zarr.guard import GuardedStore
from hsisr.io.zarr.reader import open_zarr
from hsisr.resume.completion import judge
from hsisr.resume.record import Work, record_path
from hsisr.resume.run import Extent, Journal, Piece, RunKey, locked_run
from tests.fuzz.mutators import unpacked
from tests.io.written import metadata_of
from tests.scenes import numbered, write_tif

LATE = (GuardedStore, open_zarr)
"""From files that are loaded when they are needed, so that the fuzzer sees them loaded."""
RESULT = UpscaleResult(
    source=Path("a.tif"),
    output=Path("a_x2.tif"),
    written=True,
    format="GTiff",
    model="bicubic",
    weights_sha256=None,
    scale=2,
    input_shape=(3, 4, 5),
    output_shape=(2, 8, 10),
    dtype="uint16",
    bad_bands=(2,),
    written_bands=(1, 3),
    tiles=1,
    groups=1,
    output_bytes=320,
    peak_memory_bytes=0,
)
OPTIONS = UpscaleOptions(scale=2, model="bicubic")
MODEL = Model("bicubic")


def lay_store(path: Path, data: bytes) -> None:
    """The members of an archive as a folder; those with strange names are left out."""
    path.mkdir()
    for name, content in unpacked(data):
        parts = name.split("/")
        if len(name) < 100 and len(parts) < 9 and not {"", ".", ".."} & set(parts):
            file = path.joinpath(*parts)
            if name.isprintable() and not any(p.is_file() for p in (file, *file.parents)):
                file.parent.mkdir(parents=True, exist_ok=True)
                if not file.is_dir():
                    file.write_bytes(content)


def use_item(path: Path) -> None:
    """Read an item, open its scene if it lies here, and derive the item of an output."""
    item = read_item(path)
    if isinstance(item.scene, Path):
        item.scene.is_file()
    item_text(item, path.with_name("out.tif"), RESULT, metadata_of((2, 8, 10)))


@cache
def _output() -> bytes:
    """A GeoTIFF that says of itself that hsisr made it."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_tif(Path(folder, "a.tif"), numbered(1, 4, 5))
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(HSISR_CREATED="2026-02-02T00:00:00Z", HSISR_MODEL="bicubic")
        return path.read_bytes()


def lay_record(path: Path, data: bytes) -> None:
    path.write_bytes(_output())
    os.utime(path, ns=(0, 0))
    place = record_path(path)
    place.parent.mkdir()
    place.write_bytes(data)


def use_record(path: Path) -> None:
    judge(Work(path, path, path), OPTIONS, MODEL)


def lay_binding(path: Path, data: bytes) -> None:
    """What a broken run was bound to, and a strip that it finished."""
    folder = path.with_name(f".{path.name}.unfinished")
    folder.mkdir()
    (folder / "run.json").write_bytes(data)
    try:
        text = json.dumps(json.loads(data), sort_keys=True)
    except (ValueError, RecursionError, TypeError):
        text = ""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    recording = Journal(folder / f"strips-{digest}").recording(0, 0)
    recording.put(Piece(np.ones((1, 2, 2), np.int16), 0, 0))
    recording.commit(0)


def use_binding(path: Path) -> None:
    """Go on with the broken run, on a copy."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        kept = path.with_name(f".{path.name}.unfinished")
        shutil.copytree(kept, Path(folder, kept.name))
        bound = RunKey(input=["a"], settings={"scale": 2})
        with locked_run(
            Path(folder, path.name), lambda: bound, lambda: Room(1, 1), resume=True, overwrite=False
        ) as run:
            assert run.room.working_bytes >= 0
            assert run.room.tile_bytes >= 0


FILLED = Extent(dtype=np.dtype(np.int16), bands=2, row=0, rows=2, cols=2, masked=True)


def use_strip(path: Path) -> None:
    """Replay a finished strip, if it counts as one."""
    journal = Journal(path.parent)
    if journal.has(7, 7, FILLED):
        assert journal.moved(7, 7) >= 0
        for piece in journal.pieces(7, 7):
            assert piece.numbers.ndim == 3
