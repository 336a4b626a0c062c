"""The first inputs of every target, small and sound, from which the others grow."""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import scipy.io
import torch
from safetensors.torch import save

from hsisr.models.common import comparison_descriptor
from hsisr.models.dacn_any import dacn_any_descriptor
from hsisr.models.registry import ARCHITECTURES, descriptor_for
from hsisr.weights.store import METADATA_KEY
from tests.fuzz.seeds_beside import Seeds, binding, record, stac, strip, zarr
from tests.models.formulas import keras_weights
from tests.scenes import numbered, write_envi, write_mat73, write_npy, write_pages

CUBE = numbered(3, 4, 5)


def envi() -> Seeds:
    """Headers of all interleaves, with every field that is read."""
    fields = {
        "description": "{a scene\n of two lines}",
        "wavelength": "{400, 500, 600}",
        "wavelength units": "Nanometers",
        "fwhm": "{5, 5, 5}",
        "bbl": "{1, 0, 1}",
        "band names": "{a, b, c}",
        "data ignore value": "0",
        "data gain values": "{1, 2, 3}",
        "data offset values": "{0, 0, 0}",
        "map info": "{UTM, 1, 1, 500000, 4000000, 30, 30, 32, North, WGS-84}",
        "coordinate system string": '{GEOGCS["a",DATUM["b",SPHEROID["c",6378137,298]]]}',
    }
    places = {
        "geo points": "{1, 1, 50, 8, 5, 1, 50, 9, 1, 4, 49, 8}",
        "rpc info": "{" + ", ".join(["1"] * 93) + "}",
    }
    with tempfile.TemporaryDirectory() as folder:
        for interleave in ("bsq", "bil", "bip"):
            header = Path(folder, "x.hdr")
            yield interleave, write_envi(header, CUBE, fields, interleave=interleave).read_bytes()
        yield "plain", write_envi(Path(folder, "x.hdr"), CUBE).read_bytes()
        header = write_envi(Path(folder, "x.hdr"), CUBE.astype("f4"), places, big_endian=True)
        yield "places", header.read_bytes()
        yield "latin-1", header.read_bytes() + "sensor type = Gerät\n".encode("latin-1")


def mat5() -> Seeds:
    """Plain, packed, of version 4, and with everything that is looked for beside a cube."""
    cube = CUBE.transpose(1, 2, 0)
    beside = {
        "wavelengths": [400.0, 500.0, 600.0],
        "wavelength_units": "nm",
        "bbl": [1, 0, 1],
        "band_names": np.array(["a", "b", "c"], object),
        "valid": np.ones((4, 5), bool),
        "gcps": np.ones((2, 5)),
        "provenance": "a = b",
        "other": {"a": 1},
    }
    for packed in (False, True):
        yield f"cube-{packed}", _mat({"cube": cube}, do_compression=packed)
        yield f"fields-{packed}", _mat({"cube": cube, **beside}, do_compression=packed)
    yield "complex", _mat({"cube": cube * 1j})
    yield "version-4", _mat({"cube": np.ones((4, 5)), "text": "abc"}, format="4")


def _mat(variables: dict[str, object], **options: object) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, **options)
    return buffer.getvalue()


