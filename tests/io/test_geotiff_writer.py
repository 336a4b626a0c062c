"""GeoTIFF and COG as GDAL sees them."""

import sys
import warnings
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError

from hsisr.errors import InputDataError, OutputExistsError, ResourceError, UsageError
from hsisr.io.geotiff import gdal, writer
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.io.geotiff.writer import GeoTiffWriter
from hsisr.scene.georeference import Georeference
from tests.io.written import (
    PLACED,
    POINTS,
    lose_the_end,
    metadata_of,
    rich_metadata,
    write_scene,
    writer_for,
)
from tests.program import metadata_at

BOTH = pytest.mark.parametrize("kind", ["GTiff", "COG"])


def looked_at(path: Path) -> dict[str, Any]:
    with gdal_env(), rasterio.open(path) as d:
        bands = range(1, d.count + 1)
        return {
            "tags": d.tags(),
            "envi": d.tags(ns="ENVI"),
            "rpc": d.tags(ns="RPC"),
            "structure": d.tags(ns="IMAGE_STRUCTURE"),
            "bands": [d.tags(b) for b in bands],
            "imagery": [d.tags(b, ns="IMAGERY") for b in bands],
            "names": d.descriptions,
            "units": d.units,
            "scales": d.scales,
            "offsets": d.offsets,
            "nodata": d.nodata,
            "crs": d.crs,
            "transform": d.transform,
            "gcps": d.gcps,
            "overviews": d.overviews(1),
            "flags": d.mask_flag_enums[0],
            "colours": [c.name for c in d.colorinterp],
            "blocks": d.block_shapes[0],
        }


@BOTH
def test_control_points_of_pixels_that_are_points_stay(kind: str, tmp_path: Path) -> None:
    metadata = replace(metadata_of((1, 64, 48), place=POINTS), tags={"AREA_OR_POINT": "Point"})
    write_scene(tmp_path / "a.tif", metadata, format=kind)
    found, _ = looked_at(tmp_path / "a.tif")["gcps"]
    assert [(p.row, p.col) for p in found] == [(p.row, p.col) for p in POINTS.gcps]


@BOTH
@pytest.mark.filterwarnings("ignore::hsisr.errors.HsisrWarning")  # they are no lengths
def test_wavenumbers_are_carried_through_either(kind: str, tmp_path: Path) -> None:
    lists = {"wavelength": "{1000, 900}", "wavelength units": "Wavenumber", "fwhm": "{4, 4}"}
    write_scene(tmp_path / "a.tif", replace(metadata_of((2, 64, 48)), header=lists), format=kind)
    assert metadata_at(tmp_path / "a.tif").header == lists


@BOTH
@pytest.mark.parametrize("unit", ["Nanometers", "Micrometers"])
def test_every_field_is_where_gdal_and_enmap_box_look(kind: str, unit: str, tmp_path: Path) -> None:
    metadata = rich_metadata(unit=unit)
    write_scene(tmp_path / "a.tif", metadata, format=kind)
    found = looked_at(tmp_path / "a.tif")
    axis = metadata.spectral_axis
    factor = 1000 if unit == "Micrometers" else 1
    for number, band in enumerate(found["bands"]):
        wave, width = axis.wavelengths_nm[number], axis.fwhm_nm[number]  # type: ignore[index]
        assert float(band["wavelength"]) == pytest.approx(wave / factor, rel=1e-12)
        assert float(band["fwhm"]) == pytest.approx(width / factor, rel=1e-12)
        assert band["wavelength_units"] == unit
        assert band["bbl"] == ("0" if number == 1 else "1")
        assert band["gain_state"] == f"low{number}"
        assert float(found["imagery"][number]["CENTRAL_WAVELENGTH_UM"]) == pytest.approx(
            wave / 1000, rel=1e-12
        )
        assert float(found["imagery"][number]["FWHM_UM"]) == pytest.approx(width / 1000, rel=1e-12)
    stored = metadata.stored
    assert (found["names"], found["nodata"], found["units"]) == (axis.names, -32768, stored.units)
    assert (found["scales"], found["offsets"]) == (stored.scales, stored.offsets)
    assert found["tags"]["HSISR_OPTIONS"] == metadata.tags["HSISR_OPTIONS"]


def test_the_envi_domain_holds_spectrum_and_header_but_no_old_grid(tmp_path: Path) -> None:
    write_scene(tmp_path / "a.tif", rich_metadata())
    envi = looked_at(tmp_path / "a.tif")["envi"]
    assert envi["wavelength"].startswith("{409.42, 459.42, ")
    assert envi["bbl"] == "{1, 0, 1, 1, 1}"
    assert envi["acquisition_time"] == "2022-07-24T10:45:26Z"
    assert not {"x_start", "pixel_size", "description", "samples"} & envi.keys()


def test_pixels_that_are_points_stay_points_and_do_not_move(tmp_path: Path) -> None:
    metadata = replace(rich_metadata(), tags={"AREA_OR_POINT": "Point"})
    write_scene(tmp_path / "a.tif", metadata)
    found = looked_at(tmp_path / "a.tif")
    assert found["tags"]["AREA_OR_POINT"] == "Point"
    assert found["transform"] == PLACED.transform


def test_a_geotiff_is_tiled_banded_and_compressed(tmp_path: Path) -> None:
    write_scene(tmp_path / "a.tif", metadata_of((3, 300, 600), "float32"))
    found = looked_at(tmp_path / "a.tif")
    assert found["structure"] == {"COMPRESSION": "ZSTD", "INTERLEAVE": "BAND", "PREDICTOR": "3"}
    assert found["blocks"] == (256, 256)
    assert found["overviews"] == []


