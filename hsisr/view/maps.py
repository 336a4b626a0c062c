"""Where a result adds detail to the observed scene, and where it agrees with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hsisr.commands.evaluation.pairing import STRIP_BYTES, in_physical_unit, same_unit
from hsisr.errors import InputDataError
from hsisr.io.base import Scene
from hsisr.tiling.windows import Window
from hsisr.view.figure import bicubic_values, valid_values

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

OVERVIEW_PX: Final = 256
"""Most rows and columns of an overview; its pixels are means of `step` x `step` LR pixels."""
_WAVELENGTH_NM: Final = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class DetailMaps:
    """Two maps of the overview's pixels, in the unit of the values; NaN where nothing is valid."""

    detail: Float32
    """RMS of result minus bicubic over good bands and HR pixels, shape (rows, cols)."""
    agreement: Float32
    """RMS of the result's block averages minus the observed pixels over good bands."""
    step: int
    """LR pixels per map pixel along a side."""

    def most_detail(self) -> tuple[int, int]:
        """Row and column, in the observed scene, of the middle of the map pixel with most."""
        row, col = np.unravel_index(
            int(np.argmax(np.nan_to_num(self.detail, nan=-1.0))), self.detail.shape
        )
        return int(row) * self.step + self.step // 2, int(col) * self.step + self.step // 2


def band_pairs(observed: Scene, result: Scene) -> list[int]:
    """For each band of the result, the 0-based band of the observed scene.

    Raises:
        InputDataError: The result has other bands.
    """
    lr, hr = observed.metadata.spectral_axis, result.metadata.spectral_axis
    if lr.count == hr.count:
        return list(range(lr.count))
    if lr.wavelengths_nm is not None and hr.wavelengths_nm is not None:
        known = np.array(lr.wavelengths_nm)
        apart = np.abs(known - np.array(hr.wavelengths_nm)[:, None])
        if apart.min(axis=1).max() <= _WAVELENGTH_NM:
            return [int(band) for band in apart.argmin(axis=1)]
    raise InputDataError(
        f"{result.path} has {hr.count} bands and {observed.path} {lr.count}, and wavelengths do "
        "not tell which are the same; name the scene the result was made from"
    )


def require_finer(observed: Scene, result: Scene) -> int:
    """HR pixels per LR pixel along a side.

    Raises:
        InputDataError: The sides have no common whole ratio.
    """
    lr, hr = observed.metadata, result.metadata
    scale = max(1, hr.rows // lr.rows)
    if (lr.rows * scale, lr.cols * scale) != (hr.rows, hr.cols):
        raise InputDataError(
            f"{result.path} has {hr.rows} x {hr.cols} pixels, {observed.path} {lr.rows} x "
            f"{lr.cols}; expected sides that are 1, 2, 3... times as long: name the scene the "
            "result was made from"
        )
    return scale


def detail_maps(observed: Scene, result: Scene) -> DetailMaps:
    """Compare a result with the observed scene and its bicubic interpolation, strip by strip.

    Raises:
        InputDataError: The sizes or the bands do not fit.
    """
    scale, pairs = require_finer(observed, result), band_pairs(observed, result)
    lr = observed.metadata
    good = lr.spectral_axis.good or (True,) * lr.bands
    bands = [(own, band) for own, band in enumerate(pairs) if good[band]] or list(enumerate(pairs))
    hr_bands, lr_bands = [own for own, _ in bands], [band for _, band in bands]
    physical = not same_numbers(observed, result)
    step = overview_step(observed)
    detail, agreement = [], []
    for window in overview_strips(observed, step, STRIP_BYTES // scale**2):
        seen = values_in(observed, window, lr_bands, physical=physical)
        fine = values_in(result, window.scaled(scale), hr_bands, physical=physical)
        plain = bicubic_values(observed, window, lr_bands, scale)
        if physical:
            plain = _physical(plain, observed, lr_bands)
        detail.append(block_mean(np.square(fine - plain).mean(axis=0)[None], step * scale)[0])
        apart = block_mean(fine, scale, whole=True) - seen
        agreement.append(block_mean(np.square(apart).mean(axis=0)[None], step)[0])
    return DetailMaps(np.sqrt(np.concatenate(detail)), np.sqrt(np.concatenate(agreement)), step)


def overview_step(scene: Scene) -> int:
    """LR pixels per overview pixel along a side."""
    return -(-max(scene.metadata.rows, scene.metadata.cols) // OVERVIEW_PX)


def overview_strips(scene: Scene, step: int, bytes_: int = STRIP_BYTES) -> Iterator[Window]:
    """Strips of whole overview rows from top to bottom."""
    meta = scene.metadata
    rows = max(1, bytes_ // (meta.bands * meta.cols * 4) // step) * step
    for row in range(0, meta.rows, rows):
        yield Window(row, 0, min(rows, meta.rows - row), meta.cols)


def overview_cube(scene: Scene, step: int, *, physical: bool = False) -> Float32:
    """Means of the valid values of `step` x `step` pixels, all bands; NaN where there is none."""
    bands = range(scene.metadata.bands)
    return np.concatenate(
        [
            block_mean(values_in(scene, window, bands, physical=physical), step)
            for window in overview_strips(scene, step)
        ],
        axis=1,
    )


def values_in(scene: Scene, window: Window, bands: Sequence[int], *, physical: bool) -> Float32:
    """Values of a window, as stored or in physical units, NaN where invalid."""
    values = valid_values(scene, window, bands)
    return _physical(values, scene, bands) if physical else values


def block_mean(values: Float32, side: int, *, whole: bool = False) -> Float32:
    """Means of the finite values of blocks, NaN where there is none; the last ones may be cut.

    Args:
        values: Shape (bands, rows, cols).
        side: Pixels of a block along a side.
        whole: NaN wherever one value of a block is not finite.

    >>> block_mean(np.array([[[1.0, 3.0, np.nan]]], np.float32), 2)
    array([[[ 2., nan]]], dtype=float32)
    """
    bands, rows, cols = values.shape
    high, wide = -(-rows // side), -(-cols // side)
    padded = np.full((bands, high * side, wide * side), np.nan, np.float64)
    padded[:, :rows, :cols] = values
    blocks = padded.reshape(bands, high, side, wide, side)
    if whole:
        return np.asarray(blocks.mean(axis=(2, 4)), np.float32)
    finite = np.isfinite(blocks)
    count = finite.sum(axis=(2, 4))
    sums = np.where(finite, blocks, 0).sum(axis=(2, 4))
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan).astype(np.float32)


def _physical(values: Float32, scene: Scene, bands: Sequence[int]) -> Float32:
    """Stored number * scale + offset of some bands."""
    whole = np.full((scene.metadata.bands, *values.shape[1:]), np.nan, np.float32)
    whole[list(bands)] = values
    return np.asarray(in_physical_unit(whole, scene)[list(bands)], np.float32)


def same_numbers(observed: Scene, result: Scene) -> bool:
    """Whether stored numbers of both files mean the same values, band by band."""
    if observed.metadata.bands == result.metadata.bands:
        return same_unit(observed, result)
    stored = observed.metadata.stored, result.metadata.stored
    return all(one.scales is None and one.offsets is None for one in stored)
