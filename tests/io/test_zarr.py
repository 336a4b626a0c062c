"""Zarr stores: those of others, those that are broken, those that would do harm."""

import json
import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyproj
import pytest
import zarr
from affine import Affine

from hsisr.errors import HsisrWarning, InputDataError, UsageError
from hsisr.io.open import open_scene, options_of_kind
from hsisr.tiling import Window
from tests.fuzz.scene_use import use_scene
from tests.io.written import UTM, Version, edit_json, rich_metadata, write_scene, write_store
from tests.program import assert_holds, cube_at, metadata_at, values_of
from tests.scenes import numbered

VALUES = numbered(4, 7, 6, "int16")
BOTH = pytest.mark.parametrize("version", [2, 3])
CUBE = (("band", "y", "x"), VALUES)


def own_store(folder: Path) -> Path:
    write_scene(folder / "own.zarr", rich_metadata((4, 40, 50)))
    return folder / "own.zarr"


@BOTH
def test_a_store_as_xarray_writes_it_is_a_scene(version: Version, tmp_path: Path) -> None:
    path = write_store(
        tmp_path / "x.zarr",
        {
            "reflectance": (("wavelength", "y", "x"), VALUES),
            "wavelength": (("wavelength",), [0.4, 0.5, 0.6, 0.7]),
            "y": (("y",), 500 - 7.5 * (np.arange(7) + 0.5)),
            "x": (("x",), 100 + 7.5 * (np.arange(6) + 0.5)),
            "spatial_ref": ((), 0),
        },
        version=version,
        attributes={
            "reflectance": {"grid_mapping": "spatial_ref", "scale_factor": 0.1, "title": "field"},
            "wavelength": {"units": "um"},
            "spatial_ref": {"crs_wkt": UTM},
        },
    )
    with open_scene(path) as scene:
        meta = scene.metadata
        np.testing.assert_array_equal(scene.read().values, VALUES)
    assert scene.format == "Zarr"
    assert meta.spectral_axis.wavelengths_nm == (400.0, 500.0, 600.0, 700.0)
    assert meta.stored.scales == (0.1,) * 4
    assert meta.georeference.crs_wkt == UTM
    assert tuple(meta.georeference.transform or ())[:6] == (7.5, 0, 100, 0, -7.5, 500)
    assert meta.tags == {"title": "field"}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"crs_wkt": "PROJCS["}, "reference system is left out: PROJ does not understand"),
        ({"grid_mapping_name": "oblique_mercator"}, "left out: found oblique_mercator without crs"),
        ({"grid_mapping_name": "mercator", "false_easting": "far"}, "left out: false_easting is"),
        ({"GeoTransform": "5 0 0 4 0 0"}, "transform is left out"),
    ],
)
def test_an_unclear_place_is_left_out(said: dict[str, str], words: str, tmp_path: Path) -> None:
    arrays = {"data": CUBE, "spatial_ref": ((), 0)}
    path = write_store(tmp_path / "x.zarr", arrays, attributes={"spatial_ref": said})
    with pytest.warns(HsisrWarning, match=r"x\.zarr: .*" + words), open_scene(path) as scene:
        assert not scene.metadata.georeference.exists


@BOTH
def test_what_attributes_say_is_used_or_told(version: Version, tmp_path: Path) -> None:
    said = {"missing_value": [8], "scale_factor": "0.1", "add_offset": [1, 2]}
    uneven = (("y",), [0, 1, 2, 3, 4, 5, 7])
    places = {"x": (("x",), range(6)), "y": uneven}
    path = write_store(
        tmp_path / "x.zarr", {"a": CUBE, **places}, version=version, attributes={"a": said}
    )
    with pytest.warns(HsisrWarning) as heard:
        meta = metadata_at(path)
    assert (meta.stored.nodata, meta.georeference.transform) == (8, None)
    words = [str(one.message).partition(".zarr: ")[2] for one in heard]
    assert words == [
        "scale_factor left out: found '0.1', expected a number",
        "add_offset left out: found '[1, 2]', expected a number",
        "y is not evenly spaced: no place is taken from coordinates",
    ]


