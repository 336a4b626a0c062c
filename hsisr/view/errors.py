"""Pictures of an estimate's errors: where they are, and what they do to spectra."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from hsisr.commands.evaluation.pairing import in_physical_unit, paired_strips, same_unit
from hsisr.io.base import Scene
from hsisr.metrics.report import Scores, picture_label
from hsisr.metrics.spectral import angles_deg
from hsisr.tiling.windows import Window
from hsisr.view.colours import COLOURS, top_of
from hsisr.view.figure import Quicklook, draw_quicklook, save_picture
from hsisr.view.maps import detail_maps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Float64 = npt.NDArray[np.float64]

LONGEST_PX: Final = 1000
"""Larger maps show every k-th pixel, so that memory does not grow with the scene."""
CHOSEN: Final = ("best", "median", "worst")
_UNIT: Final = "unit of the values"
_COLORS: Final = ("tab:green", "tab:orange", "tab:red")


@dataclass(frozen=True, slots=True, eq=False)
class ErrorMaps:
    """Errors of every `step`-th pixel; NaN where a pixel is not valid in all scored bands."""

    rmse: Float64
    """Over the scored bands, in the unit of the values."""
    angle_deg: Float64
    step: int

    def pixel(self, which: str) -> tuple[int, int] | None:
        """Row and column, in the scene, of the pixel with the best, median or worst angle."""
        order = np.argsort(self.angle_deg, axis=None)  # NaN comes last
        count = int(np.isfinite(self.angle_deg).sum())
        if not count:
            return None
        rank = {"best": 0, "median": (count - 1) // 2, "worst": count - 1}[which]
        row, col = np.unravel_index(int(order[rank]), self.angle_deg.shape)
        return int(row) * self.step, int(col) * self.step


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
    for which, color in zip(CHOSEN, _COLORS, strict=True):
        place = maps.pixel(which)
        if place is None:
            continue
        row, col = place
        _spectra(right, reference, estimate, Window(row, col, 1, 1), bands, which, color)
        middle.plot(col / maps.step, row / maps.step, "o", mfc="none", mec=color)
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
    name: str = "estimate",
    overwrite: bool = False,
) -> None:
    """Write a PNG: scenes side by side where there is an observed one, errors, agreement.

    Args:
        path: The picture to make.
        reference: The truth, on the estimate's grid.
        observed: What the estimate was made from.
        estimate: What is judged.
        scores: Of the estimate against the reference.
        name: What made the estimate.
        overwrite: Replace an existing picture.

    Raises:
        OutputExistsError: It is there, and `overwrite` is off.
        ResourceError: It cannot be written.
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
    """One map, in colours from 0 to `top`."""
    image = axes.imshow(
        values, vmin=0, vmax=top or top_of([values]), cmap=COLOURS, interpolation="nearest"
    )
    axes.set(title=title, xticks=[], yticks=[])
    figure.colorbar(image, ax=axes, label=unit, extend="max")


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
    pair = [scene.read(pixel, bands).values for scene in (reference, estimate)]
    if not same_unit(reference, estimate):
        whole = [(scene, scene.read(pixel).values) for scene in (reference, estimate)]
        pair = [in_physical_unit(values, scene)[bands] for scene, values in whole]
    order = np.argsort(x)
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
