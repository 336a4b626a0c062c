"""Write the page of a comparison from its report.json.

    python docs/benchmarks/page.py docs/benchmarks/comparison/report.json

prints it, and `docs/src/reference/benchmark.md` is what it printed. Everything on the page comes
from that file, which `hsisr benchmark` wrote.
"""

import json
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hsisr.benchmark.report import commands_text
from hsisr.benchmark.sections import report_tables
from hsisr.benchmark.tables import Table

Facts = Mapping[str, Any]
PLAIN = "bicubic"
_FIRST_SCALE = 4


def page(facts: Facts) -> str:
    """The page as Markdown."""
    parts = [
        "# Methods compared",
        _opening(facts),
        "\n".join(f"- {line}" for line in _findings(facts)),
        gains_table(facts).as_markdown(),
        *(table.as_markdown() for table in report_tables(facts)),
        commands_text(facts),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(facts: Facts) -> str:
    options, environment = facts["options"], facts["environment"]
    course = facts["courses"][0]
    return (
        f"Every method at x{_FIRST_SCALE}, trained alike for {options['budget']:g} minutes on "
        f"{options['threads']} thread of {environment['device']}, on {len(course['train'])} real "
        f"scenes, and judged on {len(course['judges'])} others by Wald's protocol. Minutes on a "
        "processor are little: the tables tell how far each method comes with that, not how far "
        "it can come, and large networks had few steps. Other work ran on the machine's second "
        "core meanwhile. Published figures stand beside the measured ones, and come from other "
        "scenes and longer trainings.\n\n"
        "Made by `hsisr benchmark` (the command is at the end); this page was written by "
        "`python docs/benchmarks/page.py docs/benchmarks/comparison/report.json`. What it shows:"
    )


def _findings(facts: Facts) -> Iterator[str]:
    rows = {row["method"]: row for row in facts["summary"]["hsisr"]}
    gains = {name: row["gain_db"] for name, row in rows.items() if name != PLAIN}
    order = sorted(gains, key=lambda name: -gains[name])
    better = [name for name in order if gains[name] > 0]
    yield f"{len(better)} of {len(order)} networks are better than bicubic in mean MPSNR."
    named = ", ".join(f"{name} {gains[name]:+.2f} dB" for name in order[:3])
    yield (
        f"The best three, against bicubic: {named}; the last is {order[-1]} with "
        f"{gains[order[-1]]:+.2f} dB."
    )
    sharper = [name for name in order if _sam(rows[name]) < _sam(rows[PLAIN])]
    yield (
        f"{len(sharper)} of them have a smaller spectral angle than bicubic "
        f"({_sam(rows[PLAIN]):.2f} degrees): {', '.join(sharper) or 'none'}. The others gain "
        "sharpness at the cost of spectra."
    )
    if "dacn" in gains:
        yield (
            f"dacn is number {order.index('dacn') + 1} in MPSNR, {gains['dacn']:+.2f} dB, with "
            f"{_sam(rows['dacn']):.2f} degrees."
        )
    whole = gains.get("dacn")
    variants = [name for name in order if name.startswith("dacn-no-") or "-group-" in name]
    if whole is not None and variants:
        words = ", ".join(f"{name} {gains[name] - whole:+.2f}" for name in variants)
        spread = rows["dacn"]["figures"]["mpsnr"]["deviation"]
        beside = f"; dacn's own seeds spread by {spread:.2f} dB" if spread is not None else ""
        yield f"Against dacn, in dB: {words}{beside}."
    for leak in facts["leaks"]:
        if leak["leak_px"]:
            yield (
                f"{leak['leak_px']:,} of {leak['test_px']:,} test pixels "
                f"({100 * leak['leak_share']:.0f} %) of the published {leak['dataset']} split are "
                "also trained on."
            )


def _sam(row: Mapping[str, Any]) -> float:
    return float(row["figures"]["sam"]["mean"])


def gains_table(facts: Facts) -> Table:
    """MPSNR over bicubic, scene by scene: means over seeds."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in facts["scores"]:
        value = row["figures"]["hsisr"]["mpsnr"]
        found.setdefault((row["method"], row["scene"]), []).append(float(value))
    scenes = [name for name, _ in facts["courses"][0]["judges"]]
    methods = [row["name"] for row in facts["methods"] if row["name"] != PLAIN]
    rows = []
    for method in methods:
        cells = [
            f"{statistics.fmean(found[method, s]) - found[PLAIN, s][0]:+.2f}"
            if (method, s) in found
            else "-"
            for s in scenes
        ]
        rows.append((method, *cells))
    return Table(
        title="MPSNR over bicubic by scene, dB",
        header=("method", *(Path(s).stem for s in scenes)),
        rows=tuple(rows),
    )


if __name__ == "__main__":
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(page(report))
