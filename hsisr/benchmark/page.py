"""report.html: one file that asks the network for nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2

from hsisr.benchmark.cells import Cells
from hsisr.benchmark.methods import PLAIN, TITLES
from hsisr.benchmark.pictures import Plot, SceneMaps, cost_plot, curve_plot, spectra_plot
from hsisr.benchmark.tables import Table, training_commands
from hsisr.io.atomic import replace_file
from hsisr.view.colours import colour_picture, map_picture, scale_picture, top_of

_MOST_SPECTRA: Final = 4
"""Methods whose spectra are drawn: bicubic and the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One method on the pictured scene."""

    name: str
    figures: str
    rgb: str
    rmse: str
    angle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """The pictured scene of one course."""

    title: str
    truth: str
    methods: tuple[Shown, ...]
    rmse_top: str
    angle_top: str
    spectra: Plot | None


def write_page(path: Path, facts: Mapping[str, Any], tables: Sequence[Table], cells: Cells) -> None:
    """Write the page, whole.

    Raises:
        ResourceError: It cannot be written.
    """
    text = files("hsisr.benchmark") / "report.html.j2"
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(text.read_text(encoding="utf-8")).render(
        facts=facts,
        tables=tables,
        galleries=galleries(facts, cells),
        colours=scale_picture(),
        curves=curve_plots(facts),
        plots=cost_plots(facts),
        commands=training_commands(facts),
    )
    replace_file(path, f"{page}\n".encode())


def galleries(facts: Mapping[str, Any], cells: Cells) -> list[Gallery]:
    """Pictures of every course that has some."""
    found = []
    for course in facts["courses"]:
        rows = [r for r in facts["scores"] if r["course"] == course["name"] and r["maps"]]
        if rows:
            found.append(_gallery(rows, cells))
    return found


def _gallery(rows: Sequence[Mapping[str, Any]], cells: Cells) -> Gallery:
    maps = {row["method"]: SceneMaps.load(cells.folder / row["maps"]) for row in rows}
    rmse_top = top_of([m.rmse for m in maps.values()])
    angle_top = top_of([m.angle_deg for m in maps.values()])
    first = next(iter(maps.values()))
    shown = tuple(
        Shown(
            name=TITLES.get(row["method"], row["method"]),
            figures=_figures_text(row["figures"]["hsisr"]),
            rgb=colour_picture(maps[row["method"]].rgb),
            rmse=map_picture(maps[row["method"]].rmse, rmse_top),
            angle=map_picture(maps[row["method"]].angle_deg, angle_top),
        )
        for row in rows
    )
    best = sorted(rows, key=lambda row: -_number(row["figures"]["hsisr"]["mpsnr"]))
    names = dict.fromkeys([PLAIN, *(row["method"] for row in best)])
    drawn = {name: maps[name] for name in names if name in maps}
    chosen = dict(list(drawn.items())[:_MOST_SPECTRA])
    return Gallery(
        title=f"{rows[0]['scene']}, x{rows[0]['scale']}, seed 0",
        truth=colour_picture(first.truth_rgb),
        methods=shown,
        rmse_top=f"{rmse_top:.4g}",
        angle_top=f"{angle_top:.3g}",
        spectra=spectra_plot(chosen) if len(first.pixels) else None,
    )


def _figures_text(figures: Mapping[str, Any]) -> str:
    return f"{_number(figures['mpsnr']):.2f} dB, {_number(figures['sam']):.2f}°"


def _number(value: float | str | None) -> float:
    """Back from JSON: "inf" and null are numbers again."""
    return float("nan") if value is None else float(value)


def curve_plots(facts: Mapping[str, Any]) -> list[tuple[str, Plot]]:
    """Gain over the baseline after each share of the budget, for every course and scale."""
    found = []
    for course, scale in dict.fromkeys((row["course"], row["scale"]) for row in facts["curves"]):
        lines = {
            TITLES.get(row["method"], row["method"]): {
                100 * float(share): gain
                for share, gain in row["gain_db"].items()
                if isinstance(gain, float)
            }
            for row in facts["curves"]
            if (row["course"], row["scale"]) == (course, scale) and len(row["gain_db"]) > 1
        }
        if lines:
            found.append((f"{course}, x{scale}", curve_plot(lines)))
    return found


def cost_plots(facts: Mapping[str, Any]) -> list[tuple[str, Plot]]:
    """Quality against cost, a plot for every course and scale that has both."""
    found = []
    quickest: dict[tuple[str, int], float] = {}
    for row in facts["costs"]:
        key = (row["method"], row["scale"])
        quickest[key] = min(quickest.get(key, float("inf")), row["seconds_per_mpb"])
    for course in facts["courses"]:
        for scale in facts["options"]["scales"]:
            points = [
                {
                    "method": TITLES.get(row["method"], row["method"]),
                    "seconds": quickest[row["method"], scale],
                    "mpsnr": row["figures"]["mpsnr"]["mean"],
                    "deviation": row["figures"]["mpsnr"]["deviation"],
                }
                for row in facts["summary"]["hsisr"]
                if (row["course"], row["scale"]) == (course["name"], scale)
                and row["agreement"]
                and row["blur"] == facts["options"]["blurs"][0]
                and row["kind"] == facts["summary"]["hsisr"][0]["kind"]
                and (row["method"], scale) in quickest
                and "mpsnr" in row["figures"]
            ]
            if points:
                found.append((f"{course['name']}, x{scale}", cost_plot(points)))
    return found
