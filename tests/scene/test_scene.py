"""What a hyperspectral image is: axes, places, numbers."""

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from hsisr.errors import InputDataError
from hsisr.io.write import quantise, storable_range
from hsisr.scene.georeference import Georeference, GroundControlPoint
from hsisr.scene.metadata import Cube, SceneMetadata, SpectralAxis, StoredNumbers


def metadata(bands: int = 3, rows: int = 8, cols: int = 4) -> SceneMetadata:
    return SceneMetadata(
        rows=rows,
        cols=cols,
        stored=StoredNumbers(dtype=np.dtype("int16"), scales=tuple(range(1, bands + 1)), nodata=-1),
        spectral_axis=SpectralAxis(
            count=bands,
            names=tuple("abcdefg"[:bands]),
            good=tuple(band != 1 for band in range(bands)),
        ),
        georeference=Georeference(transform=Affine(30, 0, 5, 0, -30, 7)),
        band_tags=tuple({"n": str(b)} for b in range(bands)),
        header={"default bands": "{3, 2, 1}", "sensor type": "AVIRIS"},
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"wavelengths_nm": (1.0, float("nan"))}, "wavelengths: band 2 has nan"),
        ({"wavelengths_nm": (4.0,)}, "found 1 wavelengths for 2 bands"),
        ({"fwhm_nm": (4.0, float("inf"))}, "FWHM values: band 2 has inf"),
        ({"names": ("a", "b", "c")}, "found 3 band names for 2 bands"),
        ({"unit": "parsec"}, "unknown wavelength unit 'parsec'"),
    ],
)
def test_an_axis_that_makes_no_sense_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        SpectralAxis(count=2, **fields)  # type: ignore[arg-type]


@given(st.lists(st.floats(0.3, 2.6), min_size=1, max_size=9))
def test_micrometres_come_back_as_they_were_written(values: list[float]) -> None:
    written = [float(f"{v:.9g}") for v in values]
    axis = SpectralAxis.from_unit(len(written), unit="Micrometers", wavelengths=written)
    assert axis.wavelengths_nm is not None
    assert list(axis.in_file_unit(axis.wavelengths_nm)) == written


@given(
    scale=st.sampled_from([2, 4, 8]),
    angle=st.floats(-180, 180),
    corner=st.tuples(st.integers(0, 50), st.integers(0, 40)),
)
def test_a_finer_grid_keeps_corners(scale: int, angle: float, corner: tuple[int, int]) -> None:
    place = Affine.translation(4e5, 5e6) @ Affine.rotation(angle) @ Affine.scale(30, -30)
    fine = Georeference(transform=place).finer(scale).transform
    assert fine is not None
    col, row = corner
    np.testing.assert_allclose(fine @ (col * scale, row * scale), place @ (col, row), rtol=1e-12)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_control_points_scale_from_the_corner_and_polynomials_from_the_centre(scale: int) -> None:
    place = Georeference(
        gcps=(GroundControlPoint(row=10, col=20.5, x=1, y=2),),
        rpcs={"LINE_OFF": "99.5", "SAMP_OFF": "0", "LINE_SCALE": "50", "HEIGHT_OFF": "3"},
    )
    fine = place.finer(scale)
    assert (fine.gcps[0].row, fine.gcps[0].col) == (10 * scale, 20.5 * scale)
    assert float(fine.rpcs["LINE_OFF"]) == 100 * scale - 0.5
    assert float(fine.rpcs["SAMP_OFF"]) == 0.5 * scale - 0.5
    assert float(fine.rpcs["LINE_SCALE"]) == 50 * scale
    assert fine.rpcs["HEIGHT_OFF"] == "3"
    back = fine.coarser(scale)
    assert back.gcps == place.gcps
    assert float(back.rpcs["LINE_OFF"]) == 99.5


def test_a_window_lies_where_its_first_pixel_lies() -> None:
    place = Georeference(
        transform=Affine(30, 0, 100, 0, -30, 200),
        gcps=(GroundControlPoint(row=3, col=4, x=0, y=0),),
        rpcs={"LINE_OFF": "9", "SAMP_OFF": "8"},
    )
    moved = place.shifted(2, 1)
    assert moved.transform is not None
    assert (moved.transform.c, moved.transform.f) == (130, 140)
    assert (moved.gcps[0].row, moved.gcps[0].col) == (1, 3)
    assert (float(moved.rpcs["LINE_OFF"]), float(moved.rpcs["SAMP_OFF"])) == (7, 7)


def test_metadata_follow_the_grid_and_the_bands() -> None:
    meta = metadata()
    assert meta.finer(4).shape == (3, 32, 16)
    assert meta.finer(4).coarser(4) == meta
    picked = meta.with_bands([2, 0])
    assert list(picked.stored.scales or ()) == [3, 1]
    assert picked.spectral_axis.names == ("c", "a")
    assert picked.spectral_axis.good == (True, True)
    assert picked.band_tags == ({"n": "2"}, {"n": "0"})
    assert picked.header == {"sensor type": "AVIRIS"}
    assert meta.with_bands([0, 1, 2]) == meta


