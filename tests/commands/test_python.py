"""The functions of `hsisr`: what a file, an array and a DataArray give is the same."""

import json
import tomllib
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import rioxarray
import torch
import xarray as xr
from affine import Affine
from click.testing import CliRunner
from rasterio.rio.main import main_group

import hsisr
from hsisr.commands.python.calls import chosen_options
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.session import Session
from hsisr.errors import HsisrWarning, InputDataError, UsageError, WeightsError
from tests.io.written import rich_metadata, writer_for
from tests.networks import OVERLAPPING, tiny_weights
from tests.scenes import counts, write_tif

BANDS, ROWS, COLS = 10, 19, 27
pytestmark = pytest.mark.filterwarnings(
    "ignore:Use `@` matmul:PendingDeprecationWarning"  # rioxarray 0.19 with affine 3.1
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("weights"), **OVERLAPPING, margin_lr_px=2)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_tif(tmp_path / "scene.tif", counts(BANDS, ROWS, COLS), bad=(3,))


def stored(path: Path) -> npt.NDArray[Any]:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


def opened(path: Path, **options: Any) -> xr.DataArray:
    array = rioxarray.open_rasterio(path, **options)
    assert isinstance(array, xr.DataArray)
    bands = np.arange(array.sizes["band"])
    return array.assign_coords(
        wavelength=("band", 400.0 + 10 * bands, {"units": "nm"}), good=("band", bands != 3)
    )


