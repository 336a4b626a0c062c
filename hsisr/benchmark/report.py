"""The report: all facts as JSON, scores as CSV, tables as Markdown, everything as one HTML file."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
import psutil

from hsisr.benchmark.methods import COMMON, PLAIN, method_named, titled
from hsisr.benchmark.options import BenchmarkOptions
from hsisr.benchmark.pictures import Plot, SceneMaps, cost_plot, curve_plot, spectra_plot
from hsisr.benchmark.runs import Cells
from hsisr.benchmark.scoring import CONVENTIONS
from hsisr.benchmark.splits import TrainTestSplit, leaks
from hsisr.benchmark.summary import chosen, curves, pairs, summaries
from hsisr.benchmark.tables import Table, paper_table, published, report_tables, training_commands
from hsisr.engine.machine import device_named
from hsisr.io.atomic import replace_file
from hsisr.metrics.conventions import FIGURES, convention_named, definitions
from hsisr.metrics.report import as_csv
from hsisr.option import plain_fields
from hsisr.resume.record import scene_identity
from hsisr.training.distributed import Workers
from hsisr.training.reporting import machine
from hsisr.view.encoding import colour_picture, map_picture, scale_picture, top_of

_MOST_SPECTRA: Final = 4
"""Methods whose spectra are drawn: bicubic and the best."""


def write_page(path: Path, facts: Mapping[str, Any], tables: Sequence[Table], cells: Cells) -> None:
    """Write the page, whole."""
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


def galleries(facts: Mapping[str, Any], cells: Cells) -> list[dict[str, Any]]:
    """Pictures of every course that has some, as the page's template names them."""
    pictured = [row for row in facts["scores"] if row["maps"]]
    by_course = [chosen(pictured, course=course["name"]) for course in facts["courses"]]
    return [_gallery(rows, cells) for rows in by_course if rows]


def _gallery(rows: Sequence[Mapping[str, Any]], cells: Cells) -> dict[str, Any]:
    maps = {row["method"]: SceneMaps.load(cells.folder / row["maps"]) for row in rows}
    rmse_top = top_of([m.rmse for m in maps.values()])
    angle_top = top_of([m.angle_deg for m in maps.values()])
    first = next(iter(maps.values()))
    methods = [
        {
            "name": titled(row["method"]),
            "figures": "{:.2f} dB, {:.2f}°".format(
                *(_number(row["figures"]["hsisr"][name]) for name in ("mpsnr", "sam"))
            ),
            "rgb": colour_picture(maps[row["method"]].rgb),
            "rmse": map_picture(maps[row["method"]].rmse, rmse_top),
            "angle": map_picture(maps[row["method"]].angle_deg, angle_top),
        }
        for row in rows
    ]
    best = sorted(rows, key=lambda row: -_number(row["figures"]["hsisr"]["mpsnr"]))
    names = dict.fromkeys([PLAIN, *(row["method"] for row in best)])
    drawn = {name: maps[name] for name in names if name in maps}
    few = dict(list(drawn.items())[:_MOST_SPECTRA])
    return {
        "title": f"{rows[0]['scene']}, x{rows[0]['scale']}, seed 0",
        "truth": colour_picture(first.truth_rgb),
        "methods": methods,
        "rmse_top": f"{rmse_top:.4g}",
        "angle_top": f"{angle_top:.3g}",
        "spectra": spectra_plot(few) if len(first.pixels) else None,
    }


def _number(value: float | str | None) -> float:
    """Back from JSON: "inf" and null are numbers again."""
    return float("nan") if value is None else float(value)


def curve_plots(facts: Mapping[str, Any]) -> list[tuple[str, Plot]]:
    """Gain over the baseline after each share of the budget, for every course and scale."""
    found = []
    for course, scale in dict.fromkeys((row["course"], row["scale"]) for row in facts["curves"]):
        lines = {
            titled(row["method"]): {
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
                    "method": titled(row["method"]),
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


_LIBRARIES: Final = ("numpy", "rasterio", "matplotlib")


@dataclass(slots=True, eq=False)
class Findings:
    """Rows gathered so far, as plain values."""

    trainings: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)


def report_facts(
    options: BenchmarkOptions, courses: Sequence[TrainTestSplit], findings: Findings
) -> dict[str, Any]:
    """Everything that is known, as plain values; what report.json holds."""
    facts: dict[str, Any] = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": options.command,
        "options": {k: v for k, v in plain_fields(options).items() if k != "command"},
        "environment": environment(options.device),
        "courses": [_course(course) for course in courses],
        "leaks": leaks(),
        "methods": [_method(name, options.recipe) for name in options.methods],
        "trainings": findings.trainings,
        "scores": findings.scores,
        "costs": findings.costs,
        "failures": findings.failures,
        "published": published(),
        "definitions": {
            name: {
                "source": convention_named(name).source,
                **definitions(convention_named(name), None),
            }
            for name in CONVENTIONS
        },
    }
    facts["summary"] = {name: summaries(findings.scores, name) for name in CONVENTIONS}
    facts["curves"] = curves(findings.scores)
    facts["pairs"] = pairs(findings.scores)
    return facts


def _course(course: TrainTestSplit) -> dict[str, Any]:
    return {
        "name": course.name,
        "train": [scene_identity(path)[0][:2] for path in course.train],
        "judges": [[path.name, scene_identity(path)[0][1]] for path in course.judges],
    }


def _method(name: str, recipe: str) -> dict[str, Any]:
    method = method_named(name)
    return {
        "name": name,
        "arch": method.arch,
        "about": method.about,
        "title": titled(name),
        "settings": list(COMMON if recipe == "common" else method.authors),
        "changes": list(method.changes),
    }


def environment(device: str) -> dict[str, Any]:
    """Machine, cores, memory and versions."""
    found = machine(device_named(device), Workers())
    return {
        **found["hardware"],
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        **found["versions"],
        **{name: version(name) for name in _LIBRARIES},
    }


def write_report(out: Path, facts: Mapping[str, Any], cells: Cells) -> None:
    """Write report.json, report.csv, report.md and report.html, each whole."""
    text = json.dumps(facts, indent=1, allow_nan=False, default=str)
    replace_file(out / "report.json", f"{text}\n".encode())
    replace_file(out / "report.csv", f"{scores_csv(facts['scores'])}\n".encode())
    tables = report_tables(facts)
    command = facts["command"] or "hsisr.benchmark.run.benchmark(...)"
    commands = "\n".join([command, *training_commands(facts)])
    parts = ["# Benchmark", *(table.as_markdown() for table in tables)]
    parts.append(f"## Command\n\n```\n{commands}\n```")
    replace_file(out / "report.md", ("\n\n".join(parts) + "\n").encode())
    write_page(out / "report.html", facts, tables, cells)


def paper_table_text(facts: Mapping[str, Any]) -> str:
    """The paper's table that was asked for, as Markdown."""
    return paper_table(facts, facts["options"]["table"]).as_markdown()


def scores_csv(scores: Iterable[Mapping[str, Any]]) -> str:
    """One line per method, scale, seed, scene and way of judging; `dacn_` for that convention."""
    ways = ("kind", "blur", "agreement", "share")
    sizes = ("bands", "rows", "cols", "seconds")
    places = ("course", "method", "scale", "seed", "scene", *ways, *sizes)
    header = (*places, *FIGURES, *(f"dacn_{name}" for name in FIGURES))
    return as_csv(
        header,
        (
            (
                *(row[name] for name in places),
                *(row["figures"][kind][name] for kind in CONVENTIONS for name in FIGURES),
            )
            for row in scores
        ),
    )
