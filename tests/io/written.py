"""Scenes to write: metadata with every field set, and cubes to go with them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from affine import Affine
from rasterio.crs import CRS

from hsisr.io.base import SceneWriter, TargetOptions
from hsisr.io.write import create_writer
from hsisr.scene.georeference import Georeference, GroundControlPoint
from hsisr.scene.metadata import SceneMetadata, SpectralAxis
from hsisr.scene.quantisation import StoredNumbers

UTM = CRS.from_epsg(32633).to_wkt()
PLACED = Georeference(crs_wkt=UTM, transform=Affine(7.5, 0, 364095, 0, -7.5, 5809965))
TURNED = Georeference(
    crs_wkt=UTM,
    transform=Affine.translation(3e5, 4e6) @ Affine.rotation(27) @ Affine.scale(7.5, -7.5),
)
POINTS = Georeference(
    gcps=tuple(
        GroundControlPoint(row=r, col=c, x=13 + c / 1e3, y=52 - r / 1e3, z=34.0, id=f"p{r}{c}")
        for r in (0, 60)
        for c in (0.5, 40)
    ),
    gcps_crs_wkt=CRS.from_epsg(4326).to_wkt(),
)
RPCS = Georeference(
    rpcs={
        **{
            f"{axis}_{what}": str(number + 0.25)
            for number, axis in enumerate(("LINE", "SAMP", "LAT", "LONG", "HEIGHT"), start=1)
            for what in ("OFF", "SCALE")
        },
        **{
            f"{axis}_{part}_COEFF": " ".join(str(n / 8) for n in range(1, 21))
            for axis in ("LINE", "SAMP")
            for part in ("NUM", "DEN")
        },
    }
)


def metadata_of(
    shape: tuple[int, int, int],
    dtype: str = "uint16",
    *,
    place: Georeference | None = None,
    nodata: float | None = None,
) -> SceneMetadata:
    """A scene of which only the size and the type are known."""
    bands, rows, cols = shape
    return SceneMetadata(
        rows=rows,
        cols=cols,
        stored=StoredNumbers(dtype=np.dtype(dtype), nodata=nodata),
        spectral_axis=SpectralAxis(count=bands),
        georeference=place or Georeference(),
    )


def rich_metadata(
    shape: tuple[int, int, int] = (5, 70, 90),
    *,
    place: Georeference = PLACED,
    unit: str = "Nanometers",
) -> SceneMetadata:
    """A scene of which everything is known."""
    bands = shape[0]
    plain = metadata_of(shape, "int16", place=place)
    return replace(
        plain,
        stored=StoredNumbers(
            dtype=np.dtype("int16"),
            nodata=-32768,
            scales=tuple(1e-4 * (b + 1) for b in range(bands)),
            offsets=tuple(0.5 + b for b in range(bands)),
            units=tuple(f"W{b}" for b in range(bands)),
        ),
        spectral_axis=SpectralAxis(
            count=bands,
            wavelengths_nm=tuple(round(409.42 + 50 * b, 6) for b in range(bands)),
            fwhm_nm=tuple(6.125 + b for b in range(bands)),
            good=tuple(b != 1 for b in range(bands)),
            names=tuple(f"band {b} of many" for b in range(bands)),
            unit=unit,
        ),
        header={
            "acquisition time": "2022-07-24T10:45:26Z",
            "sensor type": "EnMAP",
            "default bands": "{3, 2, 1}",
            "reflectance scale factor": "10000",
            "x start": "17",
            "pixel size": "{30, 30}",
            "description": "{of another file}",
        },
        tags={"HSISR_MODEL": "bicubic", "HSISR_OPTIONS": '{"scale": 4, "more": {"b": [1, 2]}}'},
        band_tags=tuple({"gain_state": f"low{b}"} for b in range(bands)),
    )


def cube_for(metadata: SceneMetadata, seed: int = 0) -> npt.NDArray[Any]:
    """Numbers of the scene's shape and type, none of them nodata."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 100, metadata.shape)
    return numbers.astype(metadata.stored.dtype)


def pieces(
    shape: tuple[int, int, int], bands: int, rows: int, cols: int
) -> Iterator[tuple[slice, slice, slice]]:
    """A cube cut into pieces, bands fastest."""
    for row in range(0, shape[1], rows):
        for col in range(0, shape[2], cols):
            for band in range(0, shape[0], bands):
                yield slice(band, band + bands), slice(row, row + rows), slice(col, col + cols)


def write_in_pieces(
    writer: SceneWriter,
    cube: npt.NDArray[Any],
    *,
    bands: int | None = None,
    rows: int | None = None,
    cols: int | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Write a cube piece by piece; without sizes, in rows of blocks."""
    for b, r, c in pieces(
        (cube.shape[0], cube.shape[1], cube.shape[2]),
        bands or cube.shape[0],
        rows or writer.block_rows,
        cols or cube.shape[2],
    ):
        part = None if mask is None else mask[r, c]
        writer.write(cube[b, r, c], row=r.start, col=c.start, band=b.start, mask=part)


TARGETS: dict[str, dict[str, Any]] = {
    "a.tif": {},
    "cog.tif": {"format": "COG"},
    "a.hdr": {},
    "a.bil": {},
    "a.bip": {},
    "a.mat": {},
    "a73.mat": {"creation_options": {"VERSION": "7.3"}},
    "a.zarr": {},
}
"""A name for each way to write a cube, and the options that go with it."""
EVERY_TARGET = pytest.mark.parametrize("name", TARGETS)


def writer_for(path: Path, metadata: SceneMetadata, **options: Any) -> SceneWriter:
    """A writer with these options and those that go with the name."""
    return create_writer(path, metadata, TargetOptions(**{**TARGETS.get(path.name, {}), **options}))


def write_scene(
    path: Path,
    metadata: SceneMetadata,
    cube: npt.NDArray[Any] | None = None,
    *,
    mask: npt.NDArray[np.bool_] | None = None,
    **options: Any,
) -> npt.NDArray[Any]:
    """Write a scene at once; returns its cube."""
    cube = cube_for(metadata) if cube is None else cube
    with writer_for(path, metadata, masked=mask is not None, **options) as writer:
        writer.write(cube, row=0, col=0, band=0, mask=mask)
    return cube
