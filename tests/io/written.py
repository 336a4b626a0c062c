"""Scenes to write: metadata with every field set, and cubes to go with them."""

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
import zarr
from affine import Affine
from rasterio.crs import CRS

from hsisr.io.base import SceneWriter, TargetOptions
from hsisr.io.write import create_writer
from hsisr.scene.georeference import Georeference, GroundControlPoint
from hsisr.scene.metadata import SceneMetadata, SpectralAxis, StoredNumbers

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


def write_in_pieces(
    writer: SceneWriter, cube: Any, bands: int = 0, rows: int = 0, cols: int = 0, mask: Any = None
) -> None:
    """Write a cube piece by piece; without sizes, in rows of blocks."""
    steps = bands or cube.shape[0], rows or writer.block_rows, cols or cube.shape[2]
    b_at, r_at, c_at = (range(0, n, step) for n, step in zip(cube.shape, steps, strict=True))
    for row, col, band in itertools.product(r_at, c_at, b_at):  # bands fastest
        r, c = slice(row, row + steps[1]), slice(col, col + steps[2])
        part = None if mask is None else mask[r, c]
        writer.write(cube[band : band + steps[0], r, c], row=row, col=col, band=band, mask=part)


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
    return create_writer(path, metadata, TargetOptions(**{**TARGETS.get(path.name, {}), **options}))


def interrupted(path: Path, metadata: SceneMetadata, **options: Any) -> None:
    with writer_for(path, metadata, **options) as writer:
        writer.write(cube_for(metadata), row=0, col=0, band=0)
        raise KeyboardInterrupt("stop")


def lose_the_end(writer: Any, file: str, size: int) -> None:
    """Only so many bytes of what an attribute of a writer closes reach the disk, unnoticed."""
    close = getattr(writer, file).close

    def close_and_cut() -> None:
        close()
        os.truncate(writer._grown, size)

    setattr(writer, file, SimpleNamespace(close=close_and_cut, closed=False))


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


Version = Literal[2, 3]


def write_store(
    path: Path,
    arrays: Mapping[str, tuple[tuple[str, ...], Any]],
    *,
    version: Version = 2,
    attributes: Mapping[str, Mapping[str, Any]] | None = None,
    chunks: tuple[int, ...] | None = None,
) -> Path:
    """A group of arrays, each with the names of its dimensions, the way xarray writes them."""
    group = zarr.create_group(path, zarr_format=version)
    for name, (dimensions, values) in arrays.items():
        numbers = np.asarray(values)
        array = group.create_array(
            name,
            data=numbers,
            chunks=chunks if chunks and numbers.ndim == len(chunks) else "auto",
            dimension_names=dimensions if version == 3 else None,
        )
        own = {"_ARRAY_DIMENSIONS": list(dimensions)} if version == 2 else {}
        array.attrs.update({**own, **(attributes or {}).get(name, {})})
    return path


def edit_json(file: Path, **changes: Any) -> None:
    """Change a metadata file of a store, and forget the copies of it."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    for folder in file.parents:
        (folder / ".zmetadata").unlink(missing_ok=True)