def test_unsigned_numbers_under_a_signed_type_are_refused(tmp_path: Path) -> None:
    path = write_store(tmp_path / "x.zarr", {"a": CUBE}, attributes={"a": {"_Unsigned": "true"}})
    with pytest.raises(InputDataError, match=r"unsigned .* stored as int16; save them as unsigned"):
        open_scene(path)


def test_one_of_several_cubes_is_named(tmp_path: Path) -> None:
    path = write_store(tmp_path / "a.zarr", {"one": CUBE, "deep/two": CUBE})
    with pytest.raises(InputDataError, match=r"found 2 cubes: .*choose one with --variable NAME"):
        open_scene(path)
    assert_holds(path, VALUES, variable="deep/two")
    with pytest.raises(UsageError, match="--variable three: no such array; there are"):
        open_scene(path, variable="three")
    assert options_of_kind(path, "one", "brc") == ("one", "brc")


def test_a_store_that_is_one_array_is_a_scene(tmp_path: Path) -> None:
    path = write_store(tmp_path / "a.zarr", {"only": CUBE}) / "only"
    assert_holds(path, VALUES)


def test_chunks_that_others_left_out_are_full_of_the_fill_value(tmp_path: Path) -> None:
    empty = np.zeros_like(VALUES)
    np.testing.assert_array_equal(
        values_of(write_store(tmp_path / "a.zarr", {"c": (CUBE[0], empty)})), empty
    )


def test_a_lost_chunk_of_an_own_store_is_an_error(tmp_path: Path) -> None:
    own = own_store(tmp_path)
    (own / "data" / "0.0.0").unlink()
    with pytest.raises(InputDataError, match=r"data lacks the chunk data/0\.0\.0"):
        open_scene(own).read()
    (own / "wavelength" / "0").unlink()
    with pytest.raises(InputDataError, match="wavelength lacks the chunk"):
        open_scene(own)


Break = Callable[[Path], object]


def cube_says(**changes: object) -> Break:
    return lambda own: edit_json(own / "data" / ".zarray", **changes)


def overwritten(content: bytes, *names: str) -> Break:
    return lambda own: [(own / name).write_bytes(content) for name in names]


BREAKS: dict[str, Break] = {
    "no metadata of the cube": lambda own: shutil.rmtree(own / "data"),
    "no marks": lambda own: [shutil.move(own / n, own / "x") for n in (".zgroup", ".zmetadata")],
    "no JSON": overwritten(b"{", ".zmetadata", "data/.zarray"),
    "a number for a shape": cube_says(shape=5),
    "a negative side": cube_says(shape=[4, -1, 2]),
    "no pixels": cube_says(shape=[4, 0, 2]),
    "four axes": cube_says(shape=[1, 1, 2, 2], chunks=[1, 1, 2, 2]),
    "an unknown type": cube_says(dtype="<q9"),
    "complex numbers": cube_says(dtype="<c8", fill_value=0),
    "a torn chunk": overwritten(b"\x28\xb5\x2f\xfd", "data/0.0.0"),
    "rings of braces": overwritten(b"[" * 100_000, ".zmetadata", "data/.zattrs"),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_store_is_one_line_with_its_name(what: str, tmp_path: Path) -> None:
    own = own_store(tmp_path)
    BREAKS[what](own)
    with pytest.raises(InputDataError, match=r"own\.zarr: ") as caught:
        open_scene(own).read(Window(0, 0, 2, 2))
    assert "\n" not in str(caught.value)


def test_no_code_in_a_store_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return sys.exit, ("the trap was sprung",)

    own = own_store(tmp_path)
    for name in ("data", "wavelength"):
        edit_json(own / name / ".zarray", compressor={"id": "pickle"})
        for chunk in (own / name).glob("[0-9]*"):
            chunk.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputDataError, match="pickle"):
        open_scene(own)


def test_a_codec_that_is_not_known_to_be_harmless_is_refused(tmp_path: Path) -> None:
    own = own_store(tmp_path)
    codec = {"id": "astype", "encode_dtype": "<i4", "decode_dtype": "<i2"}
    edit_json(own / "data" / ".zarray", filters=[codec])
    with pytest.raises(InputDataError, match="is packed by astype, expected a plain compression"):
        open_scene(own).read()


