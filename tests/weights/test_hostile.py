"""Weights made to do harm: claims of size, bombs, paths that climb, code that wants to run."""

import json
import os
import struct
import sys
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsisr.errors import WeightsError
from hsisr.models.descriptor import usual_descriptor
from hsisr.models.registry import build
from hsisr.weights.keras import MAX_MEMBER_BYTES, import_keras
from hsisr.weights.store import METADATA_KEY, save_weights
from tests.limited import outcomes
from tests.models.formulas import archive, hdf5

LITTLE = 384 * 2**20
SMALL = usual_descriptor("vdsr", 2)

Table = dict[str, Any]


def safetensors(path: Path, tensors: Table, descriptor: Table | None = None, size: int = 4) -> Path:
    """A file whose header says what it likes."""
    facts = {"descriptor": {**asdict(SMALL), **(descriptor or {})}, "card": {}}
    header = {"__metadata__": {METADATA_KEY: json.dumps(facts)}, **tensors}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(size))
    return path


def tensor(*shape: int, at: tuple[int, int] = (0, 4), dtype: str = "F32") -> Table:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(at)}


ONE = {"a": tensor(1)}


def raw(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def sparse(path: Path) -> Path:
    safetensors(path, ONE)
    os.truncate(path, 2**32)
    return path


def deep(path: Path) -> Path:
    text = json.dumps({"__metadata__": {METADATA_KEY: "[" * 10**6}, **ONE}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    return path


HUGE = 2**31
Make = Callable[[Path], Path]


def says(**descriptor: object) -> Make:
    return lambda path: safetensors(path, ONE, descriptor)


def sized(arch: str = "vdsr", **hparams: object) -> Make:
    return says(arch=arch, hparams=hparams)


CLAIMS: dict[str, tuple[Make, str]] = {
    "header length": (lambda p: raw(p, (2**63).to_bytes(8, "little") + b"{}"), "otherwise"),
    "header of 90 MB": (lambda p: raw(p, (9 * 10**7).to_bytes(8, "little") + b"{}"), "claims"),
    "shape": (lambda p: safetensors(p, {"a": tensor(HUGE, HUGE)}), "damaged"),
    "shape that overflows": (lambda p: safetensors(p, {"a": tensor(2**62, 4)}), "damaged"),
    "offset": (lambda p: safetensors(p, {"a": tensor(2**30, at=(0, 2**32))}), "damaged"),
    "overlapping tensors": (lambda p: safetensors(p, {"a": tensor(1), "b": tensor(1)}), "damaged"),
    "negative offsets": (lambda p: safetensors(p, {"a": tensor(1, at=(4, 0))}), "damaged"),
    "a sparse file": (sparse, "found 4294967296 bytes, expected at most"),
    "group size": (says(group_size=10**9), "group_size is 10000"),
    "tile": (says(tile_lr_px=10**9), "tile_lr_px is 1000000000"),
    "margin": (says(margin_lr_px=10**9), "margin_lr_px is 10000"),
    "width": (sized(width=10**9), "width 1000000000"),
    "depth": (sized(hidden=10**9), "hidden 1000000000"),
    "wide and deep": (sized(width=4096, hidden=4096), "it would have more than"),
    "blocks of blocks": (sized("pdenet", stages=4096, blocks=4096, width=2), "would have more"),
    "infinite": (sized("edsr", residual_scale=1e999), "JSON is malformed"),
    "wavelengths of 400 digits": (says(wavelengths_nm=[1, 10**400]), "model descriptor"),
    "deep JSON": (deep, "cannot be used"),
}


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What comes of every file above, in one process that may take little memory."""
    folder = tmp_path_factory.mktemp("claims")
    sound = save_weights(folder / "sound.safetensors", build(SMALL), SMALL)
    makers = {
        name: lambda folder, make=make: make(folder / "x.safetensors")
        for name, (make, _) in CLAIMS.items()
    }
    return outcomes("hsisr.weights.store:load_weights", makers, sound, more=LITTLE)


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_of_size_are_refused_before_memory_is_taken(
    name: str, claims: dict[str, str]
) -> None:
    assert claims[name].startswith("WeightsError: ")
    assert CLAIMS[name][1] in claims[name]


def layer(array: Any) -> dict[str, Any]:
    return {"layers/conv2d/vars/0": array}


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def with_size(path: Path, said: int) -> Path:
    """An archive with 64 MiB of zeros that says they are so many."""
    packed(path, {"config.json": b"{}", "model.weights.h5": bytes(2**26)})
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 2**26), struct.pack("<I", said)))
    return path


def test_a_bomb_in_an_archive_is_not_unpacked(tmp_path: Path) -> None:
    path = with_size(tmp_path / "bomb.keras", MAX_MEMBER_BYTES + 1)
    with pytest.raises(WeightsError, match=r"bomb\.keras: 'model\.weights\.h5' would unpack to"):
        import_keras(path)


def test_a_member_that_says_how_much_memory_it_takes_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("model.weights.h5", b"few bytes")
    with pytest.raises(WeightsError, match="is packed in another way than Keras packs"):
        import_keras(path)


def test_a_lambda_layer_is_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    code = f"__import__('os').mkdir({str(trap)!r})"
    config = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"function": {"class_name": "__lambda__", "config": {"code": code}}},
        "registered_name": code,
    }
    data = hdf5(layer(np.ones(1, "f4")))
    with pytest.raises(WeightsError, match="0 transposed convolutions"):
        import_keras(archive(tmp_path / "x.keras", data, config=json.dumps(config)))
    assert not trap.exists()


def test_no_module_loads_pickles_or_evaluates_text() -> None:
    source = Path(sys.modules["hsisr"].__file__ or "").parent
    forbidden = ("pickle.load", "yaml.load", "allow_pickle=True", " eval(", " exec(", "marshal")
    trusted = source / "commands" / "cluster"  # Dask's own language, between one user's processes
    for module in (path for path in source.rglob("*.py") if trusted not in path.parents):
        text = module.read_text(encoding="utf-8")
        assert not [word for word in forbidden if word in text], module
        for line in text.splitlines():
            assert "torch.load(" not in line or "weights_only=True" in line, (module, line)
