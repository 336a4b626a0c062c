"""Maps of a result: where it adds detail to the observed scene, agrees with it, and errs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from hsisr.commands.evaluation.agreement import (
    STRIP_BYTES,
    paired_strips,
    strip_windows,
)
from hsisr.errors import InputDataError
from hsisr.io.base import Scene, in_one_unit
from hsisr.metrics.figures import angles_deg
from hsisr.metrics.report import Scores, picture_label
from hsisr.tiling import Window
from hsisr.view.encoding import COLOURS, top_of
from hsisr.view.figure import (
    Quicklook,
    bicubic_values,
    draw_quicklook,
    same_numbers,
    save_picture,
    values_in,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

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
    """For each band of the result, the 0-based band of the observed scene."""
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
    """HR pixels per LR pixel along a side."""
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
    """Compare a result with the observed scene and its bicubic interpolation, strip by strip."""
    scale, pairs = require_finer(observed, result), band_pairs(observed, result)
    lr = observed.metadata
    good = lr.spectral_axis.good or (True,) * lr.bands
    bands = [(own, band) for own, band in enumerate(pairs) if good[band]] or list(enumerate(pairs))
    hr_bands, lr_bands = [own for own, _ in bands], [band for _, band in bands]
    physical = not same_numbers(observed, result)
    step = overview_step(observed)
    detail, agreement = [], []
    for window in strip_windows(lr, bytes_=STRIP_BYTES // scale**2, step=step):
        seen = values_in(observed, window, lr_bands, physical=physical)
        fine = values_in(result, window.scaled(scale), hr_bands, physical=physical)
        plain = bicubic_values(observed, window, lr_bands, scale, physical=physical)
        detail.append(block_mean(np.square(fine - plain).mean(axis=0)[None], step * scale)[0])
        apart = block_mean(fine, scale, whole=True) - seen
        agreement.append(block_mean(np.square(apart).mean(axis=0)[None], step)[0])
    return DetailMaps(np.sqrt(np.concatenate(detail)), np.sqrt(np.concatenate(agreement)), step)


def overview_step(scene: Scene) -> int:
    """LR pixels per overview pixel along a side."""
    return -(-max(scene.metadata.rows, scene.metadata.cols) // OVERVIEW_PX)


def overview_cube(scene: Scene, step: int, *, physical: bool = False) -> Float32:
    """Means of the valid values of `step` x `step` pixels, all bands; NaN where there is none."""
    bands = range(scene.metadata.bands)
    return np.concatenate(
        [
            block_mean(values_in(scene, window, bands, physical=physical), step)
            for window in strip_windows(scene.metadata, step=step)
        ],
        axis=1,
    )


def block_mean(values: Float32, side: int, *, whole: bool = False) -> Float32:
    """Means of the finite values of blocks, NaN where there is none; the last ones may be cut.

    `values` have shape (bands, rows, cols); `whole`: NaN where one value of a block is not finite.

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


LONGEST_PX: Final = 1000
"""Larger maps show every k-th pixel, so that memory does not grow with the scene."""
RANKS: Final = ("best", "median", "worst")
"""Of the pixels whose spectra are shown, by spectral angle."""
_UNIT: Final = "unit of the values"
_COLORS: Final = ("tab:green", "tab:orange", "tab:red")


@dataclass(frozen=True, slots=True, eq=False)
class ErrorMaps:
    """Errors of every `step`-th pixel; NaN where a pixel is not valid in all scored bands."""

    rmse: Float64
    """Over the scored bands, in the unit of the values."""
    angle_deg: Float64
    step: int