def test_a_huge_shape_costs_nothing(tmp_path: Path) -> None:
    path = write_store(tmp_path / "a.zarr", {"c": CUBE}, chunks=(4, 7, 6))
    edit_json(path / "c" / ".zarray", shape=[4, 10**9, 10**9])
    with open_scene(path) as scene:
        assert scene.metadata.shape == (4, 10**9, 10**9)
        np.testing.assert_array_equal(scene.read(Window(0, 0, 7, 6)).values, VALUES)


@pytest.mark.parametrize(
    "said",
    [
        {"valid_range": [50, 200]},
        {"valid_min": 50, "valid_max": 200},
        {"valid_min": [50], "valid_max": [200]},
        {"valid_range": [50, 200], "scale_factor": 0.01},
        {"valid_range": [0.5, 2.0], "scale_factor": 0.01},
        {"valid_range": [-2.0, -0.5], "scale_factor": -0.01},
        {"valid_range": [1.5, 3.0], "scale_factor": 0.01, "add_offset": 1},
    ],
)
def test_numbers_beyond_the_valid_range_are_no_data(said: dict[str, Any], tmp_path: Path) -> None:
    path = write_store(tmp_path / "x.zarr", {"a": CUBE}, attributes={"a": said})
    np.testing.assert_array_equal(cube_at(path).valid, (VALUES >= 50) & (VALUES <= 200))
    assert "valid_range" not in metadata_at(path).tags
    assert cube_at(path, nodata="none").valid.all()


def test_a_nan_fill_value_leaves_the_missing_value(tmp_path: Path) -> None:
    cube = CUBE[0], VALUES.astype("float32")
    said = {"_FillValue": "NaN", "missing_value": 8}
    path = write_store(tmp_path / "x.zarr", {"a": cube}, attributes={"a": said})
    assert metadata_at(path).stored.nodata == 8
    write_store(tmp_path / "y.zarr", {"a": cube}, attributes={"a": said | {"_FillValue": 9}})
    with pytest.warns(HsisrWarning, match="missing_value 8 left out beside _FillValue"):
        assert metadata_at(tmp_path / "y.zarr").stored.nodata == 9


def gridded(path: Path, x: Any, y: Any, transform: str, units: Sequence[str] = ()) -> Path:
    arrays = {"a": CUBE, "x": (("x",), x), "y": (("y",), y), "spatial_ref": ((), 0)}
    said = {"crs_wkt": UTM, "GeoTransform": transform} if transform else {}
    named = {name: {"units": unit} for name, unit in zip("xy", units, strict=False)}
    return write_store(path, arrays, attributes={"spatial_ref": said, **named})


@pytest.mark.parametrize(
    ("first", "step", "taken"),
    [
        ((115, 485), 30, "told"),
        ((100, 500), 30, "told"),
        ((415, 185), 30, "along"),
        ((130, 470), 60, "along"),
    ],
)
def test_coordinates_of_a_part_go_before_the_transform_of_the_whole(
    first: tuple[int, int], step: int, taken: str, tmp_path: Path
) -> None:
    x, y = first[0] + step * np.arange(6.0), first[1] - step * np.arange(7.0)
    path = gridded(tmp_path / "x.zarr", x, y, "100 30 0 500 0 -30")
    if taken == "told":
        found = metadata_at(path).georeference.transform
        assert found == Affine(30, 0, 100, 0, -30, 500)
    else:
        with pytest.warns(HsisrWarning, match="GeoTransform left out: the coordinates"):
            found = metadata_at(path).georeference.transform
        half = step / 2
        assert found == Affine(step, 0, first[0] - half, 0, -step, first[1] + half)


def test_coordinates_are_as_even_as_their_type_can_say(tmp_path: Path) -> None:
    x = (113 + 0.00027 * (np.arange(6) + 0.5)).astype("float32")
    y = (52 - 0.00027 * (np.arange(7) + 0.5)).astype("float32")
    path = gridded(tmp_path / "x.zarr", x, y, "", ["degrees_east", "degree_north"])
    with pytest.warns(HsisrWarning, match="name no datum; taken as WGS 84"):
        place = metadata_at(path).georeference
    assert place.transform is not None
    assert place.transform[:6] == pytest.approx((0.00027, 0, 113, 0, -0.00027, 52), abs=1e-5)
    assert "WGS 84" in str(place.crs_wkt)


