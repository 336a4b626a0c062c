"""Which bytes are the scene: what a file is comes before what lies beside it."""

from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
from affine import Affine

from hsisr.errors import HsisrWarning, InputDataError
from hsisr.io.formats import format_of, gdal_drivers
from hsisr.io.open import find_scenes, open_scene
from tests.program import assert_holds
from tests.scenes import ENVI_AXES, numbered, write_envi, write_geotiff

VALUES = numbered(3, 6, 5, "uint8")
AT = Affine(1.0, 0.0, 13.0, 0.0, -1.0, 52.0)
RASTERS = {
    "s.img": ("HFA", {}),
    "s.pix": ("PCIDSK", {}),
    "s.gpkg": ("GPKG", {"TILE_FORMAT": "PNG"}),
    "s.grd": ("GSBG", {}),
    "s.asc": ("AAIGrid", {}),
    "s.jp2": ("JP2OpenJPEG", {"QUALITY": "100", "REVERSIBLE": "YES"}),
    "s.tif": ("GTiff", {}),
    "s.png": ("PNG", {}),
}


def band_one(folder: Path, name: str) -> Path:
    driver, options = RASTERS[name]
    dtype = "float32" if driver == "GSBG" else "uint8"
    source = write_geotiff(folder / f"source-{driver}.tif", numbered(1, 6, 5, dtype), transform=AT)
    if driver == "GTiff":
        return source.rename(folder / name)
    rasterio.shutil.copy(source, folder / name, driver=driver, **options)
    source.unlink()
    return folder / name


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", RASTERS)
def test_a_header_beside_another_format_does_not_make_it_raw(name: str, tmp_path: Path) -> None:
    path = band_one(tmp_path, name)
    write_envi(tmp_path / "s.hdr", VALUES, data=tmp_path / "s.dat")
    with open_scene(path) as scene:
        assert scene.format == RASTERS[name][0]
        np.testing.assert_array_equal(scene.read().values[0], numbered(1, 6, 5)[0])
    assert_holds(tmp_path / "s.hdr", VALUES)


@pytest.mark.parametrize("size", [1, 500])
def test_of_several_raw_files_that_of_the_right_size_is_taken(size: int, tmp_path: Path) -> None:
    header = write_envi(tmp_path / "s.hdr", VALUES, data=tmp_path / "s.dat")
    (tmp_path / "s.img").write_bytes(bytes(size))
    assert_holds(header, VALUES)
    with pytest.raises(InputDataError, match=r"describes s\.dat, byte by byte, and s\.img holds"):
        open_scene(tmp_path / "s.img")


def test_a_file_with_a_header_of_its_own_belongs_to_no_other(tmp_path: Path) -> None:
    header = write_envi(tmp_path / "s.hdr", VALUES, data=tmp_path / "s.dat")
    write_envi(tmp_path / "s.img.hdr", np.roll(VALUES, 1), data=tmp_path / "s.img")
    for path, values in ((header, VALUES), (tmp_path / "s.img", np.roll(VALUES, 1))):
        assert_holds(path, values)


def test_two_files_that_fit_equally_are_refused_by_name(tmp_path: Path) -> None:
    header = write_envi(tmp_path / "s.hdr", VALUES, data=tmp_path / "s.dat")
    (tmp_path / "s.img").write_bytes((tmp_path / "s.dat").read_bytes())
    with pytest.raises(InputDataError, match=r"found s\.img and s\.dat beside the header"):
        open_scene(header)
    assert_holds(tmp_path / "s.dat", VALUES)


def test_a_longer_data_file_is_a_warning_with_both_sizes(tmp_path: Path) -> None:
    header = write_envi(tmp_path / "s.hdr", VALUES)
    with (tmp_path / "s.img").open("ab") as file:
        file.write(bytes(7))
    with (
        pytest.warns(HsisrWarning, match=r"promises 90 bytes .* but s\.img holds 97"),
        open_scene(header) as scene,
    ):
        np.testing.assert_array_equal(scene.read().values, VALUES)


def test_numbers_of_another_type_than_the_header_says_are_refused(tmp_path: Path) -> None:
    values = VALUES.astype("float32")
    header = write_envi(tmp_path / "s.hdr", values, {"data type": "2"})
    with pytest.raises(InputDataError, match=r"4 bytes for every number.*expected 3 .* 4 \(float"):
        open_scene(header)


@pytest.mark.parametrize(
    ("dtype", "code", "better"),
    [("float32", 3, "4"), ("float32", 13, "4"), ("float64", 14, "5"), ("int32", 4, "3 .* 13")],
)
def test_numbers_of_another_type_as_long_as_the_headers_are_a_warning(
    dtype: str, code: int, better: str, tmp_path: Path
) -> None:
    values = (VALUES + 1).astype(dtype) * np.dtype(dtype).type(1 if dtype == "int32" else 0.01)
    open_scene(write_envi(tmp_path / "s.hdr", values)).close()
    header = write_envi(tmp_path / "s.hdr", values, {"data type": str(code)})
    with pytest.warns(HsisrWarning, match=rf"data type = {code} .* those of {better} \("):
        open_scene(header).close()


