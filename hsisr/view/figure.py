"""The quicklook: observed, bicubic, result and truth side by side, stretched alike."""

import functools
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from hsisr.errors import UsageError
from hsisr.io.atomic import refuse_existing, write_new
from hsisr.io.base import Scene, in_physical_unit, same_unit
from hsisr.metrics.report import picture_label
from hsisr.resume.record import provenance_of
from hsisr.scene.metadata import SceneMetadata, SpectralAxis
from hsisr.scene.rendering import (
    as_bytes,
    colour_bands,
    stretch_limits,
    stretched,
)
from hsisr.tiling import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Float32 = npt.NDArray[np.float32]

ESTIMATED: Final = "detail inside an observed pixel is estimated, not measured"
_CROP_HR_PX: Final = 512
"""Larger results are shown as a crop of this side, beside an overview of the scene."""
_OVERVIEW_PX: Final = 512
_READ_BYTES: Final = 32 * 2**20
_PANEL_INCH: Final = 4.2
_DPI: Final = 130
CONTEXT_PX: Final = 2
"""LR pixels that cubic convolution reaches to either side."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Quicklook:
    """The scenes of one figure; all show the same ground."""

    observed: Scene
    result: Scene
    """`observed`'s ground with `scale` times smaller pixels, perhaps without its bad bands."""
    truth: Scene | None = None
    """On the result's grid."""
    name: str = ""
    """What made the result; without it, what its file says of that."""

    @property
    def scale(self) -> int:
        """HR pixels per LR pixel along a side."""
        return self.result.metadata.rows // self.observed.metadata.rows


def write_quicklook(path: Path, shown: Quicklook, *, overwrite: bool = False) -> None:
    """Write the figure as a PNG, whole or not at all.

    All panels are stretched, per colour, between the 2nd and the 98th percentile of the observed in
    what is shown; pixels without data are black. A result of more than 512 pixels along a side is
    shown as a crop where the observed scene varies most, beside an overview.
    """
    from matplotlib.figure import Figure

    check_picture(path, overwrite=overwrite)
    figure = Figure(layout="constrained")
    draw_quicklook(figure, shown)
    save_picture(path, figure, overwrite=overwrite)


def check_picture(path: Path, *, overwrite: bool, suffixes: tuple[str, ...] = (".png",)) -> None:
    """Say early whether a picture, or a page, could be written there; see `refuse_existing`."""
    if path.suffix.lower() not in suffixes:
        raise UsageError(
            f"{path.name}: found the suffix {path.suffix!r}, expected {suffixes[0]}; rename it"
        )
    refuse_existing((path,), overwrite=overwrite)