def test_attributes_hold_wavelengths(tmp_path: Path) -> None:
    said = {"wavelengths": [400, 500, 600, 700], "FWHM": [5.0] * 4, "wavelength_units": "nm"}
    meta = metadata_at(write_store(tmp_path / "x.zarr", {"a": CUBE}, attributes={"a": said}))
    assert meta.spectral_axis.wavelengths_nm == (400.0, 500.0, 600.0, 700.0)
    assert meta.spectral_axis.fwhm_nm == (5.0,) * 4
    assert meta.tags == {"wavelength_units": "nm"}


def test_one_width_holds_for_all_bands_and_texts_are_told(tmp_path: Path) -> None:
    arrays = {"a": CUBE, "fwhm": ((), 5.0)}
    path = write_store(tmp_path / "x.zarr", arrays)
    assert metadata_at(path).spectral_axis.fwhm_nm == (5.0,) * 4
    arrays["fwhm"] = ("band",), np.array(list("abcd"))
    path = write_store(tmp_path / "y.zarr", arrays)
    with pytest.warns(HsisrWarning, match="fwhm left out: found no numbers in it"):
        assert metadata_at(path).spectral_axis.fwhm_nm is None


def test_bands_that_are_variables_get_advice(tmp_path: Path) -> None:
    flat = ("y", "x"), VALUES[0]
    path = write_store(tmp_path / "x.zarr", {"Band1": flat, "Band2": flat})
    with pytest.raises(InputDataError, match=r"in xarray: ds\.to_array\('band'\)"):
        open_scene(path)


def test_names_of_bands_lie_along_them_or_in_the_long_name_of_rioxarray(tmp_path: Path) -> None:
    names = [f"B{n} ({n + 4}00 nm)" for n in range(4)]
    path = write_store(tmp_path / "x.zarr", {"a": CUBE}, attributes={"a": {"long_name": names}})
    axis = metadata_at(path).spectral_axis
    assert (axis.names, axis.wavelengths_nm) == (tuple(names), (400.0, 500.0, 600.0, 700.0))
    assert metadata_at(path).tags == {}
    along = {"a": CUBE, "band": (("band",), np.array(["r", "g", "b", "n"]))}
    path = write_store(tmp_path / "y.zarr", along)
    assert metadata_at(path).spectral_axis.names == ("r", "g", "b", "n")


def test_packed_coordinates_and_those_in_km_are_understood(tmp_path: Path) -> None:
    place = Affine(30, 0, 100, 0, -30, 500)
    packed = {"scale_factor": 30.0, "add_offset": 115.0}
    turned = {"scale_factor": -30.0, "add_offset": 485.0}
    waves = (("band",), np.array([4000, 5000, 6000, 7004]))
    arrays = {"a": CUBE, "spatial_ref": ((), 0), "wavelength": waves}
    counted = {"x": (("x",), np.arange(6)), "y": (("y",), np.arange(7))}
    attributes = {"spatial_ref": {"crs_wkt": UTM}, "wavelength": {"scale_factor": 0.1}}
    path = write_store(
        tmp_path / "x.zarr", arrays | counted, attributes=attributes | {"x": packed, "y": turned}
    )
    assert metadata_at(path).georeference.transform == place
    assert metadata_at(path).spectral_axis.wavelengths_nm == (400.0, 500.0, 600.0, 700.4)
    km = {"x": (("x",), 0.115 + 0.03 * np.arange(6)), "y": (("y",), 0.485 - 0.03 * np.arange(7))}
    attributes |= {"x": {"units": "km"}, "y": {"units": "km"}}
    path = write_store(tmp_path / "y.zarr", arrays | km, attributes=attributes)
    found = metadata_at(path).georeference.transform
    assert found is not None
    assert found.almost_equals(place, 1e-6)