ESRI = "NROWS 6\nNCOLS 5\nNBANDS 3\nNBITS 8\nLAYOUT {}\nBYTEORDER I\nXDIM 30\nYDIM 30\n"


@pytest.mark.parametrize("layout", ENVI_AXES)
def test_esri_headers_are_read_from_either_side(layout: str, tmp_path: Path) -> None:
    data = tmp_path / f"s.{layout}"
    data.write_bytes(VALUES.transpose(ENVI_AXES[layout]).tobytes())
    (tmp_path / "s.hdr").write_text(ESRI.format(layout.upper()))
    for path in (data, tmp_path / "s.hdr"):
        with open_scene(path) as scene:
            assert scene.path == path
            np.testing.assert_array_equal(scene.read().values, VALUES)
    assert find_scenes(tmp_path) == [tmp_path / "s.hdr"]


@pytest.mark.parametrize(
    ("more", "size", "words"),
    [
        ("", 80, "promises 90 bytes, but s.bil holds 80; the file is truncated"),
        ("TOTALROWBYTES 20\n", 120, "gaps between rows or bands cannot be read"),
        ("SKIPBYTES 4\n", 90, "promises 94 bytes"),
    ],
)
def test_numbers_that_gdal_would_read_wrongly_under_an_esri_header_are_refused(
    more: str, size: int, words: str, tmp_path: Path
) -> None:
    (tmp_path / "s.hdr").write_text(ESRI.format("BIL") + more)
    (tmp_path / "s.bil").write_bytes(bytes(size))
    with pytest.raises(InputDataError, match=words):
        open_scene(tmp_path / "s.bil")


def test_what_an_esri_header_does_not_say_is_told(tmp_path: Path) -> None:
    text = ESRI.format("BIL").replace("NBITS 8", "NBITS 16").replace("BYTEORDER I\n", "")
    (tmp_path / "s.hdr").write_text(text)
    (tmp_path / "s.bil").write_bytes(bytes(200))
    with pytest.warns(HsisrWarning, match=r"holds 200; what follows|no BYTEORDER; read as M") as w:
        open_scene(tmp_path / "s.hdr").close()
    assert len(w) == 2


VRT = (
    '<VRTDataset rasterXSize="5" rasterYSize="6"><VRTRasterBand dataType="Byte" band="1">'
    "<SimpleSource><SourceFilename>{}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
    "</VRTRasterBand></VRTDataset>"
)
LABELS = {
    "VRT": VRT.format("secret.raw"),
    "PDS": 'PDS_VERSION_ID = PDS3\nRECORD_BYTES = 5\n^IMAGE = "secret.raw"\nOBJECT = IMAGE\n'
    "LINES = 6\nLINE_SAMPLES = 5\nSAMPLE_TYPE = UNSIGNED_INTEGER\nSAMPLE_BITS = 8\n"
    "END_OBJECT\nEND\n",
    "ISIS3": "Object = IsisCube\nObject = Core\n^Core = secret.raw\nEND_OBJECT\nEnd\n",
    "ERS": 'DatasetHeader Begin\nDataFile = "secret.raw"\nDataSetType = ERStorage\n'
    "RasterInfo Begin\nCellType = Unsigned8BitInteger\nNrOfLines = 6\nNrOfCellsPerLine = 5\n"
    "NrOfBands = 1\nRasterInfo End\nDatasetHeader End\n",
    "STACIT": '{"stac_version": "1.0.0", "type": "FeatureCollection", "features": []}',
}


@pytest.mark.parametrize("name", ["scene.tif", "scene.img", "scene"])
@pytest.mark.parametrize("label", LABELS)
def test_a_label_that_names_other_files_is_no_scene(label: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(VALUES[0].tobytes())
    (tmp_path / name).write_text(LABELS[label])
    with pytest.raises(InputDataError, match=r"not a scene|no header|a text of (JSON|XML)"):
        open_scene(tmp_path / name)


@pytest.mark.parametrize("name", ["s.tif.msk", "s.tif.ovr", "s.tif.MSK", "s.img.msk"])
def test_masks_and_overviews_are_tiffs(name: str, tmp_path: Path) -> None:
    write_geotiff(tmp_path / "s.tif", VALUES)
    write_envi(tmp_path / "s.hdr", VALUES)
    (tmp_path / name).write_text(VRT.format("/etc/hostname"))
    with pytest.raises(InputDataError, match=r"is no TIFF|a text of XML"):
        open_scene(tmp_path / ("s.tif" if name.startswith("s.tif") else "s.hdr"))


def test_only_a_name_in_vrt_may_be_one(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "s.tif", VALUES)
    path = tmp_path / "s.vrt"
    path.write_text(VRT.format(tmp_path / "s.tif"))
    assert_holds(path, VALUES[:1])
    assert gdal_drivers(path) == ("VRT",)
    assert gdal_drivers(path.rename(tmp_path / "s.png")) == ()
    assert format_of(tmp_path / "s.tif").drivers == ("GTiff",)
