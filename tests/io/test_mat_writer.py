"""MATLAB files as SciPy and h5py see them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from hsisr.errors import ResourceError, UsageError
from hsisr.io.matlab.v73 import Mat73Writer
from hsisr.io.matlab.writer import Mat5Writer
from tests.io.written import lose_the_end, metadata_of, rich_metadata, write_scene, writer_for

V73 = {"VERSION": "7.3"}


def decoded(file: Any, name: str) -> Any:
    """A v7.3 variable as MATLAB would show it."""
    dataset = file[name]
    kind = dataset.attrs["MATLAB_class"].decode()
    if kind == "char":
        return dataset[()].astype(np.uint16).T.tobytes().decode("utf-16-le")
    if kind == "cell":
        return [decoded(file, file[ref].name) for ref in dataset[()].ravel()]
    return dataset[()].T


def variables(path: Path) -> dict[str, Any]:
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            return {name: decoded(file, name) for name in file if name != "#refs#"}
    found = scipy.io.loadmat(path, chars_as_strings=True)
    plain: dict[str, Any] = {}
    for name, value in found.items():
        if name.startswith("__"):
            continue
        if value.dtype == object:
            plain[name] = [cell[0] if cell.size else "" for cell in value.ravel()]
        else:
            plain[name] = value[0] if value.dtype.kind == "U" else value
    return plain


BOTH = pytest.mark.parametrize("options", [{}, V73], ids=["v5", "v7.3"])


@BOTH
def test_every_field_lies_beside_the_cube(options: dict[str, str], tmp_path: Path) -> None:
    metadata = rich_metadata(unit="Micrometers")
    cube = write_scene(tmp_path / "a.mat", metadata, creation_options=options)
    found, axis, stored = variables(tmp_path / "a.mat"), metadata.spectral_axis, metadata.stored
    np.testing.assert_array_equal(found["data"], cube.transpose(1, 2, 0))
    assert found["data"].dtype == np.int16
    assert found["wavelengths"].shape == (1, 5)
    assert found["wavelengths"][0].tolist() == [0.40942, 0.45942, 0.50942, 0.55942, 0.60942]
    assert found["wavelength_units"] == "Micrometers"
    assert found["bbl"][0].tolist() == [1, 0, 1, 1, 1]
    assert found["band_names"] == list(axis.names or ())
    assert found["nodata"].tolist() == [[-32768]]
    assert tuple(found["scales"][0]) == stored.scales
    assert tuple(found["offsets"][0]) == stored.offsets
    assert found["units"] == list(stored.units or ())
    assert found["transform"].tolist() == [[7.5, 0, 364095, 0, -7.5, 5809965]]
    assert found["crs_wkt"] == metadata.georeference.crs_wkt
    assert "HSISR_MODEL = bicubic" in found["provenance"].splitlines()
    assert "sensor type = EnMAP" in found["envi_header"].splitlines()
    assert found["band_gain_state"] == [f"low{b}" for b in range(5)]


def test_valid_is_logical_for_matlab(tmp_path: Path) -> None:
    mask = np.ones((4, 3), np.bool_)
    write_scene(tmp_path / "a.mat", metadata_of((2, 4, 3)), mask=mask)
    assert ("valid", (4, 3), "logical") in scipy.io.whosmat(tmp_path / "a.mat")
    write_scene(tmp_path / "b.mat", metadata_of((2, 4, 3)), mask=mask, creation_options=V73)
    with h5py.File(tmp_path / "b.mat") as file:
        assert file["valid"].attrs["MATLAB_class"] == b"logical"


def test_scipy_knows_the_class_of_every_type(tmp_path: Path) -> None:
    for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
        top = np.full((1, 3, 5), np.iinfo(name).max, name)
        write_scene(tmp_path / "a.mat", metadata_of((1, 3, 5), name), top, overwrite=True)
        assert scipy.io.whosmat(tmp_path / "a.mat") == [("data", (3, 5, 1), name)]
        np.testing.assert_array_equal(variables(tmp_path / "a.mat")["data"][..., 0], top[0])


def test_a_v73_file_begins_as_matlab_expects(tmp_path: Path) -> None:
    write_scene(tmp_path / "a.mat", metadata_of((2, 3, 4), "float32"), creation_options=V73)
    head = (tmp_path / "a.mat").read_bytes()[:520]
    assert head[:20] == b"MATLAB 7.3 MAT-file,"
    assert head[124:128] == b"\x00\x02IM"
    assert head[512:516] == b"\x89HDF"
    with h5py.File(tmp_path / "a.mat") as file:
        assert file["data"].shape == (2, 4, 3)
        assert file["data"].attrs["MATLAB_class"] == b"single"


def test_cubes_of_two_gigabytes_become_v73(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = metadata_of((2, 10, 10), "uint8"), metadata_of((2, 10, 11), "uint8")
    monkeypatch.setattr("hsisr.io.matlab.writer.LARGEST_V5", 200)
    for metadata, kind in ((small, Mat5Writer), (large, Mat73Writer)):
        writer = writer_for(tmp_path / "a.mat", metadata)
        assert isinstance(writer, kind)
        writer.discard()
    with pytest.raises(UsageError, match=r"a cube of 220 bytes is too large for MATLAB v5"):
        writer_for(tmp_path / "a.mat", large, creation_options={"version": "5"})
    assert list(tmp_path.iterdir()) == []


def test_text_beyond_ascii_survives_in_v73(tmp_path: Path) -> None:
    metadata, tags = rich_metadata(), {"NOTE": "Grüße, 雪"}
    expected = "start_time = 2022-07-24T10:45:26Z\nNOTE = Grüße, 雪"
    write_scene(tmp_path / "a.mat", replace(metadata, tags=tags), creation_options=V73)
    assert variables(tmp_path / "a.mat")["provenance"] == expected
    write_scene(tmp_path / "b.mat", replace(metadata, tags=tags))
    assert variables(tmp_path / "b.mat")["provenance"] == expected


def test_a_v73_file_that_was_cut_off_is_never_delivered(tmp_path: Path) -> None:
    writer = writer_for(tmp_path / "a.mat", metadata_of((2, 300, 300)), creation_options=V73)
    writer.write(np.zeros((2, 300, 300), np.uint16), row=0, col=0, band=0)
    lose_the_end(writer, "_file", 200_000)
    with pytest.raises(ResourceError, match=r"cannot write .*a\.mat: .*truncated file"):
        writer.commit()
    assert list(tmp_path.iterdir()) == []
