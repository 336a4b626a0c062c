"""`hsisr.upscale(DataArray)`: xarray in and out, Dask arrays computed strip by strip when asked.

Bands and place stand in coordinates and attributes, as rioxarray and CF write them.
"""

import json
import threading
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from affine import Affine

from hsisr.commands.job import Job
from hsisr.commands.python.arrays import OUTPUT, array_scene, array_session, computed
from hsisr.commands.python.calls import Progress, shown
from hsisr.engine.machine import Room, torch_threads
from hsisr.engine.mixing import SceneStatistics
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.plan import Plan
from hsisr.engine.reading import fill_rounds
from hsisr.errors import InputDataError, UsageError, warn
from hsisr.io.arrays.axes import axis_letter, checked_axes, is_wavelength
from hsisr.io.spectral import SpectralSource, merged_axis, usable
from hsisr.io.zarr.place import is_same_place, transform_in
from hsisr.resume.record import PREFIX
from hsisr.scene.georeference import Georeference
from hsisr.scene.metadata import NM_PER_UNIT, SceneMetadata, SpectralAxis, StoredNumbers
from hsisr.tiling import Window
from hsisr.weights.model import LoadedModel

if TYPE_CHECKING:
    from xarray import DataArray

_ALONE = threading.Lock()
"""A strip takes all processor threads and its memory once, however many threads Dask has."""


class _Placed:
    """A part of an array that slices as if the rest were there."""

    def __init__(self, part: npt.NDArray[Any], axes: str, window: Window) -> None:
        self._part, self.shape = part, part.shape
        self._shift = [{"r": window.row, "c": window.col}.get(axis, 0) for axis in axes]

    def __getitem__(self, place: tuple[slice, ...]) -> npt.NDArray[Any]:
        moved = (slice(s.start - d, s.stop - d) for s, d in zip(place, self._shift, strict=True))
        return self._part[tuple(moved)].copy()


class StripMaker:
    """Computes single strips; on another process of a cluster it makes its plan anew, once."""

    def __init__(self, job: Job, axes: str, model: str | LoadedModel | None, room: Room) -> None:
        self._job: Job | None = job
        self._axes, self._model, self._room = axes, model, room
        nothing: dict[str, str] = {}  # unlike the usual mapping proxies, this can be pickled
        self._metadata: SceneMetadata = replace(
            job.scene.metadata,
            header=nothing,
            tags=nothing,
            georeference=Georeference(rpcs=nothing),
        )
        self._options: UpscaleOptions = replace(job.options, creation_options=nothing)
        self._statistics: SceneStatistics | None = job.statistics

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_job": None}

    def __call__(
        self, part: npt.NDArray[Any], strip: tuple[int, int], read: Window, made: Window
    ) -> npt.NDArray[Any]:
        """Upscale a strip (panel, row of tiles) from the LR numbers around it.

        `part` lies at `read`, in LR pixels; the strip fills `made`, in HR pixels.
        """
        with _ALONE:
            scene = array_scene(_Placed(part, self._axes, read), self._axes, self._metadata)
            if self._job is None:
                session = array_session(self._options, self._model, {})
                with torch_threads(session.threads):
                    self._job = Job.prepare(
                        scene, OUTPUT, session.options, session, self._room, self._statistics
                    )
            plan = replace(self._job.plan, reads_ahead=False)
            job = replace(self._job, scene=scene, plan=plan)
            with torch_threads(job.session.threads):
                return computed(job, strip=strip, window=made).numbers


def lazily_upscaled(
    job: Job, data: Any, axes: str, model: str | LoadedModel | None, room: Room
) -> Any:
    """A Dask array, shape (bands, rows, cols), of the strips of a plan."""
    import dask.array
    from dask.delayed import delayed

    da: Any = dask.array  # its functions are not typed
    make = delayed(StripMaker(job, axes, model, room), pure=False, traverse=False)
    plan, dtype = job.plan, job.metadata.stored.dtype
    columns = []
    for place, panel in enumerate(plan.panels):
        column = []
        for number, segment in enumerate(plan.rows):
            lr = Window(segment.start, panel.start, plan.end_of(number) - segment.start, panel.size)
            made, read = lr.scaled(plan.scale), _read_for(plan, job.scene.metadata, place, number)
            span = {"r": slice(read.row, read.row_end), "c": slice(read.col, read.col_end)}
            part = data[tuple(span.get(axis, slice(None)) for axis in axes)]
            strip = make(part, (place, number), read, made)
            shape = len(job.written), made.rows, made.cols
            column.append(da.from_delayed(strip, shape, dtype))
        columns.append(da.concatenate(column, axis=1))
    return da.concatenate(columns, axis=2)


