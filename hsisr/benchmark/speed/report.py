"""The tables of `hsisr benchmark --speed`."""

from collections.abc import Mapping
from typing import Any

from hsisr.benchmark.speed.tile_speed import OURS, PLAIN
from hsisr.benchmark.tables import NOTHING, Table, facts_table

_GIGA = 1e9


def speed_tables(facts: Mapping[str, Any]) -> list[Table]:
    """The machine, its products, tiles, and scenes from end to end."""
    return [
        facts_table("Machine", facts["environment"]),
        _products(facts),
        _tiles(facts),
        _claims(facts),
        _scenes(facts),
    ]


def speed_page(facts: Mapping[str, Any]) -> str:
    """All tables as Markdown."""
    parts = ["# Speed", *(table.as_markdown() for table in speed_tables(facts))]
    command = facts["command"] or "hsisr.benchmark.speed.run.benchmark_speed(...)"
    return "\n\n".join([*parts, f"## Command\n\n```\n{command}\n```"]) + "\n"


def _products(facts: Mapping[str, Any]) -> Table:
    rows = [
        (f"x{part['scale']}", part["precision"], name, f"{rate / _GIGA:.0f}")
        for part in facts["tiles"]
        for name, rate in part["products"].items()
    ]
    return Table(
        title="Matrix products of the machine",
        header=("in the rounds of", "precision", "product", "GFLOP/s"),
        rows=tuple(rows),
        note="Pixels x features in x features out, as convolutions have them; medians. The "
        "fastest of a scale and precision is what is attainable there.",
        words=3,
    )


def _tiles(facts: Mapping[str, Any]) -> Table:
    rows = tuple(_tile_row(part, way) for part in facts["tiles"] for way in part["ways"])
    return Table(
        title="One tile",
        header=(
            *("scale", "precision", "way", "LR pixels in", "at once", "GFLOP", "ms", "GFLOP/s"),
            *("of attainable", "ms per million new values", "plain port takes times as long"),
        ),
        rows=rows,
        note="Per tile, so many at once as `hsisr upscale` has; medians of rounds in which "
        "all take turns; ratios round by round: median (least to "
        "most). GFLOP: convolutions, matrix products and attention, two per multiply-add, counted "
        "alike for all. New values: what the next tile and band group do not give again; the "
        "plain port and `output as large` are counted without overlapping tiles.",
        words=3,
    )


def _tile_row(part: Mapping[str, Any], way: Mapping[str, Any]) -> tuple[str, ...]:
    ratio = way["plain_takes_times"]
    return (
        f"x{part['scale']}",
        part["precision"],
        way["way"],
        f"{way['side_lr_px']} x {way['side_lr_px']}",
        str(way["tiles_at_once"]),
        f"{way['operations'] / _GIGA:.2f}",
        f"{way['seconds'] * 1e3:.1f}",
        f"{way['rate'] / _GIGA:.0f}",
        f"{100 * way['of_attainable']:.0f} %",
        f"{way['seconds_per_million_fresh'] * 1e3:.0f}",
        f"{ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['most']:.2f})",
    )


def _claims(facts: Mapping[str, Any]) -> Table:
    """How many operations folding saves, and how far the outputs are apart."""
    rows = []
    for part in facts["tiles"]:
        if part["precision"] == "float32":
            counted = {way["way"]: way["operations"] for way in part["ways"]}
            fewer = counted[PLAIN] / counted[OURS]
            rows.append((f"x{part['scale']}", f"{fewer:.3f}", f"{part['difference']:.1e}"))
    return Table(
        title="dacn folded",
        header=("scale", "times fewer operations", "largest difference / range of the output"),
        rows=tuple(rows),
        note="Against the plain port with the same random weights, borders included, float32.",
        words=1,
    )


def _scenes(facts: Mapping[str, Any]) -> Table:
    bands, rows, cols = facts["scene_shape"]
    return Table(
        title=f"A scene of {rows} x {cols} pixels and {bands} bands, from file to file",
        header=(
            *("scale", "way", "format", "s", "reading", "network", "writing", "rest"),
            "plain loop takes times as long",
        ),
        rows=tuple(_scene_row(row) for row in facts["scenes"]),
        note="Each once, one after another, in one process, float32. Shares of the time: writing "
        "is what the rest waits for the writer's thread; hsisr interpolates in a thread beside "
        "the rest, so shares of bicubic may exceed the whole. The plain loop holds the whole "
        "scene, does not overlap tiles, and writes without compression.",
        words=3,
    )


def _scene_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    shares = {name: seconds / row["seconds"] for name, seconds in row["stages"].items()}
    rest = 1 - sum(shares.values())
    return (
        f"x{row['scale']}",
        row["way"],
        row["format"],
        f"{row['seconds']:.1f}",
        *(f"{100 * share:.0f} %" for share in shares.values()),
        f"{100 * rest:.0f} %" if rest >= 0 else NOTHING,
        f"{row['naive_takes_times']:.2f}",
    )
