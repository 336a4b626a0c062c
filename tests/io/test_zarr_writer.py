"""Zarr stores as GDAL and zarr see them, and as folders that are replaced with care."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import zarr

from hsisr.errors import HsisrWarning, ResourceError, UsageError
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.io.write import block_size
from hsisr.io.zarr.writer import ZarrWriter
from tests.io.written import (
    PLACED,
    TURNED,
    cube_for,
    metadata_of,
    rich_metadata,
    write_in_pieces,
    write_scene,
    writer_for,
)
from tests.program import assert_holds, metadata_at


def test_positions_of_pixels_are_left_out_aloud(tmp_path: Path) -> None:
    write_scene(tmp_path / "a.zarr", metadata_of((2, 3, 4)))
    group = zarr.open_group(tmp_path / "a.zarr", use_consolidated=False)
    for name in ("lon", "lat"):
        group.create_array(name, shape=(3, 4), dtype="f8")
    zarr.consolidate_metadata(group.store, zarr_format=2)
    with pytest.warns(HsisrWarning, match="longitudes and latitudes of the pixels are left out"):
        assert not metadata_at(tmp_path / "a.zarr").georeference.exists


def test_gdal_finds_the_numbers_and_the_place(tmp_path: Path) -> None:
    metadata = rich_metadata()
    alike = replace(metadata.stored, scales=(0.5,) * 5, offsets=(1.0,) * 5, units=("W",) * 5)
    cube = write_scene(tmp_path / "a.zarr", replace(metadata, stored=alike))
    with gdal_env(), rasterio.open(tmp_path / "a.zarr") as dataset:
        np.testing.assert_array_equal(dataset.read(), cube)
        assert dataset.transform == PLACED.transform
        assert dataset.crs.to_epsg() == 32633
        assert dataset.nodata == -32768
        assert (dataset.scales[4], dataset.offsets[4], dataset.units[4]) == (0.5, 1.0, "W")
        assert dataset.tags()["HSISR_MODEL"] == "bicubic"


def test_the_store_keeps_to_the_conventions_of_xarray(tmp_path: Path) -> None:
    write_scene(tmp_path / "a.zarr", rich_metadata(unit="Micrometers"))
    group = zarr.open_group(tmp_path / "a.zarr", mode="r", use_consolidated=True)
    arrays = dict(group.arrays())
    assert group.metadata.zarr_format == 2
    assert arrays["data"].attrs["_ARRAY_DIMENSIONS"] == ["band", "y", "x"]
    assert arrays["data"].attrs["grid_mapping"] == "spatial_ref"
    named = str(arrays["data"].attrs["coordinates"]).split()
    assert {"wavelength", "fwhm", "good_bands", "band_name", "spatial_ref"} <= set(named)
    assert arrays["wavelength"].attrs["units"] == "nm"
    assert np.asarray(arrays["wavelength"])[0] == 409.42
    assert np.asarray(arrays["x"])[0] == 364095 + 3.75
    assert arrays["x"].attrs["standard_name"] == "projection_x_coordinate"
    assert arrays["spatial_ref"].attrs["GeoTransform"] == "364095.0 7.5 0.0 5809965.0 0.0 -7.5"


def test_a_turned_grid_has_no_coordinates_that_would_lie(tmp_path: Path) -> None:
    write_scene(tmp_path / "a.zarr", metadata_of((1, 4, 4), place=TURNED))
    assert not {"x", "y"} & set(zarr.open_group(tmp_path / "a.zarr", mode="r"))


def test_tags_units_and_default_bands_come_back(tmp_path: Path) -> None:
    metadata = rich_metadata(unit="Micrometers")
    tags = {**metadata.tags, "units": "a tag that is called so", "grid_mapping": "x"}
    write_scene(tmp_path / "a.zarr", replace(metadata, tags=tags))
    found = metadata_at(tmp_path / "a.zarr")
    assert found.tags == {"start_time": metadata.header["acquisition time"], **tags}
    assert found.stored == metadata.stored
    assert found.band_tags == metadata.band_tags
    assert found.header["default bands"] == "{3, 2, 1}"


def test_chunks_are_the_blocks_and_options_are_obeyed(tmp_path: Path) -> None:
    metadata = metadata_of((7, 300, 200))
    write_scene(tmp_path / "a.zarr", metadata)
    cube = zarr.open_group(tmp_path / "a.zarr", mode="r")["data"]
    assert isinstance(cube, zarr.Array)
    assert (cube.chunks[1], cube.chunks[2] + 8) == block_size(metadata, "Zarr")
    assert cube.metadata.to_dict()["compressor"] == {"id": "zstd", "level": 3}
    chosen = {"CHUNKS": "2,64,50", "COMPRESSION": "gzip", "LEVEL": "1"}
    write_scene(tmp_path / "b.zarr", metadata, creation_options=chosen)
    cube = zarr.open_group(tmp_path / "b.zarr", mode="r")["data"]
    assert isinstance(cube, zarr.Array)
    assert cube.chunks == (2, 64, 50)
    assert cube.metadata.to_dict()["compressor"] == {"id": "gzip", "level": 1}


def test_what_is_not_packed_has_no_level(tmp_path: Path) -> None:
    metadata, options = metadata_of((1, 20, 20)), {"COMPRESSION": "none"}
    write_scene(tmp_path / "a.zarr", metadata, creation_options=options)
    cube = zarr.open_group(tmp_path / "a.zarr", mode="r")["data"]
    assert cube.metadata.to_dict()["compressor"] is None
    options["LEVEL"] = "3"
    with pytest.raises(UsageError, match=r"b\.zarr: COMPRESSION=NONE has no LEVEL; leave one"):
        writer_for(tmp_path / "b.zarr", metadata, creation_options=options)


def test_only_a_zarr_store_is_ever_replaced(tmp_path: Path) -> None:
    metadata, path = metadata_of((1, 20, 20)), tmp_path / "a.zarr"
    path.mkdir()
    (path / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="is a folder"):
        write_scene(path, metadata, overwrite=True)
    assert (path / "thesis.txt").read_text() == "precious"


def test_a_store_that_lacks_a_chunk_is_never_delivered(tmp_path: Path) -> None:
    metadata = metadata_of((1, 300, 300))
    writer = writer_for(tmp_path / "a.zarr", metadata)
    assert isinstance(writer, ZarrWriter)
    write_in_pieces(writer, cube_for(metadata))
    next((writer._grown / "data").glob("0.*")).unlink()
    with pytest.raises(ResourceError, match="1 of its chunks did not reach the disk"):
        writer.commit()
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_of_bands_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = metadata_of((6, 40, 50))
    written: list[int] = []
    plain = zarr.Array.__setitem__

    def counted(array: Any, place: Any, numbers: Any) -> None:
        written.append(array.ndim)
        plain(array, place, numbers)

    monkeypatch.setattr(zarr.Array, "__setitem__", counted)
    values, options = cube_for(metadata), {"CHUNKS": "4,32,32"}
    with writer_for(tmp_path / "a.zarr", metadata, creation_options=options) as writer:
        for band, row, col in itertools.product(range(6), (0, 32), (0, 32)):
            part = values[band : band + 1, row : row + 32, col : col + 32]
            writer.write(part, row=row, col=col, band=band)
    assert written.count(3) == 2 * 4
    assert_holds(tmp_path / "a.zarr", values)