def _read_for(plan: Plan, metadata: SceneMetadata, place: int, number: int) -> Window:
    """The LR window that a strip is made of: its tiles, those that reach into it, their context."""
    panel, segment = plan.panels[place], plan.rows[number]
    top = min(s.start for s in plan.rows[: number + 1] if s.end > segment.start)
    left = min(s.start for s in panel.segments)
    right = max(s.end for s in panel.segments)
    core = Window(top, left, segment.end - top, right - left)
    return core.grown(plan.halo + fill_rounds(plan.halo), metadata.rows, metadata.cols)


_NODATA: Final = ("_FillValue", "missing_value", "nodata")
_GOOD: Final = ("good", "bbl", "good_wavelengths")
_UNEVEN: Final = 0.05
"""Part of a step by which coordinates may miss an even grid, as map coordinates in float32 do."""


def upscale_dataarray(
    array: "DataArray",
    options: UpscaleOptions | None = None,
    *,
    axes: str | None = None,
    progress: Progress = None,
    **keywords: Any,
) -> "DataArray":
    """Make a DataArray with `scale` times as many rows and columns.

    Dimensions keep names and order; coordinates along rows and columns get the centres of the finer
    pixels, the others stay; attributes stay, and tell beside that how the result came to be. Where
    the array is one of Dask, its band statistics are computed now, in one pass where a network
    needs them, and the result strip by strip when it is asked for.

    Args:
        array: Bands, rows and columns in any order. Wavelengths are read from a coordinate
            `wavelength` along the bands (nanometres unless its `units` say otherwise), bad bands
            from `good` or `bbl`, nodata from the attribute `_FillValue` unless an option names it;
            NaN is invalid.
        options: How; keywords change it.
        axes: The meaning of the dimensions, such as "brc"; None: by their names (x, y, lon, lat,
            ...), the remaining one being the bands.
        progress: As in `hsisr.upscale`; of a Dask array, use Dask's own.
        keywords: Fields of `UpscaleOptions` that concern no files, such as scale, model or tile.

    Raises:
        InputDataError: There is no data, or coordinates do not fit.
        UsageError: The dimensions are not known, or an option is unknown or impossible.
        WeightsError: The model cannot be found or used.
    """
    if not hasattr(array, "dims") or not hasattr(array, "coords") or hasattr(array, "data_vars"):
        raise UsageError(
            f"found a {type(array).__name__}, expected the name of a scene or an xarray.DataArray "
            "(of a Dataset, choose one variable)"
        )
    model = keywords.pop("model", None)
    session = array_session(options, model, keywords)
    order = _order(array, axes)
    band, row, col = (array.dims[order.index(axis)] for axis in "brc")
    metadata = SceneMetadata(
        rows=array.sizes[row],
        cols=array.sizes[col],
        stored=StoredNumbers(
            dtype=array.dtype.newbyteorder("="), nodata=_nodata(array, session.options.nodata)
        ),
        spectral_axis=_spectral_axis(array, band),
    )
    lazy = hasattr(array.data, "__dask_graph__")
    scene = array_scene(array.data if lazy else array.variable, order, metadata)
    numbers: Any
    with torch_threads(session.threads):
        room = session.room
        job = Job.prepare(scene, OUTPUT, session.options, session, room)
        if lazy:
            numbers = lazily_upscaled(job, array.data, order, model, room)
        else:
            with shown(progress, "array" if array.name is None else str(array.name)) as advance:
                numbers = computed(job, advance=advance).numbers
    finer = numbers.transpose(["brc".index(axis) for axis in order])
    kept = array.isel({band: list(job.written)}) if len(job.written) < metadata.bands else array
    stored = job.metadata.stored
    attrs = {**array.attrs, **{k: v for k, v in job.metadata.tags.items() if k.startswith(PREFIX)}}
    for key in _NODATA if session.options.nodata is not None else ():
        attrs.pop(key, None)
    if stored.nodata is not None and stored.nodata != _nodata_in(attrs):
        attrs["_FillValue"] = stored.dtype.type(stored.nodata)
    coords = _finer_coordinates(kept, row, col, session.options.scale)
    made = type(array)(finer, dims=array.dims, coords=coords, attrs=attrs)
    made.name = array.name  # the constructor would take the name of a Dask array instead of None
    return made


def _order(array: "DataArray", axes: str | None) -> str:
    if array.ndim != 3:
        raise UsageError(
            f"found the dimensions {array.dims}, expected bands, rows and columns; choose one "
            "entry of the others with isel, or add bands with expand_dims('band')"
        )
    if axes is not None:
        return checked_axes(axes)
    letters = [axis_letter(str(dim)) for dim in array.dims]
    order = "".join(letter if letter in ("r", "c") else "b" for letter in letters)
    if sorted(order) != ["b", "c", "r"]:
        raise UsageError(
            f"found the dimensions {array.dims}, of which rows and columns are not known by name; "
            "say which is which, such as axes='brc' for (bands, rows, cols)"
        )
    return order


