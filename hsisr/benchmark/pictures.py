"""Where an estimate errs, and pictures of it and of a report, as PNG inside a page."""

import io
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from hsisr.io.atomic import replace_file
from hsisr.io.base import Scene, in_one_unit
from hsisr.io.open import open_scene
from hsisr.metrics.figures import angles_deg
from hsisr.metrics.report import picture_label
from hsisr.scene.rendering import as_bytes, colour_bands, stretch_limits, stretched
from hsisr.tiling import Window
from hsisr.view.encoding import data_address
from hsisr.view.maps import RANKS, ranked

Float32 = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

SIDE_PX: Final = 192
"""Most rows and columns that are shown."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SceneMaps:
    """The shown window of one estimate; NaN in maps where a pixel is not valid in all bands."""

    truth_rgb: Bytes
    """Shape (rows, cols, 3)."""
    rgb: Bytes
    """The estimate in the same colours."""
    rmse: Float32
    """Over all bands, in the unit of the values, shape (rows, cols)."""
    angle_deg: Float32
    """Between the spectra, shape (rows, cols)."""
    pixels: npt.NDArray[np.int64]
    """Row and column, in the window, of the pixels in `RANKS`; shape (3, 2), or (0, 2)."""
    truth_spectra: Float32
    """Shape (pixels, bands)."""
    spectra: Float32
    wavelengths_nm: npt.NDArray[np.float64]
    """Shape (bands,); empty where unknown."""

    def save(self, path: Path) -> None:
        """Write as a compressed NumPy archive, whole."""
        content = io.BytesIO()
        arrays: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        np.savez_compressed(content, **arrays)
        replace_file(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path) as archive:
            return cls(**{f.name: archive[f.name] for f in fields(cls)})


def scene_maps(
    truth: Scene, estimate: Path, pixels: Sequence[tuple[int, int]] | None = None
) -> SceneMaps:
    """Compare the middle of an estimate with the truth, both opened, on one grid.

    Spectra of `pixels` are kept; without them those with the best, median and worst angle.
    """
    window = _middle(truth.metadata.rows, truth.metadata.cols)
    with closing(open_scene(estimate)) as guess:
        cubes = [scene.read(window) for scene in (truth, guess)]
        values = in_one_unit((cubes[0].values, truth), (cubes[1].values, guess))
        x, y = (np.asarray(one, np.float32) for one in values)
    valid = cubes[0].valid & cubes[1].valid
    live = valid.any(axis=(1, 2))
    whole = np.asarray(valid[live].all(axis=0), np.bool_)
    angle = np.where(whole, angles_deg(x[live], y[live]), np.nan).astype(np.float32)
    rmse = np.sqrt(np.mean((x[live].astype(np.float64) - y[live]) ** 2, axis=0))
    axis = truth.metadata.spectral_axis
    shown = list(colour_bands(axis))
    truth_rgb, rgb = (np.where(whole, cube[shown], np.nan) for cube in (x, y))
    limits = stretch_limits(truth_rgb)
    chosen = ranked(angle) if pixels is None else np.array(pixels, np.int64).reshape(-1, 2)
    at = np.s_[:, chosen[:, 0], chosen[:, 1]]
    spectra = [np.where(valid, cube, np.float32(np.nan))[at].T for cube in (x, y)]
    return SceneMaps(
        truth_rgb=as_bytes(stretched(truth_rgb, limits)),
        rgb=as_bytes(stretched(rgb, limits)),
        rmse=np.where(whole, rmse, np.nan).astype(np.float32),
        angle_deg=angle,
        pixels=chosen,
        truth_spectra=spectra[0],
        spectra=spectra[1],
        wavelengths_nm=np.array(axis.wavelengths_nm or (), np.float64),
    )


def _middle(rows: int, cols: int) -> Window:
    high, wide = min(rows, SIDE_PX), min(cols, SIDE_PX)
    return Window((rows - high) // 2, (cols - wide) // 2, high, wide)


_DPI: Final = 150
_INK: Final = {"light": "#1c1f23", "dark": "#e6e6e6"}
_INKED: Final = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
_PAPERED: Final = ("axes.facecolor", "legend.facecolor")
_PAPER: Final = {"light": "#ffffff", "dark": "#16191d"}
_LEGEND: Final[dict[str, Any]] = {"loc": "outside lower center", "ncols": 2, "frameon": False}
_MARKERS: Final = "osD^v<>PX*ph"


Plot = dict[str, str]
"""The same drawing for both kinds of page, `light` and `dark`, as data addresses."""


def spectra_plot(maps: Mapping[str, SceneMaps]) -> Plot:
    """Truth and estimates at the best, median and worst pixel of the first method."""

    def draw(figure: Figure, ink: str) -> None:
        first = next(iter(maps.values()))
        axis = first.wavelengths_nm if first.wavelengths_nm.size else None
        panels = np.atleast_1d(figure.subplots(len(first.pixels), 1, sharex=True))
        for n, axes in enumerate(panels):
            truth = first.truth_spectra[n]
            x = axis if axis is not None else np.arange(1, len(truth) + 1)
            order = np.argsort(x)
            axes.plot(x[order], truth[order], color=ink, lw=2.5, alpha=0.6, label="truth")
            for name, one in maps.items():
                axes.plot(x[order], one.spectra[n][order], lw=1, label=picture_label(name))
            row, col = first.pixels[n]
            axes.set_title(
                f"{RANKS[n]} for {next(iter(maps))}: row {row}, column {col}", fontsize=10
            )
        handles = panels[0].get_legend_handles_labels() if len(panels) else ([], [])
        figure.legend(*handles, **_LEGEND)
        panels[-1].set_xlabel("band" if axis is None else "wavelength, nm")

    return _plot(draw, (4.8, 7.0))


_WIDE: Final = 100
"""Beyond this ratio of costs, labels between the powers of ten would overlap."""


def cost_plot(points: Sequence[Mapping[str, Any]]) -> Plot:
    """Quality against cost: MPSNR over seconds per megapixel-band; bars are the spread.

    Each point has method, seconds, mpsnr, and deviation or None.
    """

    def draw(figure: Figure, ink: str) -> None:
        axes: Axes = figure.subplots()
        for n, point in enumerate(points):
            axes.errorbar(
                point["seconds"],
                point["mpsnr"],
                yerr=point["deviation"],
                fmt=_MARKERS[n % len(_MARKERS)],
                color=mpl.colormaps["tab20"](n % 20),
                markeredgecolor=ink,
                label=picture_label(point["method"]),
                capsize=3,
            )
        axes.set(xscale="log")
        seconds = [point["seconds"] for point in points]
        wide = max(seconds) > _WIDE * min(seconds)
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="seconds per megapixel and band", ylabel="MPSNR, dB")
        axes.grid(alpha=0.25, which="both")
        figure.legend(**_LEGEND, fontsize="small")

    return _plot(draw, (4.8, 5.4))


def curve_plot(lines: Mapping[str, Mapping[float, float]]) -> Plot:
    """Gain over the baseline, dB, over the share of the budget in %, a line for each method."""

    def draw(figure: Figure, ink: str) -> None:
        axes: Axes = figure.subplots()
        for n, (name, gains) in enumerate(lines.items()):
            marker, colour = _MARKERS[n % len(_MARKERS)], mpl.colormaps["tab20"](n % 20)
            axes.plot(list(gains), list(gains.values()), f"{marker}-", color=colour, label=name)
        axes.axhline(0, color=ink, lw=1)
        shares = sorted({share for gains in lines.values() for share in gains})
        axes.set(xscale="log", xlabel="% of the budget", ylabel="gain over the baseline, dB")
        axes.set_xticks(shares, [f"{share:.0f}" for share in shares])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.25)
        figure.legend(**_LEGEND, fontsize="small")

    return _plot(draw, (4.8, 5.4))


def _plot(draw: Any, size: tuple[float, float]) -> Plot:
    found = {}
    for theme, ink in _INK.items():
        style: Any = {**dict.fromkeys(_INKED, ink), **dict.fromkeys(_PAPERED, _PAPER[theme])}
        with mpl.rc_context(style):
            figure = Figure(figsize=size, layout="constrained", facecolor=_PAPER[theme])
            draw(figure, ink)
            content = io.BytesIO()
            figure.savefig(content, format="png", dpi=_DPI)
        found[theme] = data_address(content.getvalue())
    return found