@pytest.mark.parametrize(
    ("bands", "key", "items", "left"),
    [
        (7, "solar irradiance", "{1, 2,3, 4, 5, 6, 7}", "{7, 1}"),
        (7, "z plot range", "{0, 100}", "{0, 100}"),
        (7, "options", '{"a": [1, 2, 3, 4, 5, 6, 7]}', '{"a": [1, 2, 3, 4, 5, 6, 7]}'),
        (3, "himg", "{1, 640, 2}", "{1, 640, 2}"),
        (3, "wavelength", "{1000, 900, 800}", "{800, 1000}"),
    ],
)
def test_free_lists_of_all_bands_follow_the_bands(
    bands: int, key: str, items: str, left: str
) -> None:
    meta = replace(metadata(bands), header={key: items}, tags={key: items})
    picked = meta.with_bands([bands - 1, 0])
    assert (picked.header[key], picked.tags[key]) == (left, left)


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputDataError, match="8 x 5 pixels do not divide by scale 4"):
        metadata(cols=5).coarser(4)
    with pytest.raises(InputDataError, match="found 0 rows"):
        metadata(rows=0)
    with pytest.raises(InputDataError, match="per-band fields for 3 bands"):
        replace(metadata(), band_tags=({},))
    values = np.zeros((2, 3, 4), np.float32)
    axis = SpectralAxis(count=2)
    with pytest.raises(InputDataError, match="mask"):
        Cube(values=values, valid=np.ones((3, 4), np.bool_), spectral_axis=axis)
    with pytest.raises(InputDataError, match="expected"):
        Cube(values=values[0], valid=np.ones((3, 4), np.bool_), spectral_axis=axis)
    with pytest.raises(InputDataError, match="1 bands named, 2 given"):
        Cube(values=values, valid=values == 0, spectral_axis=SpectralAxis(count=1))


INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32"]


@given(
    dtype=st.sampled_from([*INTEGERS, "float32", "float64"]),
    nodata=st.sampled_from([None, 0.0, 1.0, -1.0, 127.0, 255.0, -32768.0]),
    seed=st.integers(0, 99),
)
def test_a_valid_number_never_becomes_nodata_and_an_invalid_one_always_does(
    dtype: str, nodata: float | None, seed: int
) -> None:
    kind = np.dtype(dtype)
    if nodata is not None and kind.kind in "iu":
        info = np.iinfo(kind)
        if not info.min <= nodata <= info.max:
            nodata = None
    random = np.random.default_rng(seed)
    values = random.normal(0, 200, 50).astype(np.float32).round(1)
    values[:3] = [0.0, -1.0, 1.0]
    valid = random.random(50) > 0.3
    stored = StoredNumbers(dtype=kind, nodata=nodata)
    numbers = quantise(values, valid, stored).numbers
    assert numbers.dtype == kind
    if nodata is not None:
        np.testing.assert_array_equal(numbers == nodata, ~valid)
    elif kind.kind == "f":
        np.testing.assert_array_equal(np.isnan(numbers), ~valid)
    if kind.kind != "f":
        low, high = storable_range(stored)
        nearest = np.clip(np.rint(values[valid].astype(np.float64)), low, high)
        assert (np.abs(numbers[valid] - nearest) <= (1 if nodata is not None else 0)).all()


@pytest.mark.parametrize("dtype", INTEGERS)
def test_what_does_not_fit_is_clipped_and_counted(dtype: str) -> None:
    info = np.iinfo(dtype)
    values = np.array([info.min - 900.0, 5, info.max + 900.0, info.max + 900.0], np.float32)
    valid = np.array([True, True, True, False])
    done = quantise(values, valid, StoredNumbers(dtype=np.dtype(dtype)))
    assert done.numbers.tolist() == [info.min, 5, info.max, 0]
    assert done.moved == 2


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("nodata", [None, 0.0, 5.0])
def test_integers_of_the_type_keep_apart_from_nodata(dtype: str, nodata: float | None) -> None:
    stored = StoredNumbers(dtype=np.dtype(dtype), nodata=nodata)
    low, high = storable_range(stored)
    numbers = np.array([low, 4, 5, high, 9], dtype)
    valid = np.array([True, True, True, True, False])
    wanted = quantise(numbers.astype(np.float64), valid, stored)
    done = quantise(numbers.copy(), valid, stored)
    assert done.numbers.dtype == np.dtype(dtype)
    assert done.numbers.tolist() == wanted.numbers.tolist()
    assert done.moved == wanted.moved


def test_64_bit_integers_hold_their_largest_number() -> None:
    values = np.array([1e30, -1e30, 7], np.float32)
    done = quantise(values, np.ones(3, np.bool_), StoredNumbers(dtype=np.dtype("int64")))
    info = np.iinfo("int64")
    assert done.numbers.tolist() == [info.max, info.min, 7]
    assert done.moved == 2


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64", "float16", "float32", "float64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_stored_only_where_there_is_no_data(dtype: str, bad: float) -> None:
    values, valid = np.array([3.0, bad], np.float32), np.array([True, False])
    stored = StoredNumbers(dtype=np.dtype(dtype), nodata=7)
    assert quantise(values, valid, stored).numbers.tolist() == [3, 7]
    with pytest.raises(FloatingPointError, match="a valid value is not finite"):
        quantise(values, np.ones(2, np.bool_), stored)