def _nodata(array: "DataArray", asked: str | None) -> float | None:
    if asked is not None:
        return None if asked.lower() == "none" else float(asked)
    return _nodata_in(array.attrs)


def _nodata_in(attrs: Mapping[Any, Any]) -> float | None:
    found = (attrs[key] for key in _NODATA if attrs.get(key) is not None)
    return next((float(np.asarray(number).ravel()[0]) for number in found), None)


def _spectral_axis(array: "DataArray", band: Hashable) -> SpectralAxis:
    along = {
        str(name).lower(): coordinate
        for name, coordinate in array.coords.items()
        if coordinate.dims == (band,)
    }
    own = along.get(str(band).lower())  # the dimension's own coordinate may hold wavelengths
    if own is not None and str(own.attrs.get("units", "")).lower() not in NM_PER_UNIT:
        own = None
    centres = next((c for name, c in along.items() if is_wavelength(name, c.attrs)), own)
    widths = along.get("fwhm")
    good = next((along[name] for name in _GOOD if name in along), None)
    units = [c.attrs.get("units") for c in (centres, widths) if c is not None]
    source = SpectralSource(
        wavelengths=_numbers(centres),
        fwhm=_numbers(widths),
        good=None if good is None else tuple(bool(flag) for flag in good.values),
        unit=next((unit for unit in units if unit), None),
    )
    return merged_axis(array.sizes[band], [source])


def _numbers(coordinate: "DataArray | None") -> tuple[float, ...] | None:
    return None if coordinate is None else tuple(float(n) for n in coordinate.values)


def _finer_coordinates(
    array: "DataArray", row: Hashable, col: Hashable, scale: int
) -> Mapping[Hashable, Any]:
    """Coordinates on the finer grid; what has no meaning there is left out, and that is said."""
    finer: dict[Hashable, Any] = {}
    left_out = []
    for name, coordinate in array.coords.items():
        across = set(coordinate.dims) & {row, col}
        if not across:
            finer[name] = coordinate.variable.copy(deep=False)
            finer[name].attrs = _finer_grid_mapping(coordinate.attrs, array, (row, col), scale)
        elif coordinate.ndim == 1 and coordinate.dtype.kind in "iuf":
            first, step = _even_steps(coordinate)
            places = np.arange(len(coordinate) * scale, dtype=np.float64)
            centres = first - step / 2 + step / scale * (places + 0.5)
            finer[name] = (coordinate.dims, centres, coordinate.attrs)
        else:
            left_out.append(str(name))
    if left_out:
        warn(
            f"coordinates {', '.join(left_out)} vary over rows or columns in a way that is not "
            "carried to the finer grid; they are left out"
        )
    return finer


def _even_steps(coordinate: "DataArray") -> tuple[float, float]:
    """The first centre of pixels along an axis with even steps, and the step."""
    centres = coordinate.values.astype(np.float64)
    count = len(centres)
    step = float(centres[-1] - centres[0]) / (count - 1) if count > 1 else 0.0
    even = centres[0] + step * np.arange(count)
    if step == 0 or np.abs(centres - even).max() > _UNEVEN * abs(step):
        raise InputDataError(
            f"coordinate {coordinate.name}: found {count} values without even steps, expected the "
            f"centres of pixels of one size; leave it out with drop_vars({coordinate.name!r})"
        )
    return float(centres[0]), step


def _finer_grid_mapping(
    attrs: Mapping[str, Any], array: "DataArray", grid: tuple[Hashable, Hashable], scale: int
) -> dict[str, Any]:
    """Attributes of `spatial_ref`: the transform and the control points count finer pixels.

    Programs that cut an array keep the transform of the whole, so coordinates go before it.
    """
    finer = dict(attrs)
    told = usable("GeoTransform", lambda: transform_in(attrs.get("GeoTransform")))
    finer.pop("GeoTransform", None)
    if told is not None:
        if not (told.b or told.d) and all(axis in array.coords for axis in grid):
            (y, down), (x, across) = (_even_steps(array.coords[axis]) for axis in grid)
            along = Affine(across, 0.0, x - across / 2, 0.0, down, y - down / 2)
            same = is_same_place(told, along, *(array.sizes[axis] for axis in grid))
            told = told if same else along
        numbers = (told @ Affine.scale(1 / scale)).to_gdal()
        finer["GeoTransform"] = " ".join(map(repr, numbers))
    if isinstance(points := attrs.get("gcps"), str):
        table = json.loads(points)
        for feature in table["features"]:
            for key in ("row", "col"):
                feature["properties"][key] *= scale
        finer["gcps"] = json.dumps(table)
    return finer
