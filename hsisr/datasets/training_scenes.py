"""Scenes in memory, ready to teach: live bands only, gaps filled, statistics as at inference."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.datasets.splits import Split
from hsisr.degradation import whole_blocks
from hsisr.engine.reading import BandStatistics, fill_invalid
from hsisr.errors import InputDataError
from hsisr.io.base import Scene
from hsisr.tiling import Window

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

_FILL_ROUNDS = 8
_FEWER_VALID = 0.9
"""A band with less than this share of the valid pixels of the best band counts as dead."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingScene:
    """The live bands of a scene, filled where it holds no data."""

    name: str
    values: Float32
    """Stored numbers, shape (bands, rows, cols), finite everywhere; sides divide by the scale."""
    valid: Bool | None
    """Pixels that hold data in every band, shape (rows, cols), in whole blocks of an LR pixel;
    None: all of them."""
    statistics: BandStatistics
    """Of the LR scene: what the runner will normalise with."""
    covariance: Float64
    """Of the bands of the LR scene, shape (bands, bands)."""
    split: Split
    wavelengths_nm: tuple[float, ...] | None = None
    """Of the live bands."""

    @property
    def bands(self) -> int:
        """Number of live bands."""
        return len(self.values)

    def cut(self, window: Window) -> Float32:
        """The stored numbers of a window, all live bands; a view."""
        return self.values[:, *_slices(window)]

    def mask(self, window: Window) -> Bool | None:
        """Where a window holds data, shape (rows, cols); None: everywhere in the scene."""
        return None if self.valid is None else self.valid[_slices(window)]


def training_scene(scene: Scene, scale: int, split: Split, region: Window) -> TrainingScene:
    """Read a whole scene, which stays open, leave out what cannot teach and describe the rest.

    Bands that are bad by the bad-band list, constant, or empty where others are not, are left
    out. Statistics are those of the LR scene, as `hsisr upscale` would find them. Only `region` is
    read, whose sides divide by the scale; the windows of `split` count from its corner.

    Raises:
        InputDataError: No live band or no whole LR pixel is left.
    """
    axis = scene.metadata.spectral_axis
    cube = scene.read(region)
    live = _live_bands(cube.values, cube.valid, axis.good)
    if not live:
        raise InputDataError(
            f"{scene.path}: found no band with data that varies, expected at least one; "
            "check its nodata value and bad-band list"
        )
    return scene_from_arrays(
        scene.path.name,
        cube.values[live],
        cube.valid[live],
        scale,
        split,
        wavelengths_nm=axis.subset(live).wavelengths_nm,
    )


def scene_from_arrays(
    name: str,
    values: Float32,
    valid: Bool,
    scale: int,
    split: Split,
    *,
    wavelengths_nm: tuple[float, ...] | None = None,
) -> TrainingScene:
    """A training scene from arrays of live bands, shape (bands, rows, cols) both.

    InputDataError: no LR pixel has data in all bands.
    """
    seen = whole_blocks(np.asarray(valid.all(axis=0)), scale)
    if not seen.any():
        raise InputDataError(
            f"{name}: found no block of {scale} x {scale} pixels in which all live bands hold "
            "data; check its nodata value, or use a smaller --scale"
        )
    everywhere = seen.repeat(scale, axis=0).repeat(scale, axis=1)
    filled = fill_invalid(values, valid, _FILL_ROUNDS)
    lr = area_average(filled, scale)[:, seen].astype(np.float64)
    return TrainingScene(
        name=name,
        values=np.ascontiguousarray(filled, np.float32),
        valid=None if everywhere.all() else everywhere,
        statistics=_statistics(lr),
        covariance=np.atleast_2d(np.cov(lr, ddof=0)),
        split=split,
        wavelengths_nm=wavelengths_nm,
    )


