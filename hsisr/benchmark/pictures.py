"""Pictures of a report as PNG: maps without words, plots once for light and once for dark pages."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from hsisr.benchmark.maps import RANKS, SceneMaps
from hsisr.text import picture_label
from hsisr.view.colours import data_address

_DPI: Final = 150
_INK: Final = {"light": "#1c1f23", "dark": "#e6e6e6"}
_PAPER: Final = {"light": "#ffffff", "dark": "#16191d"}
_MARKERS: Final = "osD^v<>PX*ph"


@dataclass(frozen=True, slots=True)
class Plot:
    """The same drawing for both kinds of page, as data addresses."""

    light: str
    dark: str


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
        figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False)
        panels[-1].set_xlabel("band" if axis is None else "wavelength, nm")

    return _plot(draw, (4.8, 7.0))


_WIDE: Final = 100
"""Beyond this ratio of costs, labels between the powers of ten would overlap."""


def cost_plot(points: Sequence[Mapping[str, Any]]) -> Plot:
    """Quality against cost: MPSNR over seconds per megapixel-band; bars are the spread.

    Args:
        points: Each with method, seconds, mpsnr, and deviation or None.
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
        figure.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)

    return _plot(draw, (4.8, 5.4))


def _plot(draw: Any, size: tuple[float, float]) -> Plot:
    found = {}
    for theme, ink in _INK.items():
        style: Any = {
            "text.color": ink,
            "axes.labelcolor": ink,
            "axes.edgecolor": ink,
            "axes.facecolor": _PAPER[theme],
            "legend.facecolor": _PAPER[theme],
            "xtick.color": ink,
            "ytick.color": ink,
        }
        with mpl.rc_context(style):
            figure = Figure(figsize=size, layout="constrained", facecolor=_PAPER[theme])
            draw(figure, ink)
            content = io.BytesIO()
            figure.savefig(content, format="png", dpi=_DPI)
        found[theme] = data_address(content.getvalue())
    return Plot(**found)
