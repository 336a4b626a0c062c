"""What GDAL makes of fields of an ENVI header, shown as those of a file of one pixel in memory.

GDAL refuses some data files that other software reads, so it never sees the data.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from hsisr.errors import InputDataError
from hsisr.io.geotiff.gdal import gdal_env
from hsisr.io.geotiff.tags import georeference_of
from hsisr.scene.georeference import Georeference

_ONE_PIXEL: Final = (
    *("ENVI", "samples = 1", "lines = 1", "header offset = 0", "byte order = 0"),
    *("file type = ENVI Standard", "interleave = bsq"),
)


def by_gdal(fields: Mapping[str, str], sidecar: Path | None = None) -> Georeference:
    """What GDAL makes of header fields, and of its sidecar.

    Raises:
        InputDataError: It cannot make sense of geo points or RPC.
    """
    try:
        with one_pixel(fields, sidecar) as dataset:
            return georeference_of(dataset)
    except RasterioError as error:
        raise InputDataError(
            f"the header's place cannot be understood ({error}); correct or remove it"
        ) from error


@contextmanager
def one_pixel(
    fields: Mapping[str, str], sidecar: Path | None, bands: int = 1, code: str = "1"
) -> Iterator[Any]:
    """An ENVI file of one pixel in memory with these fields and this sidecar, opened by GDAL.

    `code` is ENVI's number for the data type.
    """
    lines = [f"data type = {code}", *(f"{key} = {text}" for key, text in fields.items())]
    header = "\n".join([*_ONE_PIXEL, f"bands = {bands}", *lines, ""]).encode()
    place = {"dirname": f"hsisr-{uuid4().hex}"}
    with (
        gdal_env(),
        MemoryFile(bytes(64 + 16 * bands), filename="scene.img", **place) as image,
        MemoryFile(header, filename="scene.hdr", **place),
        _in_memory(sidecar, place),
        image.open(driver="ENVI") as dataset,
    ):
        yield dataset


def _in_memory(sidecar: Path | None, place: Mapping[str, str]) -> AbstractContextManager[Any]:
    if sidecar is None:
        return nullcontext()
    copy: AbstractContextManager[Any] = MemoryFile(
        sidecar.read_bytes(), filename="scene.img.aux.xml", **place
    )
    return copy
