"""Longitude and latitude of each pixel beside an output whose format has no place for them."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import HsisrWarning
from hsisr.io.atomic import refuse_existing
from hsisr.io.base import SceneWriter, TargetOptions
from hsisr.io.paths import RemotePath, sibling
from hsisr.scene.metadata import SceneMetadata
from hsisr.scene.quantisation import StoredNumbers
from hsisr.scene.spectral_axis import SpectralAxis

SUFFIX: Final = ".lonlat.tif"


def positions_path(output: Path) -> Path:
    """The file with an output's positions.

    >>> positions_path(Path("finer/scene_x4.tif")).name
    'scene_x4.lonlat.tif'
    """
    return sibling(output, output.stem + SUFFIX)


class WriterWithPositions(SceneWriter):
    """Writes a scene, and beside it a GeoTIFF with the bands longitude and latitude (WGS 84).

    The positions appear first, so that a finished output has them.

    Args:
        path: The target.
        metadata: What it will hold, positions included.
        create: Makes the writer of a file: of its path, metadata and options.
        options: How.

    Raises:
        OutputExistsError: Either file exists.
    """

    def __init__(
        self,
        path: Path,
        metadata: SceneMetadata,
        create: Callable[[Path, SceneMetadata, TargetOptions], SceneWriter],
        options: TargetOptions,
    ) -> None:
        self._positions = metadata, positions_path(path)
        self._create, self._options = create, options
        if isinstance(path, RemotePath):
            warnings.warn(
                f"{path.name}: the longitude and latitude of each pixel are not sent; name a .nc "
                "output, which holds them itself",
                HsisrWarning,
                stacklevel=3,
            )
        else:
            refuse_existing((self._positions[1],), overwrite=options.overwrite)
        self._writer = create(path, replace(metadata, geolocation=None), options)
        self.path, self.metadata = self._writer.path, metadata
        self.block_rows, self.block_cols = self._writer.block_rows, self._writer.block_cols

    def write(
        self,
        numbers: npt.NDArray[Any],
        *,
        row: int,
        col: int,
        band: int,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """See `SceneWriter.write`."""
        self._writer.write(numbers, row=row, col=col, band=band, mask=mask)

    def companion(self, target: Path) -> Path:
        """See `SceneWriter.companion`."""
        return self._writer.companion(target)

    def commit(self) -> Path:
        """Write the positions, then commit the scene."""
        try:
            if not isinstance(self.path, RemotePath):
                self._write_positions()
        except BaseException:
            self._writer.discard()
            raise
        return self._writer.commit()

    def discard(self) -> None:
        """See `SceneWriter.discard`."""
        self._writer.discard()

    def _write_positions(self) -> None:
        metadata, path = self._positions
        places = metadata.geolocation
        if places is None:
            return
        two = SceneMetadata(
            rows=metadata.rows,
            cols=metadata.cols,
            stored=StoredNumbers(
                dtype=np.dtype(np.float64), nodata=np.nan, units=("degrees", "degrees")
            ),
            spectral_axis=SpectralAxis(count=2, names=("longitude", "latitude")),
            georeference=metadata.georeference,
        )
        options = TargetOptions(
            format="GTiff", overwrite=self._options.overwrite, threads=self._options.threads
        )
        with self._create(path, two, options) as writer:
            for row in range(0, two.rows, writer.block_rows):
                end = min(row + writer.block_rows, two.rows)
                writer.write(np.stack(places.positions(row, end)), row=row, col=0, band=0)
