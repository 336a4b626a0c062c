"""Scenes made to do harm: sizes that no memory holds, links out of the file, objects to run."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from hsisr.errors import HsisrWarning, InputDataError
from hsisr.io.open import open_scene
from tests.limited import outcomes
from tests.scenes import numbered, write_envi, write_mat73

CUBE = numbered(3, 4, 5)
HUGE = 2**31 - 1

Make = Callable[[Path], Path]


def envi(**fields: object) -> Make:
    def make(folder: Path) -> Path:
        texts = {key.replace("_", " "): str(value) for key, value in fields.items()}
        return write_envi(folder / "scene.hdr", CUBE, texts)

    return make


def mat5(shape: tuple[int, ...], *, packed: bool, size: int | None = None) -> Make:
    """A variable of 8-byte numbers that claims a shape, and that its numbers take so many bytes."""

    def make(folder: Path) -> Path:
        claimed = (np.prod(shape, dtype=object) * 8 if size is None else size) % 2**32
        inside = struct.pack("<IIII", 6, 8, 6, 0)
        inside += struct.pack("<II", 5, 4 * len(shape)) + struct.pack(f"<{len(shape)}i", *shape)
        inside += bytes(-len(inside) % 8)
        inside += struct.pack("<HH4s", 1, 4, b"cube") + struct.pack("<II", 9, int(claimed))
        inside += bytes(2**20)
        element = struct.pack("<II", 14, len(inside)) + inside
        if packed:
            content = zlib.compress(element)
            element = struct.pack("<II", 15, len(content)) + content
        path = folder / "scene.mat"
        path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + element)
        return path

    return make


def mat5_text_bomb(folder: Path) -> Path:
    """Band names that unpack to a gigabyte."""
    path = folder / "scene.mat"
    scipy.io.savemat(path, {"cube": CUBE.transpose(1, 2, 0)})
    head = struct.pack("<IIIIIIii", 6, 8, 4, 0, 5, 8, 1, 2**30)
    head += struct.pack("<II16s", 1, 16, b"wavelength_units")
    packer = zlib.compressobj()
    content = packer.compress(struct.pack("<II", 14, 2**30) + head + struct.pack("<II", 16, 2**30))
    piece = b"n" * 2**20
    content += b"".join(packer.compress(piece) for _ in range(64)) + packer.flush()
    with path.open("ab") as file:
        file.write(struct.pack("<II", 15, len(content)) + content)
    return path


def sparse73(name: str, shape: Any, chunks: Any = None, kind: Any = "f8", **options: Any) -> Make:
    """With an array without numbers; one called cube takes the place of the sound one."""

    def make(folder: Path) -> Path:
        path = write_mat73(folder / "scene.mat", CUBE)
        with h5py.File(path, "r+") as file:
            if name in file:
                file.move(name, "#away")
            file.create_dataset(name, shape, kind, chunks=chunks, **options)
        return path

    return make


def npy(header: bytes, claimed: int | None = None) -> Make:
    def make(folder: Path) -> Path:
        path = folder / "scene.npy"
        size = len(header) if claimed is None else claimed
        path.write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", size) + header + bytes(64))
        return path

    return make


def npy_of(shape: str, kind: str = "<f8") -> Make:
    return npy(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode())


def tiff(width: int, height: int, strip_rows: int) -> Make:
    """One page of one strip that claims a size."""

    def make(folder: Path) -> Path:
        tags = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1)]
        tags += [(278, strip_rows), (279, 8)]
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        content = b"II*\0" + struct.pack("<I", 16) + bytes(8)
        path = folder / "scene.tif"
        path.write_bytes(content + struct.pack("<H", len(tags)) + entries + bytes(4))
        return path

    return make


CLAIMS: dict[str, tuple[Make, str]] = {
    "envi-cube": (envi(lines=10**6, samples=10**6, bands=10**4), "the header promises"),
    "envi-overflow": (envi(lines=2**32, samples=2**32, bands=1), "the header promises"),
    "envi-digits": (envi(lines="9" * 5000), "expected a whole number"),
    "envi-offset": (envi(header_offset=2**62), "the header promises"),
    "mat5-shape": (mat5((HUGE, HUGE, HUGE), packed=False), "bytes for"),
    "mat5-shape-packed": (mat5((HUGE, HUGE, HUGE), packed=True), "bytes for"),
    "mat5-size": (mat5((2**9, 2**10, 2**9), packed=False), "for 268435456 numbers"),
    "mat5-size-packed": (mat5((2**9, 2**10, 2**9), packed=True), "for 268435456 numbers"),
    "mat5-longer": (mat5((3, 4, 5), packed=True, size=2**32 - 1), "for 60 numbers"),
    "mat5-negative": (mat5((-3, -4, 5), packed=True), "has the dimensions"),
    "mat5-nothing-of-much": (mat5((0, 0, HUGE), packed=False), "expected at least 1 of each"),
    "mat5-text-bomb": (mat5_text_bomb, "works"),
    "mat73-field": (sparse73("wavelengths", (1, 10**11)), "works"),
    "mat73-text": (sparse73("band_names", (10**9,), None, h5py.string_dtype()), "works"),
    "mat73-chunk": (
        sparse73("big", (1,), (2**32 - 1,), "u1", maxshape=(None,), compression=1),
        "works",
    ),
    "mat73-bands": (sparse73("cube", (10**12, 9, 9), (1, 9, 9)), "found 1000000000000 bands"),
    # read by windows
    "mat73-sparse": (sparse73("cube", (10**4, 10**6, 10**6), (1, 64, 64), "u2"), "works"),
    "mat73-cube": (sparse73("wavelengths", (10**4, 10**6, 10**6), (1, 64, 64)), "found 2 cubes"),
    "npy-shape": (npy_of("(1000000, 1000000, 10000)"), "the header promises"),
    "npy-overflow": (npy_of("(4294967296, 4294967296, 16)"), "the header promises"),
    "npy-negative": (npy_of("(-4, -4, 4)"), "expected at least"),
    "npy-header": (npy(b"{", 2**32 - 1), "truncated or damaged"),
    "npy-nested": (npy(b"(" * 9000), "truncated or damaged"),
    "npy-objects": (npy_of("(4, 5, 3)", "|O"), "expected integers or floats"),
    "tiff-width": (tiff(HUGE, HUGE, HUGE), "scene.tif"),
    "tiff-strips": (tiff(2**20, 2**20, 1), "scene.tif"),
    "tiff-strip": (tiff(2**15, 2**15, 2**15), "scene.tif"),
}


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What comes of every file above, all in one process that may take a quarter of a gigabyte."""
    folder = tmp_path_factory.mktemp("claims")
    makers = {name: make for name, (make, _) in CLAIMS.items()}
    sound = write_envi(folder / "sound.hdr", CUBE)
    return outcomes("tests.fuzz.scene_use:use_scene", makers, sound)


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_of_size_cost_no_memory_of_scenes(name: str, claims: dict[str, str]) -> None:
    words = CLAIMS[name][1]
    assert words in claims[name]
    assert claims[name].startswith(("InputDataError", "works"))


