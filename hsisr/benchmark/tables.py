"""The tables of a report, as text in cells: the same for Markdown and for the page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hsisr.benchmark.published import DATASET_TITLES, published, published_figures
from hsisr.benchmark.summary import Row, Spread
from hsisr.text import markdown_cell

DIGITS: Final = {"mpsnr": 2, "mssim": 4, "sam": 3, "cc": 4, "ergas": 3, "rmse": 5, "uiqi": 4}
"""After the point, as the papers print them."""
TITLES: Final = {
    "mpsnr": "MPSNR, dB",
    "mssim": "MSSIM",
    "sam": "SAM, deg",
    "cc": "CC",
    "ergas": "ERGAS",
    "rmse": "RMSE",
    "uiqi": "UIQI",
}
NOTHING: Final = "-"

Spreads = Mapping[tuple[str, str, int], Mapping[str, Spread]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under a header."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: int = 1
    """Leading columns that hold words; the others hold numbers."""

    def as_markdown(self) -> str:
        """With its title as a heading."""
        lines = [f"## {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines.append(_line(self.header))
        rule = [" --- " if i < self.words else " ---: " for i in range(len(self.header))]
        lines.append(f"|{'|'.join(rule)}|")
        lines += [_line(row) for row in self.rows]
        return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(markdown_cell(cell) for cell in cells)} |"


def figure_text(spreads: Mapping[str, Spread], figure: str) -> str:
    """One measured figure, or a dash."""
    found = spreads.get(figure)
    if found is None:
        return NOTHING
    large = figure == "rmse" and found.mean >= 1  # in the unit of the values, not of their peak
    return found.text(2 if large else DIGITS[figure])


def results_table(
    figures: Spreads, convention: str, runs: Mapping[tuple[str, str, int], str], note: str
) -> Table:
    """Every figure of every method, in one convention.

    Args:
        figures: From `figures_over_seeds`.
        convention: Their name.
        runs: What each was trained for, in a word.
        note: Under the title.
    """
    rows = tuple(
        (
            course,
            method,
            f"x{scale}",
            *(figure_text(spreads, figure) for figure in DIGITS),
            runs.get((course, method, scale), NOTHING),
        )
        for (course, method, scale), spreads in figures.items()
    )
    return Table(
        title=f"Results, convention {convention}",
        header=("scenes", "method", "scale", *TITLES.values(), "training steps"),
        rows=rows,
        note=note,
        words=3,
    )


def paper_table(number: int, figures: Spreads, courses: Sequence[str], scales: set[int]) -> Table:
    """A table of the paper: what was printed, and what was measured here, side by side.

    Args:
        number: 1 (ablation) or 2 (all systems).
        figures: Measured, in the papers' convention.
        courses: Names of what was measured on.
        scales: That were measured; others are left out.
    """
    tables = published()
    names = ("mpsnr", "sam") if number == 1 else ("mpsnr", "mssim", "sam")
    datasets = ("paviau",) if number == 1 else ("paviac", "paviau")
    header, rows = ["scale", "system"], []
    groups = [*((d, "published") for d in datasets), *((c, "measured") for c in courses)]
    groups.sort(key=lambda group: _place(group[0], datasets))
    for place, kind in groups:
        title = DATASET_TITLES.get(place, place)
        header += [f"{title} {kind} {TITLES[name]}" for name in names]
    listed = dict.fromkeys(
        (row.get("scale", 4), row["title"], row["method"]) for row in tables[f"table{number}"]
    )
    bicubic = [(scale, "bicubic", "bicubic") for scale in dict.fromkeys(key[0] for key in listed)]
    for scale, title, method in sorted([*bicubic, *listed], key=lambda key: key[0]):
        if scale not in scales:
            continue
        cells = [f"x{scale}", title]
        for place, kind in groups:
            if kind == "published":
                printed = published_figures(method, scale, place)
                cells += [_printed(printed, name) for name in names]
            else:
                measured = figures.get((place, method, scale), {})
                cells += [figure_text(measured, name) for name in names]
        rows.append(tuple(cells))
    return Table(
        title="Table I of the paper, ablation" if number == 1 else "Table II of the paper",
        header=tuple(header),
        rows=tuple(rows),
        note=f"Published: {tables['source'][f'table{number}']}. Measured: here, in convention "
        "`dacn`, mean over scenes; ± is the sample standard deviation over n seeds.",
        words=2,
    )


def _place(name: str, datasets: Sequence[str]) -> int:
    """Measured columns stand beside the published ones of the same dataset."""
    return datasets.index(name) if name in datasets else len(datasets)


def _printed(figures: Mapping[str, float], name: str) -> str:
    return f"{figures[name]:.{DIGITS[name]}f}" if name in figures else NOTHING


def published_dacn_table(figures: Spreads) -> Table | None:
    """All figures of DACN's notebooks beside those measured on the same scenes; None without."""
    rows = []
    names = [name for name in DIGITS if name != "uiqi"]
    for (course, method, scale), measured in figures.items():
        printed = published_figures(method, scale, course)
        if printed and course in DATASET_TITLES:
            title = (DATASET_TITLES[course], method, f"x{scale}")
            rows.append((*title, "published", *(_printed(printed, name) for name in names)))
            rows.append((*title, "measured", *(figure_text(measured, name) for name in names)))
    if not rows:
        return None
    return Table(
        title="Published and measured, every figure",
        header=("scene", "method", "scale", "source", *(TITLES[name] for name in names)),
        rows=tuple(rows),
        note=f"CC, ERGAS and RMSE: {published()['source']['notebook']}.",
        words=4,
    )


def cost_table(costs: Iterable[Row]) -> Table:
    """What each network takes, by batch size."""
    rows = [
        (
            row["method"],
            f"x{row['scale']}",
            row["device"],
            str(row["batch"]),
            f"{row['parameters']:,}",
            NOTHING if row["flops"] is None else f"{row['flops'] / 1e9:.1f}",
            f"{row['seconds_per_mpb']:.3g}",
            f"{row['peak_bytes'] / 2**20:.0f}",
        )
        for row in costs
    ]
    return Table(
        title="Cost",
        header=(
            *("method", "scale", "device", "tiles at once", "parameters", "GFLOP of a tile"),
            *("s per megapixel-band", "peak memory, MiB"),
        ),
        rows=tuple(rows),
        note="Each line is one process of its own, in float32: the median of up to 5 passes after "
        "a first one. GFLOP: convolutions, matrix products and attention, two operations per "
        "multiply-add, of one tile with its margin. Seconds are per million HR values that a tile "
        "adds to a scene, overlaps counted once. Peak memory: on a GPU of its tensors, elsewhere "
        "of the whole process.",
        words=3,
    )


def facts_table(title: str, facts: Mapping[str, Any], note: str = "") -> Table:
    """Name and value, line by line."""
    rows = tuple((name, str(value)) for name, value in facts.items())
    return Table(title=title, header=("what", "value"), rows=rows, note=note, words=2)