def save_picture(path: Path, figure: "Figure", *, overwrite: bool) -> None:
    """Write a figure as PNG; it appears whole or not at all."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    write_new(path, content.getvalue(), overwrite=overwrite)


def draw_quicklook(figure: "Figure | SubFigure", shown: Quicklook) -> None:
    """Draw the panels into a figure, which gets the size they need."""
    lr, hr = shown.observed.metadata, shown.result.metadata
    bands = colour_bands(hr.spectral_axis)
    lr_bands = bands if lr.bands == hr.bands else colour_bands(lr.spectral_axis)
    overview, step = _overview(shown.observed, lr_bands)
    crop = _crop(overview, step, lr, max(8, _CROP_HR_PX // shown.scale))
    whole = (crop.rows, crop.cols) == (lr.rows, lr.cols)
    panels = _panels(shown, crop, lr_bands, bands)
    count = len(panels) + (not whole)
    high = _PANEL_INCH * min(2.0, crop.rows / crop.cols)
    if hasattr(figure, "set_size_inches"):  # a part of a figure has the size it was given
        figure.set_size_inches(_PANEL_INCH * count, high + 0.9)
    axes = list(np.atleast_1d(figure.subplots(1, count)))
    limits = stretch_limits(panels[0][1])
    if not whole:
        _show(axes[0], overview, stretch_limits(overview), "scene, and what is enlarged")
        _outline(axes.pop(0), crop, step)
    for one, (title, picture) in zip(axes, panels, strict=True):
        _show(one, picture, limits, title)
    _scale_bar(axes[-1], hr, crop.scaled(shown.scale))
    name = picture_label((shown.truth or shown.observed).path.name)
    figure.suptitle(
        f"{name}: {describe_colours(hr.spectral_axis)}\n"
        f"all stretched alike, 2nd to 98th percentile of the observed; {ESTIMATED}",
        fontsize=10,
    )


def describe_colours(axis: SpectralAxis) -> str:
    """The bands shown as red, green and blue, by number and wavelength.

    >>> describe_colours(SpectralAxis(count=3, wavelengths_nm=(460.0, 550.0, 645.0)))
    'natural colour: bands 3 (645 nm), 2 (550 nm), 1 (460 nm)'
    """
    known = axis.wavelengths_nm
    words = [f"{b + 1} ({known[b]:.0f} nm)" if known else f"{b + 1}" for b in colour_bands(axis)]
    kind = "natural colour" if axis.natural_colour else "red, green, blue"
    return f"{kind}: bands {', '.join(words)}"


def valid_values(scene: Scene, window: Window, bands: Sequence[int]) -> Float32:
    """Values of a window, NaN where invalid; bands in any order, also repeated."""
    unique = sorted(set(bands))
    cube = scene.read(window, unique)
    order = [unique.index(band) for band in bands]
    return np.where(cube.valid, cube.values, np.float32(np.nan))[order]


def values_in(scene: Scene, window: Window, bands: Sequence[int], *, physical: bool) -> Float32:
    """Values of a window, as stored or in physical units, NaN where invalid."""
    values = valid_values(scene, window, bands)
    return np.asarray(in_physical_unit(values, scene, bands), np.float32) if physical else values


def same_numbers(observed: Scene, result: Scene) -> bool:
    """Whether stored numbers of both files mean the same values, band by band."""
    if observed.metadata.bands == result.metadata.bands:
        return same_unit(observed, result)
    stored = observed.metadata.stored, result.metadata.stored
    return all(one.scales is None and one.offsets is None for one in stored)


def bicubic_values(
    scene: Scene, window: Window, bands: Sequence[int], scale: int, *, physical: bool = False
) -> Float32:
    """The observed window interpolated by cubic convolution on the finer grid, NaN if invalid."""
    import torch

    from hsisr.engine.reading import fill_invalid
    from hsisr.models.interpolation import KERNELS, Trim, interpolate

    grown = window.grown(CONTEXT_PX, scene.metadata.rows, scene.metadata.cols)
    values = valid_values(scene, grown, bands)
    valid = np.isfinite(values)
    top, left = window.row - grown.row, window.col - grown.col
    trim = Trim(top, grown.row_end - window.row_end, left, grown.col_end - window.col_end)
    filled = torch.from_numpy(np.ascontiguousarray(fill_invalid(values, valid, CONTEXT_PX)))
    fine = interpolate(filled, KERNELS["bicubic"], scale, trim).numpy()
    inside = valid[:, top : top + window.rows, left : left + window.cols]
    fine = np.where(inside.repeat(scale, 1).repeat(scale, 2), fine, np.float32(np.nan))
    return np.asarray(in_physical_unit(fine, scene, bands), np.float32) if physical else fine


def _panels(
    shown: Quicklook, crop: Window, lr_bands: Sequence[int], bands: Sequence[int]
) -> list[tuple[str, Float32]]:
    """Titles and pictures of the crop, shape (3, rows, cols), the observed first."""
    fine, scale = crop.scaled(shown.scale), shown.scale
    sizes = [pixel_text(scene.metadata) for scene in (shown.observed, shown.result)]
    maker = shown.name or provenance_of(shown.result.metadata).get("MODEL")
    title = f"hsisr x{scale}: {maker}" if maker else shown.result.path.name
    finer = (shown.result, *([shown.truth] if shown.truth else []))
    physical = not all(same_numbers(shown.observed, one) for one in finer)
    seen = functools.partial(values_in, physical=physical)
    plain = bicubic_values(shown.observed, crop, lr_bands, scale, physical=physical)
    panels = [
        (f"observed{sizes[0]}", seen(shown.observed, crop, lr_bands)),
        (f"bicubic{sizes[1]}", plain),
        (f"{picture_label(title)}{sizes[1]}", seen(shown.result, fine, bands)),
    ]
    if shown.truth is not None:
        panels.append((f"truth{sizes[1]}", seen(shown.truth, fine, bands)))
    return panels


def pixel_text(meta: SceneMetadata) -> str:
    """', 7.5 m' where the ground size of a pixel is known, else nothing."""
    from hsisr.io.geotiff.gdal import pixel_size_m

    size = pixel_size_m(meta)
    return "" if size is None else f", {size[0]:.3g} m"


def _overview(scene: Scene, bands: Sequence[int]) -> tuple[Float32, int]:
    """Every `step`-th pixel of three bands, shape (3, rows, cols), at most 512 along a side."""
    rows, cols = scene.metadata.rows, scene.metadata.cols
    step = -(-max(rows, cols) // _OVERVIEW_PX)
    height = max(step, _READ_BYTES // (cols * 3 * 8) // step * step)
    parts = [
        valid_values(scene, Window(top, 0, min(height, rows - top), cols), bands)[:, ::step, ::step]
        for top in range(0, rows, height)
    ]
    return np.concatenate(parts, axis=1), step


def _crop(overview: Float32, step: int, lr: SceneMetadata, side: int) -> Window:
    """The window of `side` LR pixels in which the overview varies most; else the whole scene."""
    if max(lr.rows, lr.cols) <= side:
        return Window(0, 0, lr.rows, lr.cols)
    rows, cols = min(side, lr.rows), min(side, lr.cols)
    change = np.zeros(overview.shape[1:])
    spread = np.ma.masked_invalid(overview).std(axis=(1, 2)).filled(0)[:, None, None]
    light = overview / np.where(spread > 0, spread, 1)
    for axis in (1, 2):
        steps = np.nan_to_num(np.abs(np.diff(light, axis=axis))).sum(axis=0)
        change[: steps.shape[0], : steps.shape[1]] += steps
    total = np.pad(change.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    high, wide = max(1, rows // step), max(1, cols // step)
    sums = total[high:, wide:] - total[:-high, wide:] - total[high:, :-wide] + total[:-high, :-wide]
    row, col = np.unravel_index(int(sums.argmax()), sums.shape)
    return Window(
        min(int(row) * step, lr.rows - rows), min(int(col) * step, lr.cols - cols), rows, cols
    )


def _show(axes: "Axes", picture: Float32, limits: npt.NDArray[np.float64], title: str) -> None:
    axes.imshow(as_bytes(stretched(picture, limits)), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(picture_label(title), fontsize=10)


def _outline(axes: "Axes", crop: Window, step: int) -> None:
    left, top = crop.col / step - 0.5, crop.row / step - 0.5
    right, bottom = left + crop.cols / step, top + crop.rows / step
    for width, color in ((3, "black"), (1.2, "white")):
        x, y = [left, right, right, left, left], [top, top, bottom, bottom, top]
        axes.plot(x, y, color=color, lw=width)


def _scale_bar(axes: "Axes", meta: SceneMetadata, shown: Window) -> None:
    """A bar of a round length on the ground, where the grid says how long a pixel is."""
    from matplotlib import patheffects

    from hsisr.io.geotiff.gdal import pixel_size_m

    size = pixel_size_m(meta)
    if size is None:
        return
    most = shown.cols * size[0] / 3
    power = 10.0 ** math.floor(math.log10(most))
    length = power * max(n for n in (1, 2, 5) if n * power <= most)
    words = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    x, y = shown.cols * 0.05, shown.rows * 0.94
    outlined = [patheffects.withStroke(linewidth=3, foreground="black")]
    axes.plot(
        [x, x + length / size[0]],
        [y, y],
        color="white",
        lw=3,
        solid_capstyle="butt",
        path_effects=[patheffects.withStroke(linewidth=5, foreground="black")],
    )
    axes.text(x, y - shown.rows * 0.02, words, color="white", va="bottom", path_effects=outlined)
    axes.set(xlim=(-0.5, shown.cols - 0.5), ylim=(shown.rows - 0.5, -0.5))
