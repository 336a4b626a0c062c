"""Rows, columns and bands are told apart by names, wavelengths and shape, or not at all."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from hsisr.errors import HsisrWarning, InputDataError
from hsisr.io.arrays.axes import named_order, warn_if_unlikely
from hsisr.io.open import open_scene
from tests.io.zarr_stores import write_store
from tests.scenes import numbered

VALUES = numbered(4, 6, 8, "int16")


@pytest.mark.parametrize(
    ("names", "shape", "spectral", "order"),
    [
        (("downtrack", "crosstrack", "bands"), (6, 8, 4), None, "rcb"),  # EMIT
        (("lines", "samples", "wl"), (6, 8, 4), None, "rcb"),
        (("number_of_lines", "pixels_per_line", "wavelength_3d"), (6, 8, 4), None, "rcb"),  # PACE
        (("time", "band", "y", "x"), (1, 4, 6, 8), None, "1brc"),
        (("band", "time", "lat", "lon"), (4, 1, 6, 8), None, "b1rc"),
        (("time", "y", "x"), (1, 6, 8), None, "brc"),  # one band
        (("y", "x", "n"), (6, 8, 4), None, "rcb"),
        (("scanline", "ground_pixel", "spectral_channel"), (6, 8, 4), None, "rcb"),  # Sentinel-5P
        (("scanline", "fov", "n"), (6, 8, 4), "n", "rcb"),
        (("along_track_pixel", "cross_track_pixel", "spectral_pixel"), (6, 8, 4), None, "rcb"),
        (("bins_along_track", "bins_across_track", "red_bands"), (6, 8, 4), None, "rcb"),  # PACE
        (("y_dim", "x_index", "band_number"), (6, 8, 4), None, "rcb"),
        (("band_y", "band_x", "n"), (6, 8, 4), None, None),
        (("n", "y", "x"), (4, 6, 8), "n", "brc"),
        (("a", "b", "c"), (6, 8, 4), None, None),
        (("", "", ""), (6, 8, 4), None, None),
        (("dim_0", "dim_1", "n"), (6, 8, 4), "n", None),
        (("time", "y", "x"), (12, 6, 8), None, None),
        (("time", "band", "y", "x"), (2, 4, 6, 8), None, None),
        (("y", "x", "lat"), (6, 8, 4), None, None),
    ],
)
def test_dimension_names_tell_the_order_or_are_refused(
    names: tuple[str, ...], shape: tuple[int, ...], spectral: str | None, order: str | None
) -> None:
    if order is not None:
        assert named_order(names, shape, spectral) == order
        return
    with pytest.raises(InputDataError, match=r"do not tell rows, columns and bands apart.*--axes"):
        named_order(names, shape, spectral)


@pytest.mark.parametrize(
    ("axes", "shape", "warned"),
    [
        ("rcb", (31, 200, 240), "--axes brc"),
        ("rcb", (31, 256, 256), "--axes brc"),
        ("rcb", (31, 1392, 1300), "--axes brc"),
        ("rcb", (189, 50, 50), "--axes brc"),
        ("rcb", (240, 31, 200), "--axes rbc"),  # rows, bands, columns, as BIL has them
        ("brc", (240, 31, 200), "--axes rbc"),
        ("rcb", (242, 100, 1000), "--axes brc"),  # more bands than any sensor has
        ("rcb", (128, 128, 1506), None),  # microscopes
        ("brc", (40, 50, 31), "--axes rcb"),
        ("brc", (512, 512, 31), "--axes rcb"),
        ("brc", (512, 217, 204), "--axes rcb"),  # Salinas, as tifffile writes it
        ("brc", (31, 40, 50), None),
        ("brc", (224, 60, 40), None),
        ("brc", (224, 60, 60), None),
        ("rcb", (145, 145, 200), None),  # Indian Pines
        ("rcb", (83, 86, 204), None),  # Salinas-A
        ("rcb", (250, 191, 224), None),  # Cuprite
        ("rcb", (512, 217, 204), None),  # Salinas
        ("rcb", (1476, 256, 145), None),  # Botswana
    ],
)
def test_a_shape_that_fits_the_other_order_better_is_a_warning(
    axes: str, shape: tuple[int, ...], warned: str | None
) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        warn_if_unlikely(Path("a.npy"), axes, shape)
    assert [w.category for w in heard] == ([HsisrWarning] if warned else [])
    assert not warned or warned in str(heard[0].message)


def test_the_dimension_of_the_wavelengths_tells_the_cube_and_its_bands(tmp_path: Path) -> None:
    path = write_store(
        tmp_path / "a.zarr",
        {
            "angles": (("y", "x", "angle"), np.zeros((6, 8, 3))),
            "cube": (("n", "y", "x"), VALUES),
            "centres": (("n",), [0.4, 0.5, 0.6, 0.7]),
        },
        attributes={"centres": {"standard_name": "radiation_wavelength", "units": "um"}},
    )
    with open_scene(path) as scene:
        np.testing.assert_array_equal(scene.read().values, VALUES)
        assert scene.metadata.spectral_axis.wavelengths_nm == (400.0, 500.0, 600.0, 700.0)


def test_a_single_time_is_no_axis_of_a_scene(tmp_path: Path) -> None:
    path = write_store(
        tmp_path / "a.zarr",
        {
            "cube": (("time", "band", "y", "x"), VALUES[None]),
            "other": (("time", "p", "q", "r"), VALUES.transpose(1, 2, 0)[None]),
        },
    )
    with open_scene(path, variable="cube") as scene:
        np.testing.assert_array_equal(scene.read(bands=[2, 0]).values, VALUES[[2, 0]])
    with pytest.raises(InputDataError, match="--axes"):
        open_scene(path, variable="other")
    with open_scene(path, variable="other", axes="rcb") as scene:
        np.testing.assert_array_equal(scene.read().values, VALUES)