@pytest.mark.parametrize("name", ["mat5-text-bomb", "mat73-field", "mat73-text"])
def test_a_field_that_claims_too_much_is_left_out_and_said(name: str, tmp_path: Path) -> None:
    with pytest.warns(HsisrWarning, match="left out"):
        open_scene(CLAIMS[name][0](tmp_path)).close()


def secret(folder: Path) -> Path:
    """A file of the user's that no scene has any business with."""
    path = folder / "secret.h5"
    with h5py.File(path, "w") as file:
        file["cube"] = np.full((3, 5, 4), 42.0)
    return path


def virtual(file: h5py.File, source: str) -> None:
    layout = h5py.VirtualLayout((3, 5, 4), "f8")
    layout[...] = h5py.VirtualSource(source, "cube", (3, 5, 4))
    file.create_virtual_dataset("cube", layout)


OUTSIDE: dict[str, Callable[[h5py.File, str], object]] = {
    "external link": lambda f, at: f.__setitem__("cube", h5py.ExternalLink(at, "cube")),
    "soft link": lambda f, at: (
        f.__setitem__("far", h5py.ExternalLink(at, "/")),
        f.__setitem__("cube", h5py.SoftLink("/far/cube")),
    ),
    "virtual dataset": virtual,
    "external storage": lambda f, at: f.create_dataset(
        "cube", (3, 5, 4), "f8", external=[(at, 0, 480)]
    ),
}


@pytest.mark.parametrize("way", OUTSIDE)
def test_a_mat_file_cannot_show_other_files(way: str, tmp_path: Path) -> None:
    at = secret(tmp_path)
    path = tmp_path / "scene.mat"
    with h5py.File(path, "w") as file:
        OUTSIDE[way](file, str(at))
    with pytest.raises(InputDataError, match="no 3-D variable of numbers"):
        open_scene(path)
    with pytest.raises((InputDataError, ValueError), match=r"no plain numbers|no such variable"):
        open_scene(path, variable="cube")


def test_cells_cannot_reach_outside_or_go_in_circles(tmp_path: Path) -> None:
    path = write_mat73(tmp_path / "scene.mat", CUBE)
    with h5py.File(path, "r+") as file:
        cells = file.create_dataset("band_names", (3,), h5py.ref_dtype)
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
        cells[...] = cells.ref
    with pytest.warns(HsisrWarning, match="band_names left out: .*cells that hold no texts"):
        open_scene(path)
