"""What is done with an input of each target: the bytes become files, and the files are used."""

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from hsisr.errors import HsisrError
from hsisr.training.recipe import recipe_named
from hsisr.weights import released
from hsisr.weights.keras import import_keras
from hsisr.weights.store import METADATA_KEY, load_weights
from tests.fuzz import beside_use
from tests.fuzz.law import STEM, obey
from tests.fuzz.scene_use import use_scene


@dataclass(frozen=True)
class Target:
    file: str
    """Name of the hostile file."""
    use: Callable[[Path], object]
    prepare: Callable[[bytes], bytes] = bytes
    """From the input to the bytes of the file."""
    beside: Mapping[str, bytes] = field(default_factory=dict)
    """Harmless files beside it."""
    write: Callable[[Path, bytes], object] = Path.write_bytes
    """Makes the hostile file, or folder, of the bytes."""


def run(target: Target, data: bytes, folder: Path) -> None:
    """Hold one input against the law, in an empty folder, which is emptied again."""
    path = _laid_out(target, data, folder)
    try:
        obey(target.use, path)
    finally:
        _empty(folder)


def use_recipe(path: Path) -> None:
    recipe_named(str(path))


def use_catalogue(path: Path) -> None:
    """Read a catalogue of weights, which is found by its folder."""
    released(path.parent)


def safetensors_of(facts: bytes) -> bytes:
    """A safetensors file with one tensor, whose descriptor and card are this JSON text."""
    header = {
        "__metadata__": {METADATA_KEY: facts.decode("utf-8", "replace")},
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(4)


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "envi": Target(f"{STEM}.hdr", use_scene, beside={f"{STEM}.img": bytes(range(256)) * 16}),
        "mat5": Target(f"{STEM}.mat", use_scene),
        "mat73": Target(f"{STEM}.mat", use_scene),
        "npy": Target(f"{STEM}.npy", use_scene),
        "tiff": Target(f"{STEM}.tif", use_scene),
        "card": Target(f"{STEM}.safetensors", load_weights, prepare=safetensors_of),
        "safetensors": Target(f"{STEM}.safetensors", load_weights),
        "keras": Target(f"{STEM}.keras", import_keras),
        "recipe": Target(f"{STEM}.toml", use_recipe),
        "catalogue": Target("catalogue.toml", use_catalogue),
        "zarr": Target(f"{STEM}.zarr", use_scene, write=beside_use.lay_store),
        "stac": Target(f"{STEM}.json", beside_use.use_item),
        "record": Target(f"{STEM}.tif", beside_use.use_record, write=beside_use.lay_record),
        "binding": Target(f"{STEM}.tif", beside_use.use_binding, write=beside_use.lay_binding),
        "strip": Target("0007-000007.npz", beside_use.use_strip),
    }
)
"""By name; a corpus folder has the same."""


def warm_up(target: Target, corpus: Path, folder: Path) -> None:
    """Use every seed once, for what libraries do when first used is not the file's doing."""
    for file in sorted(corpus.glob("seed-*")):
        path = _laid_out(target, file.read_bytes(), folder)
        with suppress(HsisrError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.use(path)
        _empty(folder)


def _laid_out(target: Target, data: bytes, folder: Path) -> Path:
    for name, content in target.beside.items():
        (folder / name).write_bytes(content)
    path = folder / target.file
    target.write(path, target.prepare(data))
    return path


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
