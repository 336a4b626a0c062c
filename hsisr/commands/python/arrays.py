"""`hsisr.upscale_array`: arrays in memory through the engine that upscales files.

An array gives the numbers that the same scene gives in a GeoTIFF.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hsisr.commands.job import Job
from hsisr.commands.python.calls import Advance, Progress, chosen_options, shown
from hsisr.engine.machine import torch_threads
from hsisr.engine.options import UpscaleOptions
from hsisr.engine.session import Model, Session
from hsisr.errors import UsageError
from hsisr.io.arrays.axes import ArrayScene, checked_axes, sizes, whole
from hsisr.io.base import SceneWriter
from hsisr.scene.metadata import SceneMetadata, SpectralAxis, StoredNumbers
from hsisr.tiling import Window
from hsisr.weights.model import LoadedModel

Bool = npt.NDArray[np.bool_]

_OF_FILES: Final = (
    *("scheduler", "format", "creation_options", "overviews", "overwrite", "resume"),
    *("variable", "axes", "quicklook", "report", "uncertainty", "ortho", "window", "bbox"),
)
"""Options that mean nothing for an array."""
_SOURCE: Final = Path("array")
OUTPUT: Final = Path("array.tif")
"""Stand for input and output in messages and plans; nothing is written."""


def array_scene(
    array: Any, axes: str, metadata: SceneMetadata, mask: Bool | None = None
) -> ArrayScene:
    """A 3-D array in memory, or anything that slices like NumPy, as a scene.

    The order of its axes is one such as "brc"; the mask is True where there is data, shape
    (rows, cols).
    """
    valid = None if mask is None else mask.__getitem__
    return ArrayScene(_SOURCE, "array", metadata, whole(array, axes), mask=valid)


class ArrayWriter(SceneWriter):
    """Keeps what is written, for a window of HR pixels."""

    block_rows = block_cols = 1

    def __init__(self, metadata: SceneMetadata, window: Window) -> None:
        self.path, self.metadata, self._window = OUTPUT, metadata, window
        shape = metadata.bands, window.rows, window.cols
        self.numbers = np.empty(shape, metadata.stored.dtype)
        self.mask = np.ones((window.rows, window.cols), np.bool_)

    def write(
        self, numbers: npt.NDArray[Any], *, row: int, col: int, band: int, mask: Bool | None = None
    ) -> None:
        """See `SceneWriter.write`."""
        bands, rows, cols = numbers.shape
        top, left = row - self._window.row, col - self._window.col
        place = slice(top, top + rows), slice(left, left + cols)
        self.numbers[band : band + bands, *place] = numbers
        if mask is not None:
            self.mask[place] = mask


def upscale_array(
    cube: npt.ArrayLike,
    *,
    axes: str | None = None,
    wavelengths: Sequence[float] | None = None,
    good: Sequence[bool] | None = None,
    mask: npt.ArrayLike | None = None,
    nodata: float | None = None,
    model: str | LoadedModel | None = None,
    progress: Progress = None,
    **keywords: Any,
) -> npt.NDArray[Any]:
    """Make an array with `scale` times as many rows and columns.

    The numbers are those that `hsisr upscale` writes for the same scene in a GeoTIFF.

    Args:
        cube: 3-D array of stored numbers, in any order of axes. NaN and, of a masked array, masked
            pixels are invalid.
        axes: The order of its axes: "brc" for (bands, rows, cols), "rcb" for (rows, cols, bands).
            None: by `wavelengths`, if they are as many as one axis is long and no other.
        wavelengths: Band centres in nanometres, one per band.
        good: One per band: False for a band that is interpolated beside the network.
        mask: True where there is data, shape (rows, cols).
        nodata: A number in the cube that means "no data".
        model: An interpolation, the name or file of weights, or what `load_model` gave; None: the
            released weights of the scale.
        progress: As in `upscale`.
        keywords: Fields of `UpscaleOptions` that concern no files, such as scale, tile or dtype.

    Returns:
        The same order of axes and, without `dtype`, the same type. With a mask (or a masked array)
        and integers without nodata a masked array; elsewhere invalid pixels are nodata or NaN.

    Raises:
        InputDataError: The array has another shape or no real numbers, or fields do not fit it.
        UsageError: The order of the axes is not stated, or an option is unknown or impossible.
        WeightsError: The model cannot be found or used.

    >>> cube = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    >>> upscale_array(cube, axes="brc", scale=2, model="bicubic").shape
    (2, 6, 8)
    """
    session = array_session(None, model, keywords)
    array = np.asanyarray(cube)
    order = _order(array.shape, axes, wavelengths)
    bands, rows, cols = sizes(array.shape, order)
    valid = None if mask is None else np.asarray(mask, np.bool_)
    if isinstance(array, np.ma.MaskedArray):
        array, valid = _without_mask(array, order, valid, nodata)
    if valid is not None and valid.shape != (rows, cols):
        raise UsageError(f"mask: found shape {valid.shape}, expected (rows, cols) {rows, cols}")
    metadata = SceneMetadata(
        rows=rows,
        cols=cols,
        stored=StoredNumbers(dtype=array.dtype.newbyteorder("="), nodata=nodata),
        spectral_axis=SpectralAxis(
            count=bands,
            wavelengths_nm=_nanometres(wavelengths),
            good=None if good is None else tuple(bool(flag) for flag in good),
        ),
    )
    scene = array_scene(array, order, metadata, valid)
    with shown(progress, "array") as advance, torch_threads(session.threads):
        job = Job.prepare(scene, OUTPUT, session.options, session, session.room)
        writer = computed(job, advance=advance)
    made = writer.numbers.transpose(["brc".index(axis) for axis in order])
    if not job.target.masked:
        return made
    hidden = np.broadcast_to(~writer.mask, writer.numbers.shape)
    return np.ma.MaskedArray(made, hidden.transpose(["brc".index(axis) for axis in order]))


def array_session(
    given: UpscaleOptions | None, model: str | LoadedModel | None, keywords: dict[str, Any]
) -> Session:
    """Checked options, and the model that they or an object name, ready."""
    if model is not None:
        named = model.name if isinstance(model, LoadedModel) else str(model)
        keywords = {**keywords, "model": named}
    options = chosen_options(UpscaleOptions, given, keywords)
    for name in _OF_FILES:
        if getattr(options, name):
            raise UsageError(
                f"found the option {name!r}, which concerns files, not arrays; leave it out, and "
                "cut the array where a part is wanted"
            )
    if isinstance(model, LoadedModel):
        return Session(options, Model(model.name, model.of_scale(options.scale)))
    return Session(options)


def computed(
    job: Job,
    *,
    advance: Advance | None = None,
    strip: tuple[int, int] | None = None,
    window: Window | None = None,
) -> ArrayWriter:
    """Upscale as planned: all, or a strip (panel, row of tiles) filling a window of HR pixels."""
    _, rows, cols = job.metadata.shape
    writer = ArrayWriter(job.metadata, window or Window(0, 0, rows, cols))
    job.stitch(writer, job.counter(advance), only=None if strip is None else (strip,))
    return writer


def _order(shape: tuple[int, ...], axes: str | None, wavelengths: Sequence[float] | None) -> str:
    if len(shape) != 3:
        raise UsageError(f"found an array of shape {shape}, expected bands, rows and columns")
    if axes is not None:
        order = checked_axes(axes)
        if wavelengths is not None and len(wavelengths) != shape[order.index("b")]:
            raise UsageError(
                f"axes {axes!r}: found {shape[order.index('b')]} bands in shape {shape} and "
                f"{len(wavelengths)} wavelengths; name the axis that has one entry per wavelength"
            )
        return order
    fitting = [
        n for n, size in enumerate(shape) if wavelengths is not None and size == len(wavelengths)
    ]
    if len(fitting) != 1:
        raise UsageError(
            f"found an array of shape {shape}, whose band axis is not known; say axes='brc' for "
            "(bands, rows, cols) or axes='rcb' for (rows, cols, bands)"
        )
    return ("brc", "rbc", "rcb")[fitting[0]]


def _nanometres(wavelengths: Sequence[float] | None) -> tuple[float, ...] | None:
    if wavelengths is None:
        return None
    found = tuple(float(one) for one in wavelengths)
    if found and max(found) < 100:
        raise UsageError(
            f"wavelengths: found {min(found):g} to {max(found):g}, expected nanometres; multiply "
            "micrometres by 1000"
        )
    return found


def _without_mask(
    array: "np.ma.MaskedArray[Any, Any]", order: str, valid: Bool | None, nodata: float | None
) -> tuple[npt.NDArray[Any], Bool | None]:
    """Plain numbers and a mask of pixels; masks that differ by band need NaN or nodata."""
    hidden = np.ma.getmaskarray(array)
    by_pixel = hidden.transpose([order.index(axis) for axis in "brc"])
    if array.dtype.kind == "f" or nodata is not None:
        return array.filled(np.nan if nodata is None else nodata), valid
    if not (by_pixel == by_pixel[0]).all():
        raise UsageError("the mask differs from band to band; give nodata=, a number not in use")
    shown_pixels = ~by_pixel[0]
    return np.asarray(array.data), shown_pixels if valid is None else valid & shown_pixels
