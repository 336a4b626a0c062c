"""`degrade` on files: values, grid and spectra; invalid pixels; what does not divide."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio

from hsisr.commands import degrade as room
from hsisr.commands.degrade import degrade
from hsisr.commands.options import DegradeOptions
from hsisr.degradation import DEGRADATIONS
from hsisr.errors import InputDataError
from hsisr.io.open import open_scene
from tests.scenes import counts, write_tif


@pytest.mark.parametrize("method", sorted(DEGRADATIONS))
@pytest.mark.parametrize("chunk", [1, 2**26])
def test_the_file_holds_the_degraded_array(
    tmp_path: Path, method: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CHUNK_BYTES", chunk)
    hr = counts(3, 48, 40)
    source = write_tif(tmp_path / "hr.tif", hr)
    result = degrade(source, tmp_path / "lr.tif", DegradeOptions(scale=4, method=method))
    expected = DEGRADATIONS[method](hr, 4)
    with rasterio.open(result.output) as lr:
        np.testing.assert_array_equal(lr.read(), np.rint(expected))
        assert lr.dtypes == ("uint16",) * 3
    assert result.output_shape == (3, 12, 10)
    assert result.moved_values == 0


def test_ground_and_spectra_are_kept(tmp_path: Path) -> None:
    source = write_tif(tmp_path / "hr.tif", counts(3, 24, 16), nodata=0, bad=(1,))
    degrade(source, tmp_path / "lr.tif", DegradeOptions(scale=8))
    with closing(open_scene(source)) as hr, closing(open_scene(tmp_path / "lr.tif")) as lr:
        assert lr.metadata.spectral_axis == hr.metadata.spectral_axis
        assert lr.metadata.stored == hr.metadata.stored
    with rasterio.open(source) as hr, rasterio.open(tmp_path / "lr.tif") as lr:
        assert lr.crs == hr.crs
        assert lr.bounds == hr.bounds
        assert lr.res == (240, 240)
        assert lr.tags()["HSISR_DEGRADATION"] == '{"scale": 8, "method": "area"}'


def test_a_pixel_is_valid_where_its_whole_block_is(tmp_path: Path) -> None:
    hr = counts(2, 8, 8)
    hr[0, 1, 5] = 0
    source = write_tif(tmp_path / "hr.tif", hr, nodata=0)
    degrade(source, tmp_path / "lr.tif", DegradeOptions(scale=4, method="bicubic"))
    with rasterio.open(tmp_path / "lr.tif") as lr:
        assert (lr.read() == 0).tolist() == [
            [[False, True], [False, False]],
            [[False, False], [False, False]],
        ]


def test_sides_that_do_not_divide_are_refused_or_cropped(tmp_path: Path) -> None:
    hr = counts(1, 21, 18)
    source, output = write_tif(tmp_path / "hr.tif", hr), tmp_path / "lr.tif"
    with pytest.raises(InputDataError, match=r"found 21 x 18 pixels.*--crop keeps the first 20 x"):
        degrade(source, output)
    assert not output.exists()
    result = degrade(source, output, DegradeOptions(crop=True))
    assert result.cropped == (1, 2)
    with rasterio.open(output) as lr, rasterio.open(source) as whole:
        np.testing.assert_array_equal(lr.read(), np.rint(DEGRADATIONS["area"](hr[:, :20, :16], 4)))
        assert (lr.transform.c, lr.transform.f) == (whole.transform.c, whole.transform.f)