def ranked(angle: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Rows and columns of the pixels in `RANKS`, shape (3, 2); (0, 2) where nothing is valid."""
    count = int(np.isfinite(angle).sum())
    if not count:
        return np.zeros((0, 2), np.int64)
    order = np.argsort(angle, axis=None, kind="stable")  # NaN comes last
    chosen = order[[0, (count - 1) // 2, count - 1]]
    return np.stack(np.unravel_index(chosen, angle.shape), axis=1).astype(np.int64)


def error_maps(reference: Scene, estimate: Scene, bands: list[int]) -> ErrorMaps:
    """Errors of every k-th pixel over some 0-based bands."""
    meta = reference.metadata
    step = -(-max(meta.rows, meta.cols) // LONGEST_PX)
    rmse, angles, first = [], [], 0
    for strip in paired_strips(reference, estimate):
        rows = np.s_[-first % step :: step]
        first += strip.reference.shape[1]
        x, y, valid = (
            a[bands][:, rows, ::step].astype(np.float64)
            for a in (strip.reference, strip.predicted, strip.valid)
        )
        whole = valid.all(axis=0)
        x[:, ~whole] = y[:, ~whole] = np.nan
        rmse.append(np.sqrt(np.mean((x - y) ** 2, axis=0)))
        angles.append(np.where(whole, angles_deg(x, y), np.nan))
    return ErrorMaps(np.concatenate(rmse), np.concatenate(angles), step)


def draw_errors(
    figure: "Figure | SubFigure", reference: Scene, estimate: Scene, scores: Scores
) -> None:
    """Draw error map, angle map and three spectra."""
    bands = [band.band for band in scores.bands]
    maps = error_maps(reference, estimate, bands)
    left, middle, right = figure.subplots(1, 3)
    sampled = f", every {maps.step}th pixel" if maps.step > 1 else ""
    _map(figure, left, maps.rmse, f"RMSE over {len(bands)} bands{sampled}", _UNIT)
    _map(figure, middle, maps.angle_deg, f"spectral angle{sampled}", "degrees")
    places = ranked(maps.angle_deg).tolist()
    for which, color, (row, col) in zip(RANKS, _COLORS, places, strict=False):
        pixel = Window(row * maps.step, col * maps.step, 1, 1)
        _spectra(right, reference, estimate, pixel, bands, which, color)
        middle.plot(col, row, "o", mfc="none", mec=color)
    wavelengths = reference.metadata.spectral_axis.wavelengths_nm
    right.set(title="spectra (lines: reference, dots: estimate)")
    right.set_xlabel("wavelength in nm" if wavelengths else "band")
    if right.has_data():
        right.legend()


def draw_detail(figure: "Figure | SubFigure", observed: Scene, estimate: Scene) -> None:
    """Draw what the estimate adds to bicubic, and how far its block averages are off."""
    maps = detail_maps(observed, estimate)
    left, right = figure.subplots(1, 2)
    top = top_of([maps.detail])
    _map(figure, left, maps.detail, "added detail: RMS of estimate - bicubic", _UNIT, top)
    largest = float(np.nanmax(maps.agreement, initial=0.0))
    title = f"agreement: RMS of block averages - observed, at most {largest:.2g}"
    _map(figure, right, maps.agreement, title, _UNIT, top)


def write_picture(
    path: Path,
    *,
    reference: Scene | None,
    observed: Scene | None,
    estimate: Scene,
    scores: Scores | None,
    name: str = "",
    overwrite: bool = False,
) -> None:
    """Write a PNG: scenes side by side where there is an observed one, errors, agreement.

    The reference lies on the estimate's grid; `name` is what made the estimate, see `Quicklook`.
    """
    from matplotlib.figure import Figure

    high = min(2.0, estimate.metadata.rows / estimate.metadata.cols)
    parts: list[tuple[float, Callable[[SubFigure], None]]] = []
    if observed is not None:
        shown = Quicklook(observed=observed, result=estimate, truth=reference, name=name)
        parts.append((1 + 4.5 * high, lambda part: draw_quicklook(part, shown)))
    if reference is not None and scores is not None:
        parts.append((4.6, lambda part: draw_errors(part, reference, estimate, scores)))
    elif observed is not None:
        parts.append((1 + 6 * high, lambda part: draw_detail(part, observed, estimate)))
    heights = [height for height, _ in parts]
    figure = Figure(figsize=(15, sum(heights)), layout="constrained")
    rows = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)
    for part, (_, draw) in zip(rows[:, 0], parts, strict=True):
        draw(part)
    if observed is None and reference is not None:
        figure.suptitle(picture_label(f"{estimate.path.name} against {reference.path.name}"))
    save_picture(path, figure, overwrite=overwrite)


def _map(
    figure: "Figure | SubFigure",
    axes: "Axes",
    values: npt.NDArray[np.floating],
    title: str,
    unit: str,
    top: float | None = None,
) -> None:
    image = axes.imshow(
        values, vmin=0, vmax=top or top_of([values]), cmap=COLOURS, interpolation="nearest"
    )
    axes.set(title=title, xticks=[], yticks=[])
    beside = axes.inset_axes((1.02, 0, 0.03, 1))  # as high as the map
    figure.colorbar(image, cax=beside, label=unit, extend="max")


def _spectra(
    axes: "Axes",
    reference: Scene,
    estimate: Scene,
    pixel: Window,
    bands: list[int],
    which: str,
    color: str,
) -> None:
    known = reference.metadata.spectral_axis.wavelengths_nm
    x = np.array(known)[bands] if known else np.array(bands) + 1
    one, other = ((scene.read(pixel, bands).values, scene) for scene in (reference, estimate))
    pair, order = in_one_unit(one, other, bands), np.argsort(x)
    x, truth, guess = x[order], pair[0][order, 0, 0], pair[1][order, 0, 0]
    gaps = _gaps(x)
    label = f"{which}: row {pixel.row}, column {pixel.col}"
    line = np.insert(x.astype(float), gaps, np.nan), np.insert(truth.astype(float), gaps, np.nan)
    axes.plot(*line, color=color, lw=1, label=label)
    axes.plot(x, guess, ".", color=color, ms=3)


def _gaps(x: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Where a line must break: before bands far beyond the usual distance, as after water."""
    steps = np.diff(x)
    return np.flatnonzero(steps > 5 * np.median(steps)) + 1 if len(steps) else np.zeros(0, np.intp)
