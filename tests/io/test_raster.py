"""GDAL rasters: where spectral fields come from, masks and alpha, georeferencing."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from hsisr.errors import HsisrWarning, InputDataError
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.io.open import open_scene
from hsisr.tiling import Window
from tests.program import cube_at, metadata_at, warned
from tests.scenes import edited, numbered, write_geotiff

VALUES = numbered(3, 6, 5)
IN_BANDS = tuple(
    {"wavelength": w, "wavelength_units": "Nanometers", "fwhm": f, "bbl": b}
    for w, f, b in (("409.42", "6.5", "1"), ("500", "6", "0"), ("600.1", "7", "1"))
)
IN_ENVI = {
    "wavelength": "{0.41042, 0.501, 0.6011}",
    "wavelength_units": "Micrometers",
    "fwhm": "{0.0075, 0.007, 0.008}",
    "bbl": "{0, 1, 1}",
}
IN_IMAGERY = tuple({"CENTRAL_WAVELENGTH_UM": w, "FWHM_UM": "0.009"} for w in ("0.4", "0.5", "0.6"))


@pytest.mark.parametrize(
    ("places", "wavelengths", "fwhm", "good"),
    [
        ("bands envi imagery", (409.42, 500, 600.1), (6.5, 6, 7), (True, False, True)),
        ("envi imagery", (410.42, 501, 601.1), (7.5, 7, 8), (False, True, True)),
        ("imagery", (400, 500, 600), (9, 9, 9), None),
        ("", None, None, None),
    ],
)
def test_band_tags_go_before_the_envi_domain_before_imagery(
    places: str, wavelengths: Any, fwhm: Any, good: Any, tmp_path: Path
) -> None:
    path = write_geotiff(
        tmp_path / "x.tif",
        VALUES,
        band_tags=IN_BANDS if "bands" in places else (),
        envi=IN_ENVI if "envi" in places else None,
        imagery=IN_IMAGERY if "imagery" in places else (),
    )
    axis = metadata_at(path).spectral_axis
    assert axis.wavelengths_nm == wavelengths
    assert axis.fwhm_nm == fwhm
    assert axis.good == good


def test_names_tags_and_free_header_fields_are_carried(tmp_path: Path) -> None:
    path = write_geotiff(
        tmp_path / "x.tif",
        VALUES,
        names=["blue", "", "red"],
        band_tags=[{"detector": "A", "STATISTICS_MEAN": "3"}, {}, {"detector": "B"}],
        envi={"acquisition_time": "2022", "samples": "5", **IN_ENVI},
    )
    with edited(path) as dataset:
        dataset.update_tags(start_time="10:45")
    meta = metadata_at(path)
    assert meta.spectral_axis.names == ("blue", "", "red")
    assert meta.band_tags == ({"detector": "A"}, {}, {"detector": "B"})
    assert meta.header == {"acquisition time": "2022"}
    assert meta.tags["start_time"] == "10:45"


def test_scale_offset_and_unit(tmp_path: Path) -> None:
    path, said = write_geotiff(tmp_path / "x.tif", VALUES), ((0.1, 1, 1), (0, 2, 0), tuple("abc"))
    with edited(path) as dataset:
        dataset.scales, dataset.offsets, dataset.units = said
    stored = metadata_at(path).stored
    assert (stored.scales, stored.offsets, stored.units) == said


def test_ground_control_points(tmp_path: Path) -> None:
    corners = [(0, 0, 13, 52), (0, 5, 14, 52), (6, 0, 13, 51), (6, 5, 14, 51)]
    path = tmp_path / "x.tif"
    points = [
        GroundControlPoint(r, c, x, y, 7, id=str(n)) for n, (r, c, x, y) in enumerate(corners)
    ]
    write_geotiff(path, VALUES, gcps=points, crs=CRS.from_epsg(4326))
    place = metadata_at(path).georeference
    assert [(p.row, p.col, p.x, p.y) for p in place.gcps] == corners
    assert place.gcps[0].z == 7
    assert place.gcps_crs_wkt is not None
    assert place.transform is None


def test_nodata_may_differ_from_band_to_band(tmp_path: Path) -> None:
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{b}"><NoDataValue>{VALUES[b - 1, 0, b]}'
        '</NoDataValue><SimpleSource><SourceFilename relativeToVRT="1">x.tif</SourceFilename>'
        f"<SourceBand>{b}</SourceBand></SimpleSource></VRTRasterBand>"
        for b in (1, 2, 3)
    )
    write_geotiff(tmp_path / "x.tif", VALUES)
    path = tmp_path / "x.vrt"
    path.write_text(f'<VRTDataset rasterXSize="5" rasterYSize="6">{bands}</VRTDataset>')
    with open_scene(path) as scene:
        valid = scene.read().valid
        assert [scene.nodata_of(b) for b in range(3)] == [VALUES[b, 0, b + 1] for b in range(3)]
    assert not any(valid[b, 0, b + 1] for b in range(3))
    assert valid[0, 0, 2]


@pytest.mark.parametrize("internal", [True, False])
def test_internal_and_external_masks(internal: bool, tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "x.tif", VALUES)
    mask = np.full((6, 5), 255, np.uint8)
    mask[2, 3] = 0
    with gdal_env(GDAL_TIFF_INTERNAL_MASK=str(internal)), edited(path) as dataset:
        dataset.write_mask(mask)
    assert (tmp_path / "x.tif.msk").exists() is not internal
    with open_scene(path) as scene:
        cube = scene.read(Window(1, 1, 3, 4))
    np.testing.assert_array_equal(cube.valid, np.broadcast_to(mask[1:4, 1:5] > 0, (3, 3, 4)))


MASK, DATA = np.full((1, 6, 5), 255), VALUES[:1] + 7
MASK[0, 2, 3] = 0
A_MASK, A_BAND = "taken for the mask", "read as a spectral band"
NM = [{"wavelength": w} for w in ("400", "500", "600", "700")]


@pytest.mark.parametrize(
    ("others", "last", "dtype", "more", "words"),
    [
        (3, MASK, "uint8", {}, A_MASK),
        (3, MASK, "uint16", {}, A_MASK),
        (6, MASK, "uint16", {}, ""),
        (6, DATA, "uint16", {}, A_BAND),
        (3, DATA, "uint16", {"photometric": "RGB", "alpha": "yes"}, A_BAND),
        (1, DATA, "uint16", {"photometric": "minisblack", "alpha": "yes"}, A_BAND),
        (3, MASK, "uint8", {"band_tags": NM}, ""),  # it has a wavelength
    ],
)
def test_the_band_tagged_as_alpha_is_the_mask_of_the_others_or_one_of_them(
    others: int, last: Any, dtype: str, more: dict[str, Any], words: str, tmp_path: Path
) -> None:
    values = np.concatenate([*([VALUES] * 2), last])[[*range(others), -1]].astype(dtype)
    path = write_geotiff(tmp_path / "x.tif", values, **more)
    if "alpha" not in more:
        with edited(path) as dataset:
            dataset.colorinterp = [*[ColorInterp.undefined] * others, ColorInterp.alpha]
    with warned() as said:
        cube = cube_at(path)
    told = [f"band {others + 1} is tagged as alpha and {words}" in one for one in said]
    assert told == [True] * bool(words)
    is_band = words == A_BAND or "band_tags" in more
    np.testing.assert_array_equal(cube.values, values if is_band else values[:others])
    valid = np.True_ if is_band else MASK > 0
    np.testing.assert_array_equal(cube.valid, np.broadcast_to(valid, cube.valid.shape))


def test_what_a_driver_leaves_in_a_transform_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.pgm").write_bytes(b"P5 3 2 255\n" + bytes(range(6)))
    assert metadata_at(tmp_path / "x.pgm").georeference.transform is None


def test_overviews_that_lie_elsewhere_are_not_asked(tmp_path: Path) -> None:
    """Whether the alpha band is a mask is told by its own numbers."""
    write_geotiff(tmp_path / "other.tif", np.zeros((4, 64, 64), "uint16"))
    path = write_geotiff(tmp_path / "x.tif", numbered(4, 128, 128), photometric="RGB", alpha="yes")
    with edited(path) as dataset:
        dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(tmp_path / "other.tif"))
    with pytest.warns(HsisrWarning, match="read as a spectral band"), open_scene(path) as scene:
        assert scene.metadata.bands == 4


def test_colour_tables_and_colours_that_gdal_mixes_are_refused(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "x.tif", VALUES[:1].astype(np.uint8), photometric="palette")
    with edited(path) as dataset:
        dataset.write_colormap(1, {1: (255, 0, 0, 255)})
    with pytest.raises(InputDataError, match="found a colour table"):
        open_scene(path)

    path = write_geotiff(tmp_path / "y.tif", numbered(4, 6, 5, "uint8"), photometric="CMYK")
    with pytest.raises(InputDataError, match="found colours of CMYK, expected measurements"):
        open_scene(path)


CROSSED = "the reference system is left out: found .* expected degrees"
DEGREES = "the place is probably wrong: found .* like degrees, expected lengths for EPSG:32633"


@pytest.mark.parametrize(
    ("code", "corner", "pixel", "words"),
    [
        (32633, (13.1, 52.4), 0.0003, DEGREES),
        (4326, (500000.0, 5800000.0), 30.0, CROSSED),
        (3857, (13.1, 52.4), 0.0003, DEGREES.replace("32633", "3857")),
        (32633, (0.0, 0.0), 0.01, ""),
        (32633, (10.0, 20.0), 1.0, ""),
        (32633, (500000.0, 30.0), 0.01, ""),
        (4326, (-180.0, 91.25), 2.5, ""),
        (3031, (1.0, 2.0), 0.01, ""),
    ],
)
def test_degrees_and_lengths_that_are_taken_for_each_other_are_told(
    code: int, corner: tuple[float, float], pixel: float, words: str, tmp_path: Path
) -> None:
    grid = Affine(pixel, 0, corner[0], 0, -pixel, corner[1])
    place = {"crs": CRS.from_epsg(code), "transform": grid}
    path = write_geotiff(tmp_path / "x.tif", numbered(2, 73, 144), **place)
    with warned() as said:
        found = metadata_at(path).georeference
    assert len(said) == bool(words)
    assert not words or re.search(words, said[0])
    assert (found.crs_wkt is None) == (words == CROSSED)
    assert found.transform == grid


def test_control_points_in_lengths_are_not_taken_for_degrees(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "x.tif", numbered(2, 7, 6))
    points = [GroundControlPoint(r, c, 5e5 + c, 4e6 - r) for r, c in ((0, 0), (0, 6), (7, 0))]
    with edited(path) as dataset:
        dataset.gcps = points, CRS.from_epsg(4326)
    with pytest.warns(HsisrWarning, match=CROSSED):
        place = metadata_at(path).georeference
    assert (len(place.gcps), place.gcps_crs_wkt) == (3, None)


@pytest.mark.parametrize(("line", "exists"), [("+0003.00 pixels", True), ("none", False)])
def test_rational_polynomials_may_have_units(line: str, tmp_path: Path, *, exists: bool) -> None:
    path = write_geotiff(tmp_path / "x.tif", VALUES)
    numbers = {
        "LINE_OFF": line,
        "SAMP_OFF": "+0002.00 pixels",
        "LINE_SCALE": "3",
        "SAMP_SCALE": "3",
    }
    for name in ("LAT", "LONG", "HEIGHT"):
        numbers |= {f"{name}_OFF": "+10.5 degrees", f"{name}_SCALE": "1"}
    for name in ("LINE_NUM", "LINE_DEN", "SAMP_NUM", "SAMP_DEN"):
        numbers |= {f"{name}_COEFF_{term}": "0.5" for term in range(1, 21)}
    text = "".join(f"{key}: {number}\n" for key, number in numbers.items())
    (tmp_path / "x_RPC.TXT").write_text(text)
    with warned() as said:
        rpcs = metadata_at(path).finer(2).georeference.rpcs
    left_out = ["rational polynomials left out: found LINE_OFF 'none', expected a number"]
    assert [one.partition(": ")[2] for one in said] == ([] if exists else left_out)
    if exists:
        assert (rpcs["LINE_OFF"], rpcs["SAMP_OFF"], rpcs["LAT_OFF"]) == ("6.5", "4.5", "+10.5")
    else:
        assert not rpcs
