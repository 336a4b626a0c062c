"""A picture for the eye: the observed scene beside the finer one, stretched alike."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from hsisr.errors import UsageError
from hsisr.io.atomic import TemporaryPlace, refuse_existing, resource_errors
from hsisr.io.base import Scene
from hsisr.scene.spectral_axis import SpectralAxis
from hsisr.tiling.windows import Window

TRUE_COLOUR_NM = (640.0, 550.0, 460.0)
"""Red, green and blue."""

_FAR_NM = 40.0
"""A band farther than this from a colour does not show it."""
_WIDTH_PX = 1600
_GAP_PX = 8
_READ_BYTES = 32 * 2**20
_PERCENTILES = (2.0, 98.0)

_Picture = npt.NDArray[np.float32]


def write_quicklook(
    path: Path, lr_scene: Scene, hr_scene: Scene, *, overwrite: bool = False
) -> None:
    """Write a PNG with the LR scene, enlarged without smoothing, to the left of the HR scene.

    Colours are bands near 640, 550 and 460 nm where there are such, else three bands spread over
    the scene. Both sides are stretched between the same two numbers per colour, the 2nd and the
    98th percentile of the LR scene. Pixels without data are black. Large scenes are thinned to
    about 1600 pixels in all, reading a few rows at a time.

    Args:
        path: The picture to make.
        lr_scene: The observed scene.
        hr_scene: The same ground on a finer grid.
        overwrite: Replace an existing picture.

    Raises:
        UsageError: The name does not end in .png.
        OutputExistsError: The picture exists and `overwrite` is off.
        ResourceError: It cannot be written.
        InputDataError: A scene cannot be read.
    """
    check_quicklook(path, overwrite=overwrite)
    place = TemporaryPlace(path, overwrite=overwrite)
    try:
        picture = _side_by_side(lr_scene, hr_scene)
        grown = place.file("quicklook.png")
        with resource_errors(path):
            Image.fromarray(picture).save(grown, format="PNG")
        place.commit([(grown, path)])
    finally:
        place.discard()


def check_quicklook(path: Path, *, overwrite: bool) -> None:
    """Say early whether a quicklook could be written there; writes nothing.

    Raises:
        UsageError: The name does not end in .png, or is that of a folder.
        OutputExistsError: The picture exists and `overwrite` is off.
        ResourceError: The folder does not exist, or cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path.name}: found the suffix {path.suffix!r}, expected .png; rename it")
    refuse_existing((path,), overwrite=overwrite)


def colour_bands(axis: SpectralAxis) -> tuple[int, int, int]:
    """0-based bands to show as red, green and blue.

    >>> colour_bands(SpectralAxis(count=3, wavelengths_nm=(460.0, 550.0, 645.0)))
    (2, 1, 0)
    >>> colour_bands(SpectralAxis(count=1))
    (0, 0, 0)
    """
    if axis.wavelengths_nm is not None:
        distance = np.abs(np.array(axis.wavelengths_nm) - np.array(TRUE_COLOUR_NM)[:, None])
        if axis.good is not None and any(axis.good):
            distance[:, ~np.array(axis.good)] = np.inf
        if distance.min(axis=1).max() <= _FAR_NM:
            red, green, blue = distance.argmin(axis=1).tolist()
            return red, green, blue
    last = axis.count - 1
    return last * 3 // 4, last // 2, last // 4


def _side_by_side(lr_scene: Scene, hr_scene: Scene) -> npt.NDArray[np.uint8]:
    hr, lr = hr_scene.metadata, lr_scene.metadata
    step = max(1, -(-hr.cols // (_WIDTH_PX // 2)), -(-hr.rows // _WIDTH_PX))
    rows, cols = np.arange(0, hr.rows, step), np.arange(0, hr.cols, step)
    bands = colour_bands(hr.spectral_axis)
    fine = _thinned(hr_scene, bands, rows, cols)
    seen_bands = bands if lr.bands == hr.bands else colour_bands(lr.spectral_axis)
    seen = _thinned(lr_scene, seen_bands, rows * lr.rows // hr.rows, cols * lr.cols // hr.cols)
    limits = _limits(seen)
    left, right = _stretched(seen, limits), _stretched(fine, limits)
    gap = np.full((len(rows), _GAP_PX, 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _thinned(
    scene: Scene,
    bands: tuple[int, int, int],
    rows: npt.NDArray[np.int64],
    cols: npt.NDArray[np.int64],
) -> _Picture:
    """Chosen rows and columns of three bands, shape (3, rows, cols); NaN where invalid."""
    picture = np.full((3, len(rows), len(cols)), np.nan, np.float32)
    unique = sorted(set(bands))
    order = np.array([unique.index(band) for band in bands])
    height = max(1, _READ_BYTES // (scene.metadata.cols * len(unique) * 8))
    for top in range(0, scene.metadata.rows, height):
        own = (rows >= top) & (rows < top + height)
        if not own.any():
            continue
        bottom = min(top + height, scene.metadata.rows)
        cube = scene.read(Window(top, 0, bottom - top, scene.metadata.cols), unique)
        picked = np.ix_(order, rows[own] - top, cols)
        picture[:, own] = np.where(cube.valid[picked], cube.values[picked], np.nan)
    return picture


def _limits(picture: _Picture) -> npt.NDArray[np.float32]:
    """Numbers that become black and white, shape (3, 2)."""
    limits = np.zeros((3, 2), np.float32)
    for colour, numbers in enumerate(picture):
        data = numbers[np.isfinite(numbers)]
        if data.size:
            limits[colour] = np.percentile(data, _PERCENTILES)
    return limits


def _stretched(picture: _Picture, limits: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Bytes, shape (rows, cols, 3); what is flat becomes grey."""
    low, high = limits[:, 0, None, None], limits[:, 1, None, None]
    span = np.where(high > low, high - low, 1)
    light = np.where(high > low, (picture - low) / span, 0.5)
    light = np.where(np.isfinite(picture), np.clip(light, 0, 1), 0)
    levels: npt.NDArray[np.uint8] = np.rint(light * 255).astype(np.uint8)
    return levels.transpose(1, 2, 0)
