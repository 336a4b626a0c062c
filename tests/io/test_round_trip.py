"""What is written is read again: numbers, spectrum, place and fields, in every format."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsisr.io.open import open_scene
from hsisr.io.spectral import without_wavelength
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import SceneMetadata, SpectralAxis
from hsisr.tiling import Window
from tests.io.written import (
    EVERY_TARGET,
    PLACED,
    POINTS,
    RPCS,
    TURNED,
    cube_for,
    metadata_of,
    rich_metadata,
    write_in_pieces,
    writer_for,
)


def through_a_file(
    path: Path, metadata: SceneMetadata, mask: np.ndarray[Any, np.dtype[np.bool_]] | None = None
) -> SceneMetadata:
    """Write, read, compare the numbers; returns the metadata found."""
    cube = cube_for(metadata)
    with writer_for(path, metadata, masked=mask is not None) as writer:
        write_in_pieces(writer, cube, mask=mask)
    with closing(open_scene(path)) as scene:
        whole = Window(0, 0, metadata.rows, metadata.cols)
        np.testing.assert_array_equal(scene.read_stored(whole, range(metadata.bands)), cube)
        valid = scene.read().valid
        expected = np.broadcast_to(np.True_ if mask is None else mask, valid.shape)
        np.testing.assert_array_equal(valid, expected)
        return scene.metadata


@EVERY_TARGET
@pytest.mark.parametrize("unit", ["Nanometers", "Micrometers"])
def test_spectrum_and_numbers_come_back(name: str, unit: str, tmp_path: Path) -> None:
    metadata = rich_metadata(unit=unit)
    found = through_a_file(tmp_path / name, metadata)
    assert found.spectral_axis == metadata.spectral_axis
    assert replace(found.stored, units=None) == replace(metadata.stored, units=None)
    for key in ("acquisition time", "sensor type"):
        assert metadata.header[key] in {**found.tags, **found.header}.values()


@EVERY_TARGET
@pytest.mark.parametrize(
    "place", [PLACED, TURNED, POINTS, RPCS], ids=["straight", "turned", "points", "polynomials"]
)
def test_the_place_comes_back(name: str, place: Georeference, tmp_path: Path) -> None:
    found = through_a_file(tmp_path / name, metadata_of((2, 70, 90), place=place)).georeference
    if place.transform is None:
        assert found.transform is None
    else:
        assert found.crs_wkt is not None
        assert tuple(found.transform or ()) == pytest.approx(tuple(place.transform), rel=1e-12)
    assert [(g.row, g.col, g.x, g.y, g.z) for g in found.gcps] == [
        (g.row, g.col, g.x, g.y, g.z) for g in place.gcps
    ]
    for key, text in place.rpcs.items():
        assert [float(n) for n in found.rpcs[key].split()] == [float(n) for n in text.split()]


@EVERY_TARGET
def test_nothing_is_invented(name: str, tmp_path: Path) -> None:
    metadata = metadata_of((3, 20, 30))
    found = through_a_file(tmp_path / name, metadata)
    assert found.spectral_axis == metadata.spectral_axis
    assert found.stored == metadata.stored
    assert not found.georeference.exists
    assert set(found.header) <= {"description"}


@pytest.mark.parametrize("name", ["a.tif", "cog.tif", "a.mat", "a73.mat", "a.zarr"])
def test_a_mask_comes_back(name: str, tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((20, 30)) > 0.3
    through_a_file(tmp_path / name, metadata_of((3, 20, 30)), mask)


def bare(metadata: SceneMetadata) -> SpectralAxis:
    """The axis, its names without wavelengths, which ENVI headers have in a field of their own."""
    axis = metadata.spectral_axis
    return replace(axis, names=tuple(map(without_wavelength, axis.names or ())))


@pytest.mark.shared
@EVERY_TARGET
def test_a_real_scene_comes_back(name: str, shared_data: Path, tmp_path: Path) -> None:
    with closing(open_scene(shared_data / "dev" / "enmap-potsdam.tif")) as scene:
        metadata = scene.metadata
    found = through_a_file(tmp_path / name, metadata)
    assert bare(found) == bare(metadata)
    assert found.stored == metadata.stored
    assert found.georeference.transform == metadata.georeference.transform