def fitting_region(scene: Scene, scale: int, most_bytes: int) -> Window:
    """The middle of a scene, in whole LR pixels, that takes at most so much memory as float32.

    The mask and a copy while filling gaps come on top, about as much again.
    """
    meta = scene.metadata
    rows, cols = meta.rows // scale * scale, meta.cols // scale * scale
    share = min(1.0, (most_bytes / (4.0 * meta.bands * max(1, rows * cols))) ** 0.5)
    sides = [(n, min(n, max(scale, int(n * share) // scale * scale))) for n in (rows, cols)]
    top, left = ((n - kept) // 2 // scale * scale for n, kept in sides)
    return Window(top, left, *(kept for _, kept in sides))


def coarser(scene: TrainingScene, factor: float, scale: int) -> TrainingScene | None:
    """The training windows' scene with `factor` times larger pixels; None if too small for one.

    Validation and test pixels never enter: only pixels that lie in a training window are kept.
    """
    inner = (_inner(window, factor, scale) for window in scene.split.training)
    windows = [window for window in inner if window is not None]
    if not windows:
        return None
    ends = (max(w.row_end for w in windows), max(w.col_end for w in windows))
    down, right = (
        _shares(n, end, factor) for n, end in zip(scene.values.shape[1:], ends, strict=True)
    )
    values = np.asarray(down @ scene.values.astype(np.float64) @ right.T, np.float32)
    valid = np.zeros(ends, np.bool_)
    for window in windows:
        valid[_slices(window)] = True
    if scene.valid is not None:
        valid &= (down > 0) @ ~scene.valid @ (right > 0).T == 0
    if not whole_blocks(valid, scale).any():
        return None
    return scene_from_arrays(
        f"{scene.name} / {factor:g}",
        values,
        np.broadcast_to(valid, values.shape),
        scale,
        Split(training=tuple(windows)),
        wavelengths_nm=scene.wavelengths_nm,
    )


def _shares(length: int, count: int, factor: float) -> Float64:
    """The share of every pixel along an axis in each of `count` pixels `factor` times larger.

    Shape (count, length).

    >>> _shares(3, 2, 1.5).tolist()
    [[0.6666666666666666, 0.3333333333333333, 0.0], [0.0, 0.3333333333333333, 0.6666666666666666]]
    """
    starts, pixels = factor * np.arange(count)[:, None], np.arange(length)
    common = np.minimum(starts + factor, pixels + 1) - np.maximum(starts, pixels)
    return np.asarray(np.maximum(common, 0) / factor, np.float64)


def _inner(window: Window, factor: float, scale: int) -> Window | None:
    """The largest window on the coarser grid that this one covers, in whole LR pixels."""
    step = factor * scale
    top, left = math.ceil(window.row / step), math.ceil(window.col / step)
    rows, cols = int(window.row_end / step) - top, int(window.col_end / step) - left
    if rows < 1 or cols < 1:
        return None
    return Window(top * scale, left * scale, rows * scale, cols * scale)


def _live_bands(values: Float32, valid: Bool, good: tuple[bool, ...] | None) -> list[int]:
    counts = np.count_nonzero(valid, axis=(1, 2))
    low = np.where(valid, values, np.inf).min(axis=(1, 2))
    high = np.where(valid, values, -np.inf).max(axis=(1, 2))
    live = (counts > 0) & (low < high)
    if good is not None:
        live &= np.array(good)
    if live.any():
        live &= counts >= _FEWER_VALID * counts[live].max()
    return [int(band) for band in np.flatnonzero(live)]


def _statistics(seen: Float64) -> BandStatistics:
    """Of the valid pixels of an LR cube, shape (bands, pixels)."""
    return BandStatistics(
        count=np.full(len(seen), seen.shape[1]),
        mean=seen.mean(axis=1),
        variance=seen.var(axis=1),
        minimum=seen.min(axis=1),
        maximum=seen.max(axis=1),
    )


def area_average(hr: npt.NDArray[Any], scale: int) -> Float32:
    """Mean over each whole block of `scale` x `scale` pixels, in float64, shape (..., rows, cols).

    >>> area_average(np.float32([[1, 2], [3, 6]]), 2).tolist()
    [[3.0]]
    """
    rows, cols = (length // scale for length in hr.shape[-2:])
    whole = hr[..., : rows * scale, : cols * scale]
    blocks = whole.reshape(*hr.shape[:-2], rows, scale, cols, scale)
    return np.asarray(blocks.mean(axis=(-3, -1), dtype=np.float64), np.float32)


def _slices(window: Window) -> tuple[slice, slice]:
    return slice(window.row, window.row_end), slice(window.col, window.col_end)
