"""The report: all facts as JSON, scores as CSV, tables as Markdown, everything as one page."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

from hsisr.benchmark.cells import Cells
from hsisr.benchmark.methods import COMMON, method_named
from hsisr.benchmark.options import BenchmarkOptions
from hsisr.benchmark.page import write_page
from hsisr.benchmark.scoring import CONVENTIONS
from hsisr.benchmark.splits import TrainTestSplit, leaks
from hsisr.benchmark.summary import curves, pairs, summaries
from hsisr.benchmark.tables import paper_table, published, report_tables, training_commands
from hsisr.engine.device import device_named
from hsisr.io.atomic import replace_file
from hsisr.io.scene_files import scene_identity
from hsisr.metrics.conventions import FIGURES, convention_named, definitions
from hsisr.metrics.report import as_csv
from hsisr.training.distributed import Workers
from hsisr.training.reporting import machine

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
        "options": _plain(options),
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


def _plain(options: BenchmarkOptions) -> dict[str, Any]:
    table = {f.name: getattr(options, f.name) for f in fields(options) if f.name != "command"}
    return {
        key: [str(v) if isinstance(v, Path) else v for v in value]
        if isinstance(value, tuple)
        else (str(value) if isinstance(value, Path) else value)
        for key, value in table.items()
    }


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
        "title": method.title,
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
    """Write report.json, report.csv, report.md and report.html, each whole.

    Raises:
        ResourceError: One cannot be written.
    """
    text = json.dumps(facts, indent=1, allow_nan=False, default=str)
    replace_file(out / "report.json", f"{text}\n".encode())
    replace_file(out / "report.csv", f"{scores_csv(facts['scores'])}\n".encode())
    tables = report_tables(facts)
    parts = ["# Benchmark", *(table.as_markdown() for table in tables), commands_text(facts)]
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


def commands_text(facts: Mapping[str, Any]) -> str:
    """The command that made the report, and those that do its trainings one by one."""
    command = facts["command"] or "hsisr.benchmark.run.benchmark(...)"
    lines = "\n".join([command, *training_commands(facts)])
    return f"## Command\n\n```\n{lines}\n```"