@pytest.mark.parametrize(
    ("place", "cube"),
    [
        ({"epsg_code": "EPSG:32633"}, {}),
        ({"spatial_epsg": 32633}, {}),
        ({"proj4": "+proj=utm +zone=33 +datum=WGS84"}, {}),
        ({}, {"crs": "+init=epsg:32633"}),
    ],
)
def test_systems_by_codes(place: dict[str, Any], cube: dict[str, str], tmp_path: Path) -> None:
    arrays = {"a": CUBE, "spatial_ref": ((), 0)}
    path = write_store(tmp_path / "x.zarr", arrays, attributes={"spatial_ref": place, "a": cube})
    assert "UTM zone 33N" in str(metadata_at(path).georeference.crs_wkt)


NUMBERS = numbered(3, 4, 5)
Make = Callable[[Path], Path]


def array(version: Literal[2, 3] = 2, **changes: Any) -> Make:
    def make(folder: Path) -> Path:
        store = write_store(
            folder / "scene.zarr",
            {"cube": (("band", "y", "x"), NUMBERS)},
            version=version,
            chunks=NUMBERS.shape,
        )
        edit_json(store / "cube" / {2: ".zarray", 3: "zarr.json"}[version], **changes)
        return store

    return make


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need rights there")
@pytest.mark.parametrize("place", ["secret", "/dev/zero", None])
def test_a_chunk_that_is_no_plain_file_is_not_read(place: str | None, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(120))
    store = array(compressor=None)(tmp_path)
    chunk = store / "cube" / "0.0.0"
    chunk.unlink()
    os.mkfifo(chunk) if place is None else chunk.symlink_to(tmp_path / place)
    with open_scene(store) as scene, pytest.raises(InputDataError, match=r"scene\.zarr: .* a link"):
        scene.read(Window(0, 0, 4, 5))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_groups_in_circles_come_to_an_end(tmp_path: Path) -> None:
    store = write_store(tmp_path / "scene.zarr", {"cube": (("b", "y", "x"), NUMBERS)})
    (store / "a").symlink_to(store)
    (store / "b").symlink_to(store)
    with pytest.raises(InputDataError, match=r"part [ab]/\.z\w+ of it is a link or a device"):
        open_scene(store)


def test_arrays_that_a_store_says_to_lie_outside_are_not_read(tmp_path: Path) -> None:
    write_store(tmp_path / "secret.zarr", {"cube": (("b", "y", "x"), NUMBERS)})
    store = write_store(tmp_path / "scene.zarr", {})
    said = json.loads((tmp_path / "secret.zarr" / "cube" / ".zarray").read_text())
    documents = {".zgroup": {"zarr_format": 2}, "../secret.zarr/cube/.zarray": said}
    documents["../secret.zarr/cube/.zattrs"] = {}
    (store / ".zmetadata").write_text(
        json.dumps({"zarr_consolidated_format": 1, "metadata": documents})
    )
    with pytest.raises(InputDataError, match=r"scene\.zarr"):
        use_scene(store)


def test_consolidated_metadata_that_disagrees_is_an_error_or_harmless(tmp_path: Path) -> None:
    store = write_store(tmp_path / "scene.zarr", {"cube": (("b", "y", "x"), NUMBERS)})
    zarr.consolidate_metadata(store, zarr_format=2)
    copy = json.loads((store / ".zmetadata").read_text())
    copy["metadata"]["cube/.zarray"] |= {"shape": [3, 400, 500], "chunks": [3, 40, 50]}
    (store / ".zmetadata").write_text(json.dumps(copy))
    with pytest.raises(InputDataError, match=r"scene\.zarr: array cube cannot be read"):
        use_scene(store)


@pytest.mark.parametrize("name", ["os", "numcodecs.pickle", "pickle", "json2", "../x"])
@pytest.mark.parametrize("version", [2, 3])
def test_no_codec_is_looked_for_by_name(name: str, version: Literal[2, 3], tmp_path: Path) -> None:
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    own = {"name": name, "configuration": {}}
    key, value = {2: ("compressor", {"id": name}), 3: ("codecs", [little, own])}[version]
    with pytest.raises(InputDataError, match=r"scene\.zarr"):
        use_scene(array(version, **{key: value})(tmp_path))


