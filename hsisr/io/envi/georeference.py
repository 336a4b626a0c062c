"""Where an ENVI scene lies, as GDAL reads it from the header.

GDAL refuses some data files that other software reads, so it is shown a file of one pixel, in
memory, that has the same geographic fields.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from hsisr.errors import InputDataError
from hsisr.io.geotiff.gdal_env import gdal_env
from hsisr.io.geotiff.gdal_metadata import georeference_of
from hsisr.scene.georeference import Georeference

_GEOGRAPHIC: Final = (
    *("map info", "projection info", "coordinate system string"),
    *("geo points", "rpc info"),
)
_ONE_PIXEL: Final = (
    *("ENVI", "samples = 1", "lines = 1", "bands = 1", "header offset = 0", "data type = 1"),
    *("file type = ENVI Standard", "interleave = bsq", "byte order = 0"),
)


def envi_georeference(fields: Mapping[str, str], sidecar: Path | None = None) -> Georeference:
    """The georeference that the fields of a header describe; nothing if they describe none.

    Args:
        fields: The header.
        sidecar: GDAL's `.aux.xml` beside the data file, if there is one; GDAL lets it say more
            than the header.

    Raises:
        InputDataError: GDAL cannot make sense of the geographic fields.
    """
    kept = [f"{key} = {fields[key]}" for key in _GEOGRAPHIC if key in fields]
    if not kept and sidecar is None:
        return Georeference()
    header = "\n".join([*_ONE_PIXEL, *kept, ""]).encode()
    place = {"dirname": f"hsisr-{uuid4().hex}"}
    try:
        with (
            gdal_env(),
            MemoryFile(bytes(64), filename="scene.img", **place) as image,
            MemoryFile(header, filename="scene.hdr", **place),
            _in_memory(sidecar, place),
            image.open(driver="ENVI") as dataset,
        ):
            return georeference_of(dataset)
    except RasterioError as error:
        raise InputDataError(
            f"the header's map info cannot be understood ({error}); correct or remove it"
        ) from error


def _in_memory(sidecar: Path | None, place: Mapping[str, str]) -> AbstractContextManager[Any]:
    if sidecar is None:
        return nullcontext()
    copy: AbstractContextManager[Any] = MemoryFile(
        sidecar.read_bytes(), filename="scene.img.aux.xml", **place
    )
    return copy