def test_keywords_are_the_options(scene: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    made = hsisr.upscale(
        scene,
        tmp_path / "a.tif",
        scale=2,
        model="bicubic",
        dtype="float32",
        progress=lambda done, total: calls.append((done, total)),
    )
    options = hsisr.UpscaleOptions(scale=2, model="bicubic", dtype="float32")
    hsisr.upscale(scene, tmp_path / "b.tif", options, overwrite=True)
    assert made.output_shape == (BANDS, 2 * ROWS, 2 * COLS)
    np.testing.assert_array_equal(stored(tmp_path / "a.tif"), stored(tmp_path / "b.tif"))
    assert calls[-1] == (made.tiles, made.tiles)


def test_scales_are_read_as_on_the_command_line(scene: Path, tmp_path: Path) -> None:
    assert hsisr.upscale(scene, tmp_path / "a.tif", scale="x2", model="bicubic").scale == 2
    assert hsisr.degrade(scene, tmp_path / "b.tif", scale="X3", crop=True).scale == 3
    cube = np.ones((2, 3, 4), np.float32)
    assert hsisr.upscale_array(cube, axes="brc", scale="x4", model="nearest").shape == (2, 12, 16)
    for scale in ("x3", "x", "2.5"):
        with pytest.raises(UsageError, match=r"scale .*: expected 2, 4 or 8"):
            hsisr.upscale(scene, tmp_path / "c.tif", scale=scale)


def test_windows_are_read_as_on_the_command_line(scene: Path) -> None:
    assert hsisr.info(scene, window="0,1,3,2") == hsisr.info(scene, window=(0, 1, 3, 2))
    with pytest.raises(UsageError, match=r"window 0,1,3: expected ROW,COL,ROWS,COLS"):
        hsisr.info(scene, window="0,1,3")


def test_numbers_may_be_those_of_numpy_and_nodata_a_number(scene: Path, tmp_path: Path) -> None:
    names: dict[str, Any] = {"scale": "2", "tile": 8, "window": (0, 1, 3, 2), "nodata": "9999"}
    same: dict[str, Any] = {"scale": np.int64(2), "tile": 8.0, "window": np.array([0, 1, 3, 2])}
    expected = hsisr.upscale(scene, tmp_path / "a.tif", model="bicubic", **names)
    made = hsisr.upscale(
        scene, tmp_path / "b.tif", model="bicubic", **same, nodata=np.float32(9999), bbox=None
    )
    assert (made.scale, made.output_shape) == (2, expected.output_shape)
    with rasterio.open(tmp_path / "a.tif") as one, rasterio.open(tmp_path / "b.tif") as other:
        assert one.tags()["HSISR_OPTIONS"] == other.tags()["HSISR_OPTIONS"]
        assert other.nodata == one.nodata
    with pytest.raises(UsageError, match=r"tile '8.5': expected a whole number"):
        hsisr.upscale(scene, tmp_path / "c.tif", tile=8.5)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"scal": 2}, "did you mean 'scale'"),
        ({"co": ()}, "did you mean 'creation_options'"),
        ({"scale": 3}, "expected 2, 4 or 8"),
        ({"consistency": "no"}, "found 'no' for a switch, expected True or False"),
        ({"consistency": np.ones(2)}, r"found array\(\[1., 1.\]\) for a switch"),
        ({"creation_options": ["COMPRESS"]}, "--co COMPRESS: expected KEY=VALUE"),
        ({"creation_options": 5}, "creation-options '5': expected a mapping of texts, or texts"),
        ({"bands": [2, 1]}, r"bands \[2, 1\]: expected numbers and runs of bands"),
        ({"model": ["bicubic"]}, r"model \['bicubic'\]: expected a text"),
        ({"quicklook": 5}, "quicklook 5: expected a path"),
        ({"tile": "16"}, "tile '16': expected a whole number"),
        ({"nodata": [1]}, r"nodata \[1\]: expected a number, nan or none"),
        ({"progress": 5}, "found 5 for progress, expected True or a function"),
        ({"session": 5}, "found int for session, expected a Session"),
        ({"options": {"scale": 2}}, "found dict for the options, expected UpscaleOptions or"),
    ],
)
def test_wrong_keywords_are_refused(scene: Path, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        hsisr.upscale(scene, scene.with_name("out.tif"), **keywords)


def test_what_can_mean_one_thing_only_is_taken() -> None:
    unset: dict[str, Any] = dict.fromkeys(("scale", "consistency", "bad_bands", "device"))
    assert chosen_options(UpscaleOptions, None, unset) == UpscaleOptions()
    given = {"model": Path("a.safetensors"), "dtype": np.float32, "creation_options": ["ZLEVEL=9"]}
    made = chosen_options(UpscaleOptions, None, given)
    assert (made.model, made.dtype) == ("a.safetensors", "float32")
    assert made.creation_options == {"ZLEVEL": "9"}


def test_a_session_is_for_files() -> None:
    array = xr.DataArray(np.ones((2, 4, 4), np.float32), dims=("band", "y", "x"))
    session = Session(UpscaleOptions(scale=2, model="bicubic"))
    with pytest.raises(UsageError, match="found a session, which is for scenes in files; of Data"):
        hsisr.upscale(array, session=session)


@pytest.mark.parametrize("name", [None, 3, ["scene.tif"]])
def test_what_is_no_name_of_a_scene_is_refused(name: Any, scene: Path) -> None:
    with pytest.raises(UsageError, match="expected the name of a scene"):
        hsisr.info(name)
    with pytest.raises(UsageError, match="expected the name of a scene"):
        hsisr.evaluate(scene, name)
    with pytest.raises(UsageError, match="for 'scenes', expected tuple"):
        hsisr.train([name])
    with pytest.raises(WeightsError, match="expected the name of weights"):
        hsisr.load_model(name)


def test_info_degrade_and_evaluate(scene: Path, tmp_path: Path) -> None:
    facts = hsisr.info(scene)
    assert facts.metadata.shape == (BANDS, ROWS, COLS)
    assert hsisr.info(scene, bands="2-3", window=(0, 0, 4, 5)).metadata.shape == (2, 4, 5)
    coarse = hsisr.degrade(scene, tmp_path / "coarse.tif", scale=3, crop=True)
    assert coarse.output_shape == (BANDS, 6, 9)
    report = hsisr.evaluate(scene, str(scene), minimum="mpsnr=30")
    assert report.values["sam"] == pytest.approx(0, abs=1e-5)
    assert report.failed == ()


@pytest.mark.parametrize("suffix", [".tif", ".hdr", ".nc", ".zarr"])
def test_info_names_sensor_and_time_in_every_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"scene{suffix}"
    with writer_for(path, rich_metadata((3, 4, 5))) as writer:
        writer.write(np.zeros((3, 4, 5), np.int16), row=0, col=0, band=0)
    told = hsisr.info(path).as_dict()["product"]
    assert (told["sensor"], told["acquired"]) == ("EnMAP", "2022-07-24T10:45:26Z")


@pytest.mark.parametrize(
    ("axes", "dtype"), [("brc", "uint16"), ("rcb", "float32"), ("rbc", "uint16")]
)
def test_arrays_are_as_good_as_files(axes: str, dtype: str, weights: Path, tmp_path: Path) -> None:
    cube = counts(BANDS, ROWS, COLS).astype(dtype)
    path = write_tif(tmp_path / "scene.tif", cube, bad=(3,))
    hsisr.upscale(path, tmp_path / "finer.tif", scale=2, model=str(weights))
    order = ["brc".index(axis) for axis in axes]
    finer = hsisr.upscale_array(
        cube.transpose(order),
        axes=axes,
        wavelengths=range(400, 500, 10),
        good=[band != 3 for band in range(BANDS)],
        scale=2,
        model=str(weights),
    )
    assert finer.dtype == cube.dtype
    back = finer.transpose([axes.index(axis) for axis in "brc"])
    np.testing.assert_array_equal(back, stored(tmp_path / "finer.tif"))


@pytest.mark.parametrize(
    ("nm", "outside"), [((8000, 12000), 10), ((380, 2500), 0), ((2000, 4000), 6)]
)
def test_light_that_a_network_never_saw_is_told(
    nm: tuple[int, int], outside: int, tmp_path: Path
) -> None:
    model = str(tiny_weights(tmp_path, **OVERLAPPING, wavelengths_nm=(400.0, 2450.0)))
    call: dict[str, Any] = {"axes": "brc", "scale": 2, "model": model}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        hsisr.upscale_array(counts(10, 8, 8), wavelengths=np.linspace(*nm, 10).tolist(), **call)
    said = [str(one.message) for one in told if one.category is HsisrWarning]
    expected = [
        f"array: {outside} of 10 bands lie outside 400 to 2450 nm, which tiny was trained on;"
    ]
    assert [line.partition(" compare")[0] for line in said] == (expected if outside else [])


def test_a_loaded_model_is_a_network_that_upscale_array_takes(weights: Path) -> None:
    model = hsisr.load_model(weights)
    assert isinstance(model, torch.nn.Module)
    assert model(torch.zeros(1, 6, 5, 7)).shape == (1, 6, 10, 14)
    assert len(repr(model)) < 120
    cube = counts(BANDS, ROWS, COLS)
    by_object = hsisr.upscale_array(cube, axes="brc", scale=2, model=model)
    by_name = hsisr.upscale_array(cube, axes="brc", scale=2, model=str(weights))
    np.testing.assert_array_equal(by_object, by_name)
    with pytest.raises(WeightsError, match="is for scale 2, found scale 4"):
        hsisr.upscale_array(cube, axes="brc", model=model)


def test_masked_pixels_stay_invalid_and_do_not_spread(weights: Path) -> None:
    cube = counts(BANDS, ROWS, COLS)
    mask = np.ones((ROWS, COLS), bool)
    mask[5:7, 8:12] = False
    cube[:, ~mask] = 60_000
    fine = mask.repeat(2, 0).repeat(2, 1)
    call: dict[str, Any] = {"axes": "brc", "scale": 2, "model": str(weights)}
    masked = hsisr.upscale_array(cube, mask=mask, **call)
    same = hsisr.upscale_array(np.ma.MaskedArray(cube, np.broadcast_to(~mask, cube.shape)), **call)
    assert isinstance(masked, np.ma.MaskedArray)
    np.testing.assert_array_equal(~np.ma.getmaskarray(masked), np.broadcast_to(fine, masked.shape))
    assert masked.max() < 4000
    np.testing.assert_array_equal(masked.filled(0), np.ma.MaskedArray(same).filled(0))
    floats = np.where(mask, cube, np.nan).astype(np.float32)
    np.testing.assert_array_equal(
        np.isnan(hsisr.upscale_array(floats, **call)), np.broadcast_to(~fine, masked.shape)
    )


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "band axis is not known; say axes='brc'"),
        ({"axes": "rcb", "wavelengths": range(400, 500, 10)}, "27 bands .* and 10 wavelengths"),
        ({"axes": "brc", "wavelengths": np.linspace(0.4, 2.5, 10)}, "micrometres by 1000"),
        ({"axes": "brc", "mask": np.ones((3, 3))}, r"expected \(rows, cols\) \(19, 27\)"),
        ({"axes": "brc", "overwrite": True}, "concerns files"),
        ({"axes": "brc", "window": (0, 0, 4, 4)}, "'window', .* cut the array"),
    ],
)
def test_what_would_be_a_wrong_order_is_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        hsisr.upscale_array(counts(BANDS, ROWS, COLS), model="bicubic", **keywords)


