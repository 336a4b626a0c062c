"""Opening a scene, or a part of it, by the row of its format; which files belong to one."""

import math
import re
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from hsisr.errors import InputDataError, ResourceError, UsageError, about_scene, warn_of_scene
from hsisr.io.base import Scene
from hsisr.io.formats import ROWS, SIDECARS, format_by_suffix, format_of, is_format_name
from hsisr.io.geotiff.gdal import crs_name, known_crs, parsed_crs
from hsisr.io.geotiff.reader import is_tiff_stack
from hsisr.io.paths import POSITIONS, RemotePath, is_envi_header, is_utf8, scene_path
from hsisr.io.spectral import said_bands, usable
from hsisr.io.views import DelegatingScene, DescribedScene, usable_numbers
from hsisr.option import ranges_of
from hsisr.scene.georeference import Georeference, plain_rpcs
from hsisr.scene.metadata import SceneMetadata
from hsisr.tiling import Window


def open_scene(
    path: str | Path,
    *,
    variable: str | None = None,
    axes: str | None = None,
    nodata: float | str | None = None,
) -> Scene:
    """Open a scene for reading by windows.

    Formats are the rows of `hsisr.io.formats`: GeoTIFF, COG, BigTIFF and TIFF stacks; ENVI, by
    header or data file; folders of single-band images; MATLAB 5 and 7.3; NumPy `.npy`; Zarr
    stores; netCDF-4, HDF5 and the products in them; and further rasters that GDAL reads.

    Args:
        path: A file, a folder of single-band images, or a Zarr store, by its name or its URL; or
            a name in one of GDAL's virtual file systems.
        variable: For MATLAB, netCDF and HDF5 files and Zarr stores, the name of the cube.
        axes: For MATLAB, NumPy, netCDF and HDF5 files, Zarr stores and TIFF stacks, the order of
            the cube's axes: the letters r, c and b, for example "rcb" for (rows, cols, bands).
        nodata: The number that means no data, or "none", whatever the file says.

    Raises:
        InputDataError: The scene cannot be read as it is; the message names the path.
        UsageError: `variable` or `axes` does not fit the file, or `nodata` is no number.
        ResourceError: A scene that is read as a whole does not fit into memory.

    Example:
        >>> from hsisr import open_scene
        >>> with open_scene("scene.hdr") as scene:  # doctest: +SKIP
        ...     spectrum = scene.read(Window(10, 20, 1, 1)).values[:, 0, 0]
    """
    path = scene_path(path)
    try:
        with about_scene(path):
            if isinstance(path, RemotePath):
                from hsisr.io.remote.scene import open_remote

                scene = open_remote(path, _open_local, variable=variable, axes=axes)
            else:
                scene = _open_local(path, variable, axes)
            return _with_usable_fields(scene, nodata)
    except (InputDataError, UsageError, ResourceError) as error:
        raise type(error)(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error


class ReadOptions(Protocol):
    """What the options of every command say of a scene that is read."""

    @property
    def variable(self) -> str | None:
        """Name of the cube."""

    @property
    def axes(self) -> str | None:
        """Order of its axes."""

    @property
    def nodata(self) -> str | None:
        """Number that means no data, or none."""


def open_with(path: str | Path, options: ReadOptions, *, all_bands: bool = False) -> Scene:
    """`open_scene` with the options of a command: a part of the scene, what its item says.

    With `all_bands` the caller chooses among the bands.
    """
    scene = open_scene(path, variable=options.variable, axes=options.axes, nodata=options.nodata)
    return part_of(scene, options, all_bands=all_bands)


def part_of(scene: Scene, options: object, *, all_bands: bool = False) -> Scene:
    """The part of a scene that `window`, `bbox`, `bands` or `wavelengths` of options name, if any.

    `item_bands` of the options, if any, say of the scene what its file does not.

    Raises:
        InputDataError: The scene has no such part; it is closed then.
    """
    if of_item := getattr(options, "item_bands", ()):
        from hsisr.io.stac.bands import with_bands_of_item

        by_item = getattr(options, "nodata", None) is None
        scene = with_bands_of_item(scene, of_item, nodata=by_item)
    window, bbox, bands, wavelengths = (
        getattr(options, name, None) for name in ("window", "bbox", "bands", "wavelengths")
    )
    try:
        if window is not None or bbox is not None:
            own = window_of_bbox(scene, bbox) if bbox is not None else Window(*(window or ()))
            scene = PartScene(scene, own)
        if not all_bands and (bands, wavelengths) != (None, None):
            scene = PartScene(scene, bands=chosen_bands(scene, bands, wavelengths))
    except (InputDataError, UsageError):
        scene.close()
        raise
    return scene


class PartScene(DelegatingScene):
    """A window of a scene, and the 0-based bands, in this order, at their place on the ground.

    What lies around the window can still be read, and `whole` has all bands.

    Raises:
        InputDataError: The window reaches beyond the scene.
    """

    def __init__(
        self, scene: Scene, window: Window | None = None, bands: Sequence[int] | None = None
    ) -> None:
        super().__init__(scene)
        meta = scene.metadata
        self._bands = tuple(range(meta.bands) if bands is None else bands)
        self._window = own = window or Window(0, 0, meta.rows, meta.cols)
        if not (
            0 <= own.row < own.row_end <= meta.rows and 0 <= own.col < own.col_end <= meta.cols
        ):
            raise InputDataError(
                f"{scene.path}: found {meta.rows} x {meta.cols} pixels, expected a window inside "
                f"them, not {own.rows} x {own.cols} pixels from row {own.row}, column {own.col}"
            )
        if window is not None:
            place, swath = meta.georeference.shifted(window.row, window.col), meta.geolocation
            if swath is not None:
                swath = swath.cropped(window.row, window.col, window.rows, window.cols)
                place = replace(place, gcps=swath.control_points())
            meta = replace(
                meta, rows=window.rows, cols=window.cols, georeference=place, geolocation=swath
            )
        self.metadata = meta.with_bands(self._bands)

    @property
    def whole(self) -> Scene:
        """See `Scene.whole`."""
        return self._scene.whole

    def grown(self, window: Window, margin: int) -> Window:
        """See `Scene.grown`."""
        found = self._scene.grown(self._in_whole(window), margin)
        return replace(found, row=found.row - self._window.row, col=found.col - self._window.col)

    def read_stored(self, window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        """See `Scene.read_stored`."""
        return self._scene.read_stored(
            self._in_whole(window), [self._bands[band] for band in bands]
        )

    def read_mask(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """See `Scene.read_mask`."""
        return self._scene.read_mask(self._in_whole(window))

    def nodata_of(self, band: int) -> float | None:
        """See `Scene.nodata_of`."""
        return self._scene.nodata_of(self._bands[band])

    def _in_whole(self, window: Window) -> Window:
        return replace(window, row=window.row + self._window.row, col=window.col + self._window.col)


def chosen_bands(scene: Scene, bands: str | None, wavelengths: str | None) -> tuple[int, ...]:
    """0-based bands, rising, that options of a command name; all where there are none.

    Bands are numbers and runs from 1 on, such as "1-60,75", wavelengths ranges in nm, "400-1000".

    Raises:
        UsageError: Both are given.
        InputDataError: The scene has no such band, or no wavelengths.
    """
    every, axis = range(scene.metadata.bands), scene.metadata.spectral_axis
    if bands is not None and wavelengths is not None:
        raise UsageError("found --bands and --wavelengths, expected one of them")
    if bands is not None:
        runs = [[int(end) for end in run.split("-")] for run in bands.split(",")]
        if any(run[0] > run[-1] or run[-1] > len(every) for run in runs):
            raise InputDataError(
                f"{scene.path}: has bands 1 to {len(every)}, found --bands {bands}"
            )
        return tuple(b for b in every if any(run[0] <= b + 1 <= run[-1] for run in runs))
    if wavelengths is None:
        return tuple(every)
    if axis.wavelengths_nm is None:
        raise InputDataError(f"{scene.path}: says no wavelengths, so give --bands in their place")
    centres = axis.wavelengths_nm
    ranges = ranges_of(wavelengths)
    found = tuple(b for b in every if any(low <= centres[b] <= high for low, high in ranges))
    if not found:
        raise InputDataError(
            f"{scene.path}: has bands from {min(centres):g} to {max(centres):g} nm, none within "
            f"--wavelengths {wavelengths}"
        )
    return found


def window_of_bbox(scene: Scene, bbox: tuple[float, float, float, float]) -> Window:
    """The pixels that a rectangle of map coordinates touches, as far as the scene has them.

    `bbox` is x1, y1, x2, y2: two opposite corners, in the CRS of the scene.

    Raises:
        InputDataError: The scene has no such georeference, or lies elsewhere.
    """
    meta, (x1, y1, x2, y2) = scene.metadata, bbox
    transform = meta.georeference.transform
    if transform is None:
        raise InputDataError(
            f"{scene.path}: has no map coordinates, so give --window ROW,COL,ROWS,COLS in place of "
            "--bbox"
        )
    corners = [~transform @ point for point in ((x1, y1), (x1, y2), (x2, y1), (x2, y2))]
    cols, rows = zip(*corners, strict=True)
    # corners that lie on pixel borders are not to take one more pixel for their rounding
    row, col = (max(0, math.floor(min(places) + 1e-6)) for places in (rows, cols))
    row_end = min(meta.rows, math.ceil(max(rows) - 1e-6))
    col_end = min(meta.cols, math.ceil(max(cols) - 1e-6))
    if row_end <= row or col_end <= col:
        left, top = transform @ (0, 0)
        right, bottom = transform @ (meta.cols, meta.rows)
        raise InputDataError(
            f"{scene.path}: lies between ({left:.10g}, {top:.10g}) and ({right:.10g}, "
            f"{bottom:.10g}), expected a --bbox that touches it"
        )
    return Window(row, col, row_end - row, col_end - col)


def cropped_to_multiple(scene: Scene, scale: int) -> Scene:
    """The scene itself if its sides divide by `scale`, else the part whose sides do.

    Raises:
        InputDataError: A side is shorter than `scale`.
    """
    sides = scene.metadata.rows, scene.metadata.cols
    rows, cols = (side - side % scale for side in sides)
    return scene if (rows, cols) == sides else PartScene(scene, Window(0, 0, rows, cols))


def _open_local(path: Path, variable: str | None, axes: str | None) -> Scene:
    _require_scene_place(path)
    try:
        row = format_of(path)
    except OSError as error:
        raise InputDataError(f"the file cannot be opened ({error.strerror})") from error
    scene: Scene = row.open(path, {"variable": variable, "axes": axes})
    return scene


def _with_usable_fields(scene: Scene, nodata: float | str | None) -> Scene:
    """The scene with its nodata named anew, and without fields that nobody could use."""
    meta = scene.metadata
    named = meta.stored
    if nodata is not None:
        try:
            number = None if str(nodata).strip().lower() == "none" else float(nodata)
        except ValueError as error:
            scene.close()
            raise UsageError(f"--nodata {nodata}: expected a number, nan or none") from error
        named = replace(named, nodata=number, limits=None)
    stored, place = usable_numbers(named), _usable_place(meta)
    header = meta.header
    if header.get("default bands") and usable("default bands", lambda: said_bands(meta)) is None:
        header = {key: text for key, text in header.items() if key != "default bands"}
    if stored is meta.stored and place is meta.georeference and header is meta.header:
        return scene
    known = replace(meta, stored=stored, georeference=place, header=header)
    return DescribedScene(scene, known, None if nodata is None else [stored.nodata] * meta.bands)


def _usable_place(meta: SceneMetadata) -> Georeference:
    place = meta.georeference
    grid = place.transform
    if grid is not None and not (all(map(math.isfinite, grid)) and grid.determinant):
        warn_of_scene("the transform is left out: it does not make pixels of any size")
        place = replace(place, transform=None)
    if not all(math.isfinite(n) for p in place.gcps for n in (p.row, p.col, p.x, p.y, p.z)):
        warn_of_scene("ground control points left out: found what is no number among them")
        place = replace(place, gcps=(), gcps_crs_wkt=None)
    rpcs = usable("rational polynomials", lambda: plain_rpcs(place.rpcs)) or {}
    if rpcs != place.rpcs:
        place = replace(place, rpcs=rpcs)
    said = place.crs_wkt, place.gcps_crs_wkt
    known = [text and known_crs(text) for text in said]
    ends = ((0, 0), (0, meta.rows), (meta.cols, 0), (meta.cols, meta.rows))
    grounds = (
        [place.transform @ end for end in ends] if place.transform is not None else [],
        [(point.x, point.y) for point in place.gcps],
    )
    known = [
        _fitting_crs(crs, ground, max(meta.rows, meta.cols)) if crs and ground else crs
        for crs, ground in zip(known, grounds, strict=True)
    ]
    return place if (*known,) == said else replace(place, crs_wkt=known[0], gcps_crs_wkt=known[1])


_FAR_ORIGIN: Final = re.compile(
    r'false[ _](east|north)ing",\s*-?\d{4}|pseudo[ -]mercator', re.IGNORECASE
)
"""Of systems whose numbers are large wherever they are used, such as UTM."""
_PIXEL_IN_DEGREES: Final = 0.02


def _fitting_crs(wkt: str, ground: Sequence[tuple[float, float]], side: int) -> str | None:
    """The reference system; None where its degrees cannot be what places on the ground are in.

    The places are corners or control points, about `side` pixels apart at most. Degrees that are
    probably in a system of lengths are a warning.
    """
    axes = [np.array(axis) for axis in zip(*ground, strict=True)]
    x, y = (axis.mean() for axis in axes)
    crs = parsed_crs(wkt)
    if crs.is_geographic and (abs(x) > 360 or abs(y) > 90) and "grad" not in wkt.lower():
        warn_of_scene(
            f"the reference system is left out: found {x:.10g}, {y:.10g} in the middle, expected "
            f"degrees of longitude and latitude for {crs_name(wkt)}"
        )
        return None
    small = max(np.ptp(axis) for axis in axes) < _PIXEL_IN_DEGREES * side
    inside = all(0 < abs(east) <= 180 and abs(north) <= 90 for east, north in ground)
    if crs.is_projected and small and inside and _FAR_ORIGIN.search(wkt):
        warn_of_scene(
            f"the place is probably wrong: found {x:.10g}, {y:.10g} in the middle, like degrees, "
            f"expected lengths for {crs_name(wkt)}; correct the coordinates or the reference system"
        )
    return wkt


def options_of_kind(
    path: Path, variable: str | None, axes: str | None
) -> tuple[str | None, str | None]:
    """Variable and axes, each only if files of this kind take one: for scenes among several.

    >>> options_of_kind(Path("a.npy"), "cube", "rcb"), options_of_kind(Path("a.tif"), None, "rcb")
    ((None, 'rcb'), (None, None))
    """
    row = format_by_suffix(path)
    takes = row.takes if row else ()
    if axes is not None and is_format_name(path, "GTiff"):
        takes = takes if path.is_file() and is_tiff_stack(path) else ()
    return variable if "variable" in takes else None, axes if "axes" in takes else None


def find_scenes(path: Path) -> list[Path]:
    """The scenes that a path given by the user stands for.

    A file, a folder of single-band images and a Zarr store stand for themselves; any other folder
    stands for the scenes in it, by name. An ENVI scene in a folder counts once, by its header.

    Raises:
        InputDataError: The folder cannot be listed.
    """
    if isinstance(path, RemotePath) or not path.is_dir():
        return [path]
    try:
        if _is_scene_folder(path):
            return [path]
        inside = sorted(path.iterdir())
    except OSError as error:
        raise InputDataError(f"{path}: cannot be listed ({error.strerror})") from error
    return [entry for entry in inside if _is_scene(entry)]


def _is_scene(entry: Path) -> bool:
    """True for what a search in a folder finds."""
    if entry.name.startswith(".") or entry.name.endswith(POSITIONS):
        return False
    if entry.is_dir():
        return _is_scene_folder(entry)
    suffix = entry.suffix.lower()
    try:
        if not any(suffix in row.searched for row in ROWS):
            return False
        if suffix == ".zip":
            return not format_of(entry).refusal
        return suffix != ".hdr" or _has_data(entry)
    except (OSError, InputDataError):
        return True


def _is_scene_folder(path: Path) -> bool:
    return any(row.folder and row.recognise(path, b"") for row in ROWS)


def _has_data(header: Path) -> bool:
    """True unless a header is neither ENVI's nor ESRI's, or belongs to a TIFF."""
    # only where a folder holds headers
    from hsisr.io.envi.files import DATA_SUFFIXES
    from hsisr.io.geotiff.esri import is_esri

    if not (is_envi_header(header) or is_esri(header)):
        return False
    own = any(header.with_suffix(end).is_file() for end in DATA_SUFFIXES)
    return own or not any(header.with_suffix(end).is_file() for end in (".tif", ".tiff"))


def _require_scene_place(path: Path) -> None:
    """Refuse what is neither a folder nor a file that holds something."""
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise InputDataError("there is no such file or folder; check the name") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no name that a file can have"
        raise InputDataError(f"the file cannot be opened ({reason})") from error
    if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
        raise InputDataError("found a pipe or a device, expected a file; copy it into one")
    if not is_utf8(path):
        raise InputDataError("the name is not UTF-8, which GDAL expects; rename it")
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        raise InputDataError("the file is empty; expected a scene")


def scene_files(path: Path) -> tuple[Path, ...]:
    """What a scene is read from: the file, an ENVI header or data file beside it, its sidecars.

    >>> [p.name for p in scene_files(Path("nowhere/a.tif"))]
    ['a.tif']
    """
    row = format_by_suffix(path)
    if path.suffix.lower() == ".hdr":
        from hsisr.io.envi.files import DATA_SUFFIXES

        cases = (end for suffix in DATA_SUFFIXES for end in (suffix, suffix.upper()))
        halves = [path.with_name(path.stem + end) for end in cases]
    elif (row is not None and row.name not in ("ENVI", "GTiff")) or path.is_dir():
        halves = []
    else:  # folders of archives are long, so ask for names instead of listing them
        stems = (path.name, path.stem)
        halves = [path.with_name(stem + end) for stem in stems for end in (".hdr", ".HDR")]
        halves = [half for half in halves if row is None or is_envi_header(half)]
    halves = list(dict.fromkeys(half for half in halves if half.is_file()))
    sidecars = (
        part.with_name(part.name + suffix) for part in (path, *halves) for suffix in SIDECARS
    )
    return (path, *halves, *(sidecar for sidecar in sidecars if sidecar.is_file()))
