"""The corpus of ENVI headers: right readings, held against GDAL and SPy where they are right."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import rasterio
import spectral.io.envi
from rasterio.crs import CRS

from hsisr.errors import HsisrWarning
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.io.open import open_scene
from hsisr.scene.metadata import SceneMetadata
from tests.io.envi_headers import BANDS, PLACES, Header

SIZES = (
    "ENVI\nsamples = 8\nlines = 6\nbands = 4\nheader offset = 0\nfile type = ENVI Standard\n"
    "data type = 2\ninterleave = bsq\nbyte order = 0\n"
)


def each(headers: Sequence[Header]) -> pytest.MarkDecorator:
    """The test for each header, and the file it is written to."""
    return pytest.mark.parametrize(
        ("header", "written"),
        [(header, header) for header in headers],
        indirect=["written"],
        ids=[header.name for header in headers],
    )


@pytest.fixture
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "x.img").write_bytes(bytes(8 * 6 * 4 * 2))
    (tmp_path / "x.hdr").write_text(f"{SIZES}{request.param.lines}\n", encoding="utf-8")
    return tmp_path / "x.hdr"


def read(path: Path, warns: str) -> SceneMetadata:
    if warns:
        with pytest.warns(HsisrWarning, match=warns), open_scene(path) as scene:
            return scene.metadata
    with open_scene(path) as scene:
        return scene.metadata


def corners(transform: Any) -> list[Any]:
    return [transform @ (0, 0), transform @ (8, 6)]


@each(PLACES)
def test_the_place_is_the_right_one(header: Header, written: Path) -> None:
    assert header.place is not None
    epsg, first, last = header.place
    place = read(written, header.warns).georeference
    assert (place.crs_wkt and CRS.from_wkt(place.crs_wkt).to_epsg(confidence_threshold=20)) == epsg
    if first is None:
        assert place.transform is None
        return
    assert corners(place.transform) == [pytest.approx(first), pytest.approx(last)]


@each(PLACES)
def test_gdal_reads_the_same_place_save_where_the_corpus_says_how_it_differs(
    header: Header, written: Path
) -> None:
    assert header.place is not None
    with warnings.catch_warnings(), gdal_env():
        warnings.simplefilter("ignore")
        with rasterio.open(written.with_suffix(".img")) as dataset:
            found = corners(dataset.transform)
            epsg = dataset.crs.to_epsg(confidence_threshold=20) if dataset.crs else None
            engineering = bool(dataset.crs) and dataset.crs.to_wkt().startswith("LOCAL_CS")
    code, first, last = header.place
    same = first is not None and found == [pytest.approx(first), pytest.approx(last)]
    assert (same and epsg == code and not engineering) is not bool(header.gdal)


@each(BANDS)
def test_fields_of_the_bands_are_read(header: Header, written: Path) -> None:
    meta = read(written, header.warns)
    for name, value in header.bands.items():
        where = meta.stored if hasattr(meta.stored, name) else meta.spectral_axis
        assert getattr(where, name) == value


@each([header for header in BANDS if header.bands.get("wavelengths_nm")])
def test_spy_reads_the_same_wavelengths_save_where_the_corpus_says_how_it_differs(
    header: Header, written: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            centres = spectral.io.envi.open(written).bands.centers or []
        except Exception:  # noqa: BLE001 - whatever SPy stumbles over
            centres = []
    factor = 1000 if centres and centres[0] < 100 else 1
    same = [centre * factor for centre in centres] == pytest.approx(
        list(header.bands["wavelengths_nm"])
    )
    assert same is not bool(header.spy)
