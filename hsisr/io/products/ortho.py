"""Outputs of scenes in sensor geometry: positions of pixels beside them, or on a map grid.

Longitude and latitude of each pixel lie beside an output whose format has no place for them.

With a lookup table an output can be on its map grid: it is first made in sensor geometry, in a
temporary file. Then each pixel of the map grid takes the number of the sensor pixel whose centre is
nearest to its own: the lookup table of the product says near which pixels of the observed scene to
look, and at pixels that it leaves empty there is no data. Distances are those in longitude and
latitude, longitudes shortened by the cosine of the scene's mean latitude.
"""

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from affine import Affine

from hsisr.errors import UsageError
from hsisr.io.arrays.axes import cut
from hsisr.io.arrays.raw import RawFile
from hsisr.io.atomic import require_room
from hsisr.io.base import FileWriter, SceneWriter, TargetOptions
from hsisr.io.geotiff.writer import GeoTiffWriter
from hsisr.io.paths import POSITIONS, sibling
from hsisr.scene.georeference import Geolocation, Georeference, LookupTable
from hsisr.scene.metadata import SceneMetadata, SpectralAxis, StoredNumbers
from hsisr.tiling import Window


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

    Both appear together, the positions first; `create` makes the writer of the target. Raises as
    `FileWriter` does, for either file.
    """
    writer = create(replace(metadata, geolocation=None))
    writer.metadata = metadata
    try:
        if metadata.geolocation is not None and not options.dry:
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
    with GeoTiffWriter(path, two, TargetOptions(threads=threads), (256, 256)) as writer:
        for row in range(0, two.rows, writer.block_rows):
            end = min(row + writer.block_rows, two.rows)
            writer.write(np.stack(places.positions(row, end)), row=row, col=0, band=0)


_REACH: Final = 2
"""Observed pixels around those that the table names, among which the nearest centre is looked for:
the table was made for pixels `scale` times as large, whose centres lie up to half of one away."""
_READ_BYTES: Final = 48 * 2**20
"""Of the temporary file, as much is read at once."""


def ortho_metadata(metadata: SceneMetadata) -> SceneMetadata:
    """The same scene on the map grid of its lookup table; UsageError: it has none."""
    places, table = located(metadata, "--ortho")
    scale, (rows, cols) = places.scale, table.rows.shape
    grid = Georeference(crs_wkt=table.crs_wkt, transform=table.transform).finer(scale)
    return replace(
        metadata, rows=rows * scale, cols=cols * scale, georeference=grid, geolocation=None
    )


def located(metadata: SceneMetadata, option: str) -> tuple[Geolocation, LookupTable]:
    """Positions of pixels and the lookup table, which `option` needs; UsageError: there is none."""
    places = metadata.geolocation
    if places is None or places.table is None:
        raise UsageError(
            f"{option} needs the lookup table (GLT) of a product in sensor geometry, as EMIT has "
            "it; leave it out"
        )
    return places, places.table


class OrthoWriter(FileWriter):
    """Takes a scene in sensor geometry, and writes it on the map grid when all of it is there.

    `create` makes the writer of the target for the metadata on the map grid; of a mask nothing is
    kept, since nodata says it.

    Raises as `FileWriter` does, and UsageError without a lookup table, or if invalid pixels could
    not be told.
    """

    replaceable = staticmethod(lambda path: True)  # noqa: ARG005 - checked before

    def __init__(
        self,
        path: Path,
        metadata: SceneMetadata,
        options: TargetOptions,
        create: Callable[[SceneMetadata], SceneWriter],
    ) -> None:
        self._target, self._create = ortho_metadata(metadata), create
        self._located = located(metadata, "--ortho")
        if metadata.stored.nodata is None and metadata.stored.dtype.kind != "f":
            raise UsageError("--ortho needs a nodata value for pixels that the sensor did not see")
        super().__init__(path, metadata, options)
        if options.dry:
            create(self._target)

    def _open(self) -> None:
        shape, dtype = self.metadata.shape, self.metadata.stored.dtype
        require_room(self._place.folder, self.path, math.prod(shape) * dtype.itemsize)
        self._file = self._held.enter_context(closing(RawFile(self._grown, shape, dtype)))

    def _put(self, numbers: npt.NDArray[Any], band: int, row: int, col: int) -> None:
        self._file.write(numbers, row=row, col=col, band=band)

    def commit(self) -> Path:
        """See `SceneWriter.commit`; the target's own writer puts the map into its place."""
        try:
            self._finish()
        finally:
            self.discard()
        return self.path

    def _finish(self) -> tuple[()]:
        """Gather block by block."""
        self._file.close()
        with self._create(self._target) as writer:
            for window in _blocks(self._target, writer):
                numbers = self._gathered(window)
                writer.write(numbers, row=window.row, col=window.col, band=0)
        self.path = writer.path
        return ()

    def _gathered(self, window: Window) -> npt.NDArray[Any]:
        """The map's numbers in a window, shape (bands, rows, cols)."""
        bands, stored = self.metadata.bands, self.metadata.stored
        empty = np.nan if stored.nodata is None else stored.nodata
        found = np.full((bands, window.rows, window.cols), empty, stored.dtype)
        nearest = nearest_pixels(*self._located, window)
        if nearest is None:
            return found
        seen, rows, cols = nearest
        top, left = int(rows.min()), int(cols.min())
        part = Window(top, left, int(rows.max()) + 1 - top, int(cols.max()) + 1 - left)
        step = max(1, _READ_BYTES // (part.rows * part.cols * stored.dtype.itemsize))
        for band in range(0, bands, step):
            own = range(band, min(band + step, bands))
            values = cut(self._file.numbers, "brc", part, own)
            found[own.start : own.stop][:, seen] = values[:, rows - top, cols - left]
        return found


def nearest_pixels(
    places: Geolocation, table: LookupTable, window: Window
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp], npt.NDArray[np.intp]] | None:
    """For pixels of a window of the finer map grid, the finer sensor pixels nearest to them.

    The finer grid has `places.scale` pixels along a side for each of the table's.

    Returns:
        Where the sensor saw something, shape (rows, cols); the sensor's row and column of each of
        these pixels, in row order. None where it saw nothing at all.
    """
    from scipy.spatial import cKDTree  # late: only --ortho needs it

    scale = places.scale
    rows, cols = (np.arange(window.row, window.row_end), np.arange(window.col, window.col_end))
    own = np.ix_(rows // scale, cols // scale)
    named_rows, named_cols = np.abs(table.rows[own]), np.abs(table.cols[own])
    seen = (named_rows > 0) & (named_cols > 0)
    if not seen.any():
        return None
    sides = [
        (max(0, int(n.min()) - 1 - _REACH) * scale, min(size, (int(n.max()) + _REACH) * scale))
        for n, size in zip((named_rows[seen], named_cols[seen]), places.shape, strict=True)
    ]
    (top, bottom), (left, right) = sides
    points = _plane(places, *places.positions(top, bottom, left, right)).reshape(-1, 2)
    known = np.flatnonzero(np.isfinite(points).all(axis=1))
    grid: Any = table.transform @ Affine.scale(1 / scale)  # takes arrays too
    x, y = grid @ np.meshgrid(cols + 0.5, rows + 0.5)
    _, nearest = cKDTree(points[known]).query(_plane(places, x[seen], y[seen]))
    inside = np.unravel_index(known[nearest], (bottom - top, right - left))
    return seen, inside[0] + top, inside[1] + left


def _plane(
    places: Geolocation, longitude: npt.NDArray[np.float64], latitude: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Degrees, longitudes counted from the middle of the scene and shortened."""
    middle = float(np.nanmean(places.latitude))
    first = float(places.longitude.flat[np.isfinite(places.longitude).argmax()])
    turned = (longitude - first + 180) % 360 - 180
    return np.stack([turned * np.cos(np.deg2rad(middle)), latitude], axis=-1)


def _blocks(metadata: SceneMetadata, writer: SceneWriter) -> list[Window]:
    """Windows that are whole blocks of the file, about as large as 256 pixels square."""
    high, wide = (max(side, 256 // side * side) for side in (writer.block_rows, writer.block_cols))
    return [
        Window(row, col, min(high, metadata.rows - row), min(wide, metadata.cols - col))
        for row in range(0, metadata.rows, high)
        for col in range(0, metadata.cols, wide)
    ]