def test_wavelengths_tell_the_band_axis() -> None:
    cube = counts(BANDS, ROWS, COLS)
    finer = hsisr.upscale_array(
        cube.transpose(1, 2, 0), wavelengths=range(400, 500, 10), scale=2, model="bicubic"
    )
    expected = hsisr.upscale_array(cube, axes="brc", scale=2, model="bicubic")
    np.testing.assert_array_equal(finer.transpose(2, 0, 1), expected)


def test_a_dataarray_is_as_good_as_a_file(scene: Path, weights: Path, tmp_path: Path) -> None:
    hsisr.upscale(scene, tmp_path / "finer.tif", scale=2, model=str(weights))
    array = opened(scene)
    finer = hsisr.upscale(array, scale=2, model=str(weights))
    expected = opened(tmp_path / "finer.tif")
    xr.testing.assert_allclose(finer.drop_attrs(), expected.drop_attrs(), rtol=1e-12)
    np.testing.assert_array_equal(finer.values, expected.values)
    assert finer.dims == array.dims
    assert finer.rio.crs == array.rio.crs
    assert finer.rio.bounds() == array.rio.bounds()
    assert finer.rio.transform() == expected.rio.transform()
    assert array.attrs.items() <= finer.attrs.items()
    assert json.loads(finer.attrs["HSISR_OPTIONS"])["scale"] == 2
    turned = hsisr.upscale(array.transpose("y", "x", "band"), scale=2, model=str(weights))
    np.testing.assert_array_equal(turned.transpose("band", "y", "x").values, finer.values)