def mat73() -> Seeds:
    """HDF5: plain and in chunks, with texts and references."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.mat")
        yield "cube", write_mat73(path, CUBE).read_bytes()
        beside: dict[str, Any] = {
            "wavelengths": np.array([[4e2, 5e2, 6e2]]),
            "valid": np.ones((4, 5), bool),
        }
        yield "fields", write_mat73(path, CUBE, **beside).read_bytes()
    kinds: dict[str, dict[str, Any]] = {
        "chunks": {"chunks": (1, 2, 2)},
        "packed": {"compression": 4},
    }
    for name, options in kinds.items():
        buffer = io.BytesIO()
        with h5py.File(buffer, "w", libver="latest") as file:
            file.create_dataset("cube", data=CUBE, **options)
        yield name, buffer.getvalue()
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest") as file:
        file["cube"], file["t"] = CUBE, np.array([[97]], np.uint16)
        refs = file.create_dataset("band_names", (3,), h5py.ref_dtype)
        refs.attrs["MATLAB_class"] = np.bytes_("cell")
        refs[...] = file["t"].ref
        file["wavelength_units"] = np.bytes_("nm")
    yield "references", buffer.getvalue()


def npy() -> Seeds:
    """Both orders, both versions of the header."""
    with tempfile.TemporaryDirectory() as folder:
        yield "c", write_npy(Path(folder, "x.npy"), CUBE).read_bytes()
    for version in ((1, 0), (2, 0), (3, 0)):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.asfortranarray(CUBE.astype(">f4")), version)
        yield f"fortran-{version[0]}", buffer.getvalue()


def tiff() -> Seeds:
    """Stacks that lie in one piece, in pages, packed, as ImageJ keeps them; and one page."""
    kinds: dict[str, dict[str, Any]] = {
        "pages": {"contiguous": False},
        "one-piece": {"contiguous": True},
        "packed": {"compression": "zlib"},
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
        "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
        "big": {"bigtiff": True},
        "planes": {"planarconfig": "separate", "photometric": "rgb"},
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, options in kinds.items():
            yield name, write_pages(Path(folder, "x.tif"), CUBE, **options).read_bytes()


def card() -> Seeds:
    """The published descriptor of every network."""
    for arch in ARCHITECTURES:
        facts = {"descriptor": asdict(descriptor_for(arch, 2)), "card": {"licence": "none"}}
        yield arch, json.dumps(facts).encode()
    sized = {**asdict(comparison_descriptor("vdsr", 4)), "hparams": {"width": 1, "hidden": 1}}
    yield "sized", json.dumps({"descriptor": sized, "card": {}}).encode()


def safetensors() -> Seeds:
    """A whole network of the smallest size, and tensors of other types."""
    sizes = {"group_size": 1, "group_overlap": 0, "hparams": {"width": 1, "hidden": 1}}
    descriptor = {**asdict(comparison_descriptor("vdsr", 2)), **sizes}
    facts = {METADATA_KEY: json.dumps({"descriptor": descriptor, "card": {"a": "b"}})}
    names = ("entry.0", "hidden.0.0", "exit")
    state = {f"{name}.weight": torch.zeros(1, 1, 3, 3) for name in names}
    state |= {f"{name}.bias": torch.zeros(1) for name in names}
    yield "network", save(state, facts)
    yield "half", save({k: v.half() for k, v in state.items()}, facts)
    types = ("int64", "uint8", "bool", "bfloat16", "float64", "float8_e4m3fn")
    yield "types", save({name: torch.zeros(2).to(getattr(torch, name)) for name in types}, facts)
    any_facts = {"descriptor": asdict(dacn_any_descriptor(2)), "card": {}}
    yield "misfit", save({"a": torch.zeros(0)}, {METADATA_KEY: json.dumps(any_facts)})


def keras() -> Seeds:
    """An archive with a few layers, stored and packed, and one of all layers without numbers."""
    few = {w.path: np.zeros((1,) * len(w.shape), "f4") for w in keras_weights(2)[:2]}
    for packing in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield f"few-{packing}", _archive(_hdf5(few), packing)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest") as file:
        for weight in keras_weights(2):
            file.create_dataset(weight.path, weight.shape, "f4")  # never written: takes no room
    yield "all", _archive(buffer.getvalue(), zipfile.ZIP_DEFLATED)


def _hdf5(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest") as file:
        for name, array in arrays.items():
            file[name] = array
    return buffer.getvalue()


def _archive(weights: bytes, packing: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.0"}')
        archive.writestr("config.json", '{"class_name": "Functional"}')
        archive.writestr("model.weights.h5", weights)
    return buffer.getvalue()


def recipe() -> Seeds:
    """A few keys of every type."""
    yield (
        "types",
        (
            b'about = "x"\nsteps = 3\nflips = false\nlearning_rate = 1e-3\ncoarser = [2, 4]\n'
            b'patches = "random"\nsplit = "held-out"\n[network]\nwidth = 4\n'
        ),
    )
    yield "grid", b'patches = "grid"\nsplit = "patches"\nepochs = 2\nvalidate_every = 0\n'


def catalogue() -> Seeds:
    """Two networks."""
    entry = (
        '[[weights]]\nname = "{0}"\nfile = "{0}.safetensors"\nsha256 = "{1}"\nscale = 2\n'
        'card = "{0}.md"\ndefault = {2}\n'
    )
    text = entry.format("a", "0" * 64, "true") + entry.format("b", "1" * 64, "false")
    yield "two", text.encode()


SEEDS: dict[str, Callable[[], Seeds]] = {
    maker.__name__: maker
    for maker in (
        *(envi, mat5, mat73, npy, tiff, card, safetensors, keras, recipe, catalogue),
        *(zarr, stac, record, binding, strip),
    )
}
"""By target."""


def write_seeds(corpus: Path) -> None:
    """Write what no other input replaces: files called `seed-...`."""
    for target, maker in SEEDS.items():
        (corpus / target).mkdir(parents=True, exist_ok=True)
        for name, content in maker():
            (corpus / target / f"seed-{name}").write_bytes(content)
