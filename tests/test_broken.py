"""Inputs broken on purpose, what to type, and which exit code and words have to come back."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from hsisr.io.geotiff.writer import GeoTiffWriter
from tests.program import hsisr, refusal
from tests.scenes import (
    numbered,
    write_envi,
    write_geotiff,
    write_mat5,
)

DATA, USAGE, WEIGHTS, RESOURCES = 3, 2, 4, 5


@dataclass(frozen=True)
class Exhibit:
    """One broken thing."""

    name: str
    make: Callable[[Path], list[Any]]
    """Makes the files in a folder; returns the arguments after `hsisr upscale`, without -o."""
    code: int
    words: str
    output: str = "out.tif"
    """Relative to the folder for outputs."""


def _file(name: str, content: bytes) -> Callable[[Path], list[Any]]:
    def make(folder: Path) -> list[Any]:
        path = folder / name
        path.write_bytes(content)
        return [path]

    return make


def _tiff(folder: Path, **profile: Any) -> Path:
    return write_geotiff(folder / "scene.tif", numbered(), **profile)


def _with(*options: Any) -> Callable[[Path], list[Any]]:
    """A sound scene and options that make no sense."""
    return lambda folder: [_tiff(folder), *options]


def _cut(path: Path, keep: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


def _envi(**fields: str) -> Callable[[Path], list[Any]]:
    """An ENVI pair with header fields that lie."""

    def make(folder: Path) -> list[Any]:
        header = write_envi(folder / "scene.hdr", numbered())
        lines = [
            line
            for line in header.read_text().splitlines()
            if line.split("=")[0].strip() not in {key.replace("_", " ") for key in fields}
        ]
        lines += [f"{key.replace('_', ' ')} = {value}" for key, value in fields.items() if value]
        header.write_text("\n".join(lines) + "\n")
        return [header]

    return make


def _mat(**variables: Any) -> Callable[[Path], list[Any]]:
    def make(folder: Path) -> list[Any]:
        path = folder / "scene.mat"
        scipy.io.savemat(path, variables)
        return [path]

    return make


def _complex_envi(folder: Path) -> list[Any]:
    (header,) = _envi(data_type="6")(folder)
    data = header.with_suffix(".img")
    data.write_bytes(data.read_bytes() * 4)
    return [header]


def _pair(
    spoil: Callable[[Path, Path], object], named: str = ".hdr"
) -> Callable[[Path], list[Any]]:
    """An ENVI pair of which a half is spoilt, and which half is named."""

    def make(folder: Path) -> list[Any]:
        header = write_envi(folder / "scene.hdr", numbered())
        spoil(header, header.with_suffix(".img"))
        return [header.with_suffix(named)]

    return make


def _mat73_of_text(folder: Path) -> list[Any]:
    path = folder / "scene.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["name"] = "no cube here"
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(512))
    return [path]


def _empty_folder(folder: Path) -> list[Any]:
    (folder / "scenes").mkdir()
    return [folder / "scenes"]


def _pickled(folder: Path) -> list[Any]:
    path = folder / "weights.pt"
    torch.save({"a": torch.zeros(1)}, path)
    return [_tiff(folder), "--model", path]


def _weights_of_another_scale(folder: Path) -> list[Any]:
    from hsisr.models.dacn import Dacn
    from hsisr.models.registry import build
    from hsisr.weights import save_weights

    path = folder / "dacn-x2.safetensors"
    descriptor = Dacn.descriptor(2)
    save_weights(path, build(descriptor), descriptor)
    return [_tiff(folder), "--model", path, "--scale", 4]


def _complex_tiff(folder: Path) -> list[Any]:
    return [write_geotiff(folder / "scene.tif", numbered().astype(np.complex64))]


def _no_band_of_use(folder: Path) -> list[Any]:
    values = np.full((3, 8, 8), 7, np.uint16)
    return [write_geotiff(folder / "scene.tif", values), "--bad-bands", "drop", "-m", "bicubic"]


def _no_variable(folder: Path) -> list[Any]:
    return [write_mat5(folder / "scene.mat", numbered()), "--variable", "x"]


ZOO = (
    Exhibit("a file that is not there", lambda f: [f / "nothing.tif"], DATA, "no such file"),
    Exhibit("an empty file", _file("scene.tif", b""), DATA, "the file is empty"),
    Exhibit("text named .tif", _file("scene.tif", b"not an image at all"), DATA, "scene.tif"),
    Exhibit("a TIFF header alone", _file("scene.tif", b"II*\0\x08\0\0\0"), DATA, "scene.tif"),
    Exhibit("random bytes", _file("scene.dat", bytes(range(256)) * 9), DATA, "scene.dat"),
    Exhibit("a spreadsheet", _file("scene.csv", b"a,b\n1,2\n"), DATA, "scene.csv"),
    Exhibit("an empty folder", _empty_folder, DATA, "found no scene in this folder"),
    Exhibit("a complex GeoTIFF", _complex_tiff, DATA, "complex64, expected integers or floats"),
    Exhibit("a netCDF product", _file("EMIT.nc", b"CDF\x01" + bytes(99)), DATA, "classic netCDF"),
    Exhibit("an HDF5 product", _file("PRS.he5", b"\x89HDF\r\n\x1a\n"), DATA, "truncated"),
    Exhibit("product metadata", _file("METADATA.XML", b"<a/>"), DATA, "no SPECTRAL_IMAGE"),
    Exhibit(
        "a header without data",
        _pair(lambda _, data: data.unlink()),
        DATA,
        "no data file beside the header",
    ),
    Exhibit(
        "data without a header", _pair(lambda header, _: header.unlink(), ".img"), DATA, "scene.img"
    ),
    Exhibit(
        "truncated ENVI data",
        _pair(lambda _, data: _cut(data, 0.5)),
        DATA,
        "the file is truncated or the header",
    ),
    Exhibit("a header that is no header", _file("scene.hdr", b"hello"), DATA, "scene.hdr"),
    Exhibit("a header that promises more lines", _envi(lines="999"), DATA, "promises"),
    Exhibit("a header with zero bands", _envi(bands="0"), DATA, "bands = 0"),
    Exhibit("a header with negative samples", _envi(samples="-4"), DATA, "samples = -4"),
    Exhibit("a header with words for lines", _envi(lines="many"), DATA, "lines = many"),
    Exhibit("a header without samples", _envi(samples=""), DATA, "samples"),
    Exhibit("a header with an unknown type", _envi(data_type="77"), DATA, "data type = 77"),
    Exhibit("a complex ENVI file", _complex_envi, DATA, "complex"),
    Exhibit("a header with a strange interleave", _envi(interleave="zip"), DATA, "zip"),
    Exhibit("a header with a strange byte order", _envi(byte_order="7"), DATA, "byte order = 7"),
    Exhibit("a compressed ENVI file", _envi(file_compression="1"), DATA, "file is compressed"),
    Exhibit("a spectral library", _envi(file_type="ENVI Spectral Library"), DATA, "Library"),
    Exhibit("frames with gaps", _envi(major_frame_offsets="{0, 9}"), DATA, "frames with gaps"),
    Exhibit("a .mat of text", _mat(name="no cube"), DATA, "scene.mat"),
    Exhibit("a .mat of two cubes", _mat(a=numbered(), b=numbered()), DATA, "--variable"),
    Exhibit(
        "a .mat of a matrix", _mat(Y=np.ones((9, 9))), DATA, "no 3-D variable of numbers among Y"
    ),
    Exhibit("a .mat of a complex cube", _mat(a=numbered() * 1j), DATA, "scene.mat"),
    Exhibit("a .mat of cells", _mat(a=np.array([1, "b"], dtype=object)), DATA, "scene.mat"),
    Exhibit("a v7.3 .mat of text", _mat73_of_text, DATA, "scene.mat"),
    Exhibit("garbage named .mat", _file("scene.mat", b"MATLAB rubbish" * 40), DATA, "scene.mat"),
    Exhibit("a pickled .npy", _file("s.npy", b"\x93NUMPY\x01\x00garbage"), DATA, "s.npy"),
    Exhibit("only constant bands, to be dropped", _no_band_of_use, DATA, "every band is bad"),
    Exhibit("a variable that is not there", _no_variable, USAGE, "x"),
    Exhibit("axes for a GeoTIFF", _with("--axes", "rcb"), USAGE, "--axes rcb has no meaning"),
    Exhibit("a tile of nothing", _with("--tile", 0), USAGE, "tile 0"),
    Exhibit("a wide overlap", _with("--tile", 8, "--overlap", 8), USAGE, "overlap"),
    Exhibit("a type that is no type", _with("--dtype", "int7"), USAGE, "dtype 'int7'"),
    Exhibit("a creation option without value", _with("--co", "TILED"), USAGE, "KEY=VALUE"),
    Exhibit("an unknown creation option", _with("--co", "NOPE=1"), USAGE, "NOPE"),
    Exhibit("a suffix that says nothing", _with(), USAGE, ".xyz", output="out.xyz"),
    Exhibit("a model nobody knows", _with("--model", "swinir"), WEIGHTS, "swinir"),
    Exhibit("torch's pickle as weights", _pickled, WEIGHTS, "pickle"),
    Exhibit("weights of another scale", _weights_of_another_scale, WEIGHTS, "scale"),
    Exhibit("a target below a file", _with(), RESOURCES, "scene", output="../in/scene.tif/o.tif"),
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    return inside, outside


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("exhibit", ZOO, ids=lambda exhibit: exhibit.name)
def test_the_zoo(exhibit: Exhibit, folders: tuple[Path, Path]) -> None:
    inside, outside = folders
    arguments = exhibit.make(inside)
    if "-m" not in arguments and "--model" not in arguments:
        arguments += ["--model", "bicubic"]
    before = contents(inside)
    target = outside / exhibit.output
    done = hsisr("upscale", *arguments, "-o", target)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert done.exit_code == exhibit.code, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert exhibit.words in lines[0]
    assert done.stdout == ""
    assert contents(inside) == before
    assert list(outside.iterdir()) == []


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file may become larger, as on a full disk or above a quota."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_no_room_for_the_output(name: str, folders: tuple[Path, Path]) -> None:
    inside, outside = folders
    scene = write_geotiff(inside / "scene.tif", numbered(bands=8, rows=32, cols=32))
    with small_files(50_000):
        done = hsisr("upscale", scene, "-s", 8, "-m", "bicubic", "-o", outside / name)
    refusal(done, 5)
    assert list(outside.iterdir()) == []


def test_a_folder_that_takes_no_files(folders: tuple[Path, Path]) -> None:
    scene = write_geotiff(folders[0] / "scene.tif", numbered())
    refusal(hsisr("upscale", scene, "-m", "bicubic", "-o", "/proc/hsisr/out.tif"), 5)


def test_several_scenes_into_a_file(folders: tuple[Path, Path]) -> None:
    inside, outside = folders
    scenes = [str(write_geotiff(inside / f"{n}.tif", numbered())) for n in "ab"]
    target = outside / "one.tif"
    target.write_text("precious")
    done = hsisr("upscale", *scenes, "-m", "bicubic", "-o", target)
    assert "several scenes need a folder" in refusal(done, 2)
    assert target.read_text() == "precious"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_leaves_nothing(
    number: signal.Signals,
    code: int,
    folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside, outside = folders
    scene = write_geotiff(inside / "scene.tif", numbered(bands=8, rows=64, cols=64))
    seen: list[Path] = []

    def write(*_: object, **__: object) -> None:
        seen.extend(outside.iterdir())
        os.kill(os.getpid(), number)

    monkeypatch.setattr(GeoTiffWriter, "write", write)
    # shells start background jobs with SIGINT ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    done = hsisr("upscale", scene, "-s", 2, "-m", "lanczos", "-o", outside / "out.tif")
    assert (done.exit_code, done.stdout) == (code, ""), done.stderr
    assert done.stderr.endswith("no half-made output was left behind\n")
    assert seen
    assert list(outside.iterdir()) == []
