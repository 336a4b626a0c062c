"""Longitude and latitude of each pixel beside an output whose format has no place for them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsisr.io.base import FileWriter, TargetOptions
from hsisr.io.geotiff.writer import create_geotiff
from hsisr.io.paths import POSITIONS, sibling
from hsisr.scene.georeference import Geolocation
from hsisr.scene.metadata import SceneMetadata, SpectralAxis
from hsisr.scene.quantisation import StoredNumbers


def positions_path(output: Path) -> Path:
    """The file with an output's positions.

    >>> positions_path(Path("finer/scene_x4.tif")).name
    'scene_x4.lonlat.tif'
    """
    return sibling(output, output.stem + POSITIONS)


def writer_with_positions(
    path: Path,
    metadata: SceneMetadata,
    options: TargetOptions,
    create: Callable[[SceneMetadata], FileWriter],
) -> FileWriter:
    """A scene's writer with a GeoTIFF beside it: the bands longitude and latitude (WGS 84).

    Both appear together, the positions first.

    Args:
        path: The target.
        metadata: What it will hold, positions included.
        options: How.
        create: Makes the writer of the target, of its metadata.

    Raises:
        OutputExistsError: Either file exists.
        ResourceError: There is no room, or no permission.
    """
    writer = create(replace(metadata, geolocation=None))
    writer.metadata = metadata
    try:
        if metadata.geolocation is not None:
            grown = writer.companion(positions_path(path))
            _write_positions(grown, metadata.geolocation, metadata, options.threads)
    except BaseException:
        writer.discard()
        raise
    return writer


def _write_positions(
    path: Path, places: Geolocation, metadata: SceneMetadata, threads: int
) -> None:
    degrees = StoredNumbers(dtype=np.dtype(np.float64), nodata=np.nan, units=("degrees",) * 2)
    two = SceneMetadata(
        rows=metadata.rows,
        cols=metadata.cols,
        stored=degrees,
        spectral_axis=SpectralAxis(count=2, names=("longitude", "latitude")),
        georeference=metadata.georeference,
    )
    with create_geotiff(path, two, TargetOptions(threads=threads), (256, 256)) as writer:
        for row in range(0, two.rows, writer.block_rows):
            end = min(row + writer.block_rows, two.rows)
            writer.write(np.stack(places.positions(row, end)), row=row, col=0, band=0)