@pytest.mark.parametrize(
    "part",
    [
        {"x": slice(3, 9), "y": slice(4, 12)},
        {"x": slice(None, None, 2), "y": slice(1, None, 3)},
        {"y": slice(None, None, -1)},
    ],
)
def test_the_transform_of_a_part_is_its_own(part: dict[str, slice], scene: Path) -> None:
    array = opened(scene).isel(part)
    finer = hsisr.upscale(array, scale=2, model="nearest")
    told, made = array.rio.transform(recalc=True), finer.rio.transform()
    assert made.almost_equals(told @ Affine.scale(1 / 2))
    assert made.almost_equals(finer.rio.transform(recalc=True))
    assert finer.rio.bounds() == pytest.approx(array.rio.bounds(recalc=True))


@pytest.mark.parametrize(("asked", "fills"), [(-1, 4), ("none", 0)])
def test_the_nodata_that_is_asked_for_goes_before_the_arrays(asked: Any, fills: int) -> None:
    numbers = counts(2, 4, 5).astype("int16")
    numbers[:, 1, 2] = -1
    array = xr.DataArray(numbers, dims=("band", "y", "x"), attrs={"_FillValue": 7})
    finer = hsisr.upscale(array, scale=2, model="nearest", nodata=asked)
    assert (finer[0] == -1).sum() == 4
    assert finer.attrs.get("_FillValue") == (-1 if fills else None)
    around = hsisr.upscale(array, scale=2, model="bicubic", nodata=asked)
    assert (around[0] == -1).sum() == fills


def test_a_dask_array_is_computed_only_when_asked_for(scene: Path, weights: Path) -> None:
    import dask.array  # loads much

    array = opened(scene)
    eager = hsisr.upscale(array, scale=2, model=str(weights))
    read: list[tuple[int, ...]] = []

    def seen(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        read.append(block.shape)
        return block

    data = dask.array.from_array(array.values, chunks=(4, 7, 9))  # type: ignore[no-untyped-call]
    lazy_in = array.copy(data=data.map_blocks(seen, dtype=data.dtype, meta=data._meta))
    lazy = hsisr.upscale(lazy_in, scale=2, model=str(weights))
    assert isinstance(lazy.data, dask.array.Array)
    assert lazy.data.npartitions > 1
    assert len(read) == data.npartitions  # statistics: every chunk once
    xr.testing.assert_identical(lazy.compute(), eager.assign_attrs(lazy.attrs))
    part = lazy.isel(x=slice(3, 9), y=slice(5, 11))
    np.testing.assert_array_equal(part.values, eager.values[:, 5:11, 3:9])


def test_what_cannot_be_carried_is_said(scene: Path) -> None:
    array = opened(scene)
    swath = array.assign_coords(height=(("y", "x"), np.zeros((ROWS, COLS))))
    with pytest.warns(HsisrWarning, match="coordinates height"):
        assert "height" not in hsisr.upscale(swath, scale=2, model="bicubic").coords
    uneven = array.assign_coords(x=np.cumsum(np.arange(1.0, COLS + 1)))
    with pytest.raises(InputDataError, match="coordinate x: found 27 values without even steps"):
        hsisr.upscale(uneven, scale=2, model="bicubic")
    with pytest.raises(UsageError, match="not known by name; say which is which"):
        hsisr.upscale(array.rename(x="u", y="v"), scale=2, model="bicubic")
    with pytest.raises(UsageError, match="upscale_array takes NumPy arrays"):
        hsisr.upscale(array.values)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="found PosixPath and int, expected the name of a scene"):
        hsisr.upscale(scene, 7)  # type: ignore[call-overload]


def test_rio_runs_the_program_and_gives_its_exit_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    module, name = table["project"]["entry-points"]["rasterio.rio_plugins"]["hsisr"].split(":")
    main_group.add_command(getattr(import_module(module), name))
    scene = write_tif(tmp_path / "scene.tif", counts(3, 8, 8))
    for path, code, words in ((scene, 0, "3 bands, 8 rows"), ("none.tif", 3, "no such file")):
        done = CliRunner().invoke(main_group, ["hsisr", "info", str(path)])
        assert (done.exit_code, words in "".join(capfd.readouterr())) == (code, True)