def test_a_cog_is_one_by_gdals_own_word_and_has_overviews(tmp_path: Path) -> None:
    write_scene(tmp_path / "a.tif", metadata_of((3, 1100, 600)), format="COG")
    found = looked_at(tmp_path / "a.tif")
    assert found["structure"]["LAYOUT"] == "COG"
    assert found["structure"]["PREDICTOR"] == "2"
    assert found["overviews"][0] == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tif"]


def test_overviews_average_valid_pixels_only(tmp_path: Path) -> None:
    metadata = metadata_of((1, 600, 400), "float32", nodata=-9999)
    cube = np.full(metadata.shape, 10, np.float32)
    cube[:, ::2, ::2] = -9999
    write_scene(tmp_path / "a.tif", metadata, cube, overviews=True)
    assert looked_at(tmp_path / "a.tif")["overviews"] == [2, 4]
    with gdal_env(), rasterio.open(tmp_path / "a.tif", OVERVIEW_LEVEL=0) as small:
        assert small.shape == (300, 200)
        assert set(np.unique(small.read())) == {10}


@BOTH
def test_a_mask_is_kept_inside_the_file(kind: str, tmp_path: Path) -> None:
    metadata = metadata_of((2, 70, 90))
    mask = np.random.default_rng(0).random((70, 90)) > 0.3
    write_scene(tmp_path / "a.tif", metadata, format=kind, mask=mask)
    with gdal_env(), rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.mask_flag_enums[0] == [MaskFlags.per_dataset]
        np.testing.assert_array_equal(dataset.dataset_mask() > 0, mask)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tif"]


@pytest.mark.parametrize(
    "options",
    [{"COMPRESS": "NONSENSE"}, {"PREDICTOR": "9"}, {"ZLEVEL": "99"}, {"INTERLEAVE": "LINE"}],
    ids=str,
)
@BOTH
def test_options_that_gdal_would_ignore_are_refused_before_any_work(
    kind: str, options: dict[str, str], tmp_path: Path
) -> None:
    metadata = metadata_of((2, 40, 40))
    with pytest.raises(UsageError, match=rf"cannot create .*a\.tif: .*{next(iter(options))}"):
        writer_for(tmp_path / "a.tif", metadata, format=kind, creation_options=options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("packing", ["JPEG", "WEBP"])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@BOTH
def test_numbers_that_a_compression_cannot_hold_are_refused_before_any_work(
    kind: str, dtype: str, packing: str, tmp_path: Path
) -> None:
    options = {"COMPRESS": packing}
    with pytest.raises(
        UsageError, match=r"cannot create .*a\.tif: .*; correct the creation option"
    ):
        writer_for(
            tmp_path / "a.tif",
            metadata_of((4, 40, 40), dtype),
            format=kind,
            creation_options=options,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_nodata_outside_the_type_or_a_system_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot create .*a\.tif: .*nodata"):
        writer_for(tmp_path / "a.tif", metadata_of((1, 4, 4), "uint8", nodata=-1))
    place = Georeference(crs_wkt="PROJCS[nonsense")
    with pytest.raises(InputDataError, match="PROJ does not understand"):
        writer_for(tmp_path / "a.tif", metadata_of((1, 4, 4), place=place))
    assert list(tmp_path.iterdir()) == []


def test_sidecars_of_a_replaced_file_go_with_it(tmp_path: Path) -> None:
    metadata = metadata_of((1, 4, 4))
    write_scene(tmp_path / "a.tif", metadata)
    for suffix in (".aux.xml", ".msk", ".ovr"):
        (tmp_path / f"a.tif{suffix}").write_text("stale")
    write_scene(tmp_path / "a.tif", metadata, overwrite=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tif"]


@pytest.mark.parametrize("end", ["tfw", "tifw", "wld", "TFW"])
def test_a_world_file_does_not_place_what_has_no_place(end: str, tmp_path: Path) -> None:
    metadata = metadata_of((1, 4, 4), place=Georeference())
    (tmp_path / f"a.{end}").write_text("30\n0\n0\n-30\n15\n-15\n")
    with pytest.raises(OutputExistsError, match=rf"a\.{end} is there and would be read as a part"):
        write_scene(tmp_path / "a.tif", metadata)
    write_scene(tmp_path / "a.tif", metadata, overwrite=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tif"]


def test_a_file_that_lost_blocks_is_never_delivered(tmp_path: Path) -> None:
    metadata = metadata_of((2, 100, 100))
    writer = writer_for(tmp_path / "a.tif", metadata)
    assert isinstance(writer, GeoTiffWriter)
    noise = np.random.default_rng(0).integers(0, 60000, metadata.shape).astype(np.uint16)
    writer.write(noise, row=0, col=0, band=0)
    lose_the_end(writer, "_dataset", 38_000)
    with pytest.raises(ResourceError, match=r"a\.tif: .*"), warnings.catch_warnings():
        writer.commit()
    assert not (tmp_path / "a.tif").exists()


def test_a_rasterio_without_its_private_module_still_tells_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "rasterio._err", None)
    monkeypatch.delattr(rasterio, "_err")
    spec = spec_from_file_location("gdal_without_private_parts", gdal.__file__)
    assert spec is not None
    assert spec.loader is not None
    anew = module_from_spec(spec)
    spec.loader.exec_module(anew)
    anew.silence_libtiff()
    monkeypatch.setattr(writer, "GdalError", anew.GdalError)
    with (
        pytest.raises(ResourceError, match="disk full"),
        writer._write_errors(tmp_path, anew.Listener()),
    ):
        raise RasterioError("disk full")