CLAIMS: dict[str, tuple[Make, str]] = {
    "bands": (array(shape=[10**12, 4, 5], chunks=[1, 1, 1]), "bands, expected at most"),
    "chunk": (array(shape=[1, 10**9, 9], chunks=[1, 10**9, 1]), "has chunks of 2000000000 bytes"),
    "chunk of nothing": (array(chunks=[0, 0, 0]), "scene.zarr"),
    "nothing": (array(shape=[3, 0, 10**12]), "scene.zarr"),
    "digits": (array(shape=[3, int("9" * 300), 5]), "scene.zarr"),
    "fill value": (array(fill_value="many"), "scene.zarr"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_of_size_are_refused_before_memory_is_taken(name: str, tmp_path: Path) -> None:
    make, words = CLAIMS[name]
    with pytest.raises(InputDataError, match=re.escape(words)), open_scene(make(tmp_path)) as scene:
        scene.read(Window(0, 0, 1, 1))


GRID: Any = {"spatial:transform": [30, 0, 100, 0, -30, 500], "spatial:shape": [7, 6]}
STAC: Any = {"proj:transform": [30, 0, 100, 0, -30, 500, 0, 0, 1], "proj:shape": [7, 6]}
NODE: Any = {"spatial:transform": [30, 0, 115, 0, -30, 485], "spatial:registration": "node"}


@pytest.mark.parametrize("name", ["a", "of/10m/a"])
@pytest.mark.parametrize("of_group", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        {"proj:code": "EPSG:32633", "spatial:dimensions": ["y", "x"], **GRID},
        {"proj:epsg": 32633, "proj:bbox": [100, 290, 280, 500], **STAC},
        {"proj:wkt2": UTM, **NODE},
        {"proj:projjson": pyproj.CRS(32633).to_json_dict(), **GRID},
    ],
    ids=["geozarr", "stac", "node", "projjson"],
)
def test_the_place_by_conventions(
    said: dict[str, Any], of_group: bool, name: str, tmp_path: Path
) -> None:
    path = write_store(
        tmp_path / "a.zarr", {name: CUBE}, version=3, attributes={} if of_group else {name: said}
    )
    if of_group:  # a transform is for what lies in the group, a reference system further down too
        for key, value in said.items():
            at = name.rpartition("/")[0] if re.search("spatial:|form|shape", key) else ""
            zarr.open_group(path, path=at, mode="a").attrs[key] = value
    found = metadata_at(path)
    assert found.georeference.transform == Affine(30, 0, 100, 0, -30, 500)
    assert "UTM zone 33N" in str(found.georeference.crs_wkt)
    assert found.tags == {}  # those of the finer grid would be others


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            {**GRID, "spatial:shape": [9, 9], "proj:code": "EPSG:32633"},
            "spatial:transform is .*not for 7 x 6 pixels",
        ),
        ({"proj:transform": [30, 0]}, r"proj:transform is '\[30, 0\]', expected six numbers"),
    ],
)
def test_a_transform_of_another_grid_is_left_out(
    said: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = write_store(tmp_path / "a.zarr", {"a": CUBE}, attributes={"a": said})
    with pytest.warns(HsisrWarning, match=words):
        found = metadata_at(path).georeference
    assert found.transform is None
    assert (found.crs_wkt is not None) == ("proj:code" in said)


@pytest.mark.parametrize("said", [{"nodata": 8}, {"nodata": 8, "nodatavals": [8, 8, 8, 8]}])
def test_nodata_under_other_names(said: dict[str, Any], tmp_path: Path) -> None:
    path = write_store(tmp_path / "a.zarr", {"a": CUBE}, attributes={"a": said})
    found = metadata_at(path)
    assert (found.stored.nodata, found.tags) == (8, {})


def test_a_mask_that_does_not_say_what_it_means_is_left_out(tmp_path: Path) -> None:
    mask = (("y", "x"), VALUES[0] > 5)  # True where there is none, as numpy has it
    path = write_store(tmp_path / "a.zarr", {"a": CUBE, "mask": mask})
    with pytest.warns(HsisrWarning, match="mask left out: it does not say which numbers"):
        assert cube_at(path).valid.all()
