"""The tables of a report, from its facts, as text in cells: the same for Markdown and the page."""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from operator import itemgetter
from typing import Any, Final

from hsisr.benchmark.methods import PLAIN, titled
from hsisr.benchmark.options import MILESTONES
from hsisr.benchmark.summary import (
    SETTLED_DB,
    Row,
    Spread,
    chosen,
    figures_over_seeds,
    headline,
    interval,
    scene_gains,
)
from hsisr.metrics.report import markdown_cell

Facts = Mapping[str, Any]
Columns = Mapping[str, Callable[[Row], str]]
"""Title of a column, and what stands in it for a row."""

DIGITS: Final = {"mpsnr": 2, "mssim": 4, "sam": 3, "cc": 4, "ergas": 3, "rmse": 5, "uiqi": 4}
"""After the point, as the papers print them."""
FIGURE_TITLES: Final = {
    "mpsnr": "MPSNR, dB",
    "mssim": "MSSIM",
    "sam": "SAM, deg",
    "cc": "CC",
    "ergas": "ERGAS",
    "rmse": "RMSE",
    "uiqi": "UIQI",
}
NOTHING: Final = "-"

DATASET_TITLES: Final = {"paviac": "PaviaC", "paviau": "PaviaU"}
"""As the papers print them."""
PUBLISHED_FIGURES: Final = ("mpsnr", "mssim", "sam", "cc", "ergas", "rmse")
"""That others print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under a header."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: int = 1
    """Leading columns that hold words; the others hold numbers."""

    @classmethod
    def of(
        cls, title: str, rows: Iterable[Row], columns: Columns, *, note: str = "", words: int = 1
    ) -> "Table":
        """A line for each row."""
        cells = tuple(tuple(cell(row) for cell in columns.values()) for row in rows)
        return cls(title=title, header=tuple(columns), rows=cells, note=note, words=words)

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


def published() -> dict[str, Any]:
    """The file `published.toml`: `table1`, `table2` and `notebook` are rows, `source` says whose.

    >>> published()["table1"][2]["mpsnr"]
    30.67
    """
    path = files("hsisr.benchmark") / "published.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _method(row: Row) -> str:
    return titled(row["method"])


def _scale(row: Row) -> str:
    return f"x{row['scale']}"


def _db(value: object) -> str:
    return f"{value:+.2f}" if isinstance(value, (int, float)) else NOTHING


def _interval(ends: Sequence[float] | None) -> str:
    return NOTHING if ends is None else f"{_db(ends[0])} to {_db(ends[1])}"


def ranking_table(facts: Facts, course: str, scale: int) -> Table:
    """The headline of a course at a scale: ranks, and what they rest on."""
    scores = chosen(headline(facts["scores"]), course=course, scale=scale, share=1)
    steps, options, kind = _steps(facts), facts["options"], scores[0]["kind"]
    first, *others = options["blurs"]
    own = chosen(facts["curves"], course=course, scale=scale)
    known = [row for row in own if isinstance(row["gain_db"].get("1"), float)]
    order = sorted(known, key=lambda row: (not row["converged"], -row["gain_db"]["1"]))

    def summary(row: Row, **way: Any) -> Row:
        place = {"course": course, "scale": scale, "method": row["method"], "kind": kind}
        return next(iter(chosen(facts["summary"]["hsisr"], **place, **way)), {})

    def gain(**way: Any) -> Callable[[Row], str]:
        return lambda row: _db(summary(row, **way).get("gain_db"))

    def sam(row: Row) -> str:
        figures = summary(row, blur=first, agreement=True).get("figures", {})
        return f"{figures['sam']['mean']:.3f}" if "sam" in figures else NOTHING

    columns: Columns = {
        "rank": lambda row: str(order.index(row) + 1) if row["converged"] else NOTHING,
        "method": lambda row: _method(row) if row["method"] != PLAIN else "bicubic (the baseline)",
        "gain over the baseline, dB": lambda row: _db(row["gain_db"]["1"]),
        "95 % interval": lambda row: _interval(interval(scene_gains(scores, row["method"]))),
        "SAM, deg": sam,
        "gain without agreement, dB": gain(blur=first, agreement=False),
        **{f"gain, {blur} blur, dB": gain(blur=blur, agreement=True) for blur in others},
        "last doubling gained, dB": lambda row: _db(row["last_doubling_db"]),
        "steps": lambda row: steps.get((course, row["method"], scale), NOTHING),
    }
    settled = sum(row["converged"] for row in order)
    on_gpu = facts["environment"]["device"].startswith("cuda")
    clock = "by the clock" if on_gpu else "of processor time"
    note = (
        "The baseline is bicubic drawn to agree with the LR pixels, which learns nothing. "
        f"All results agree but those of the column that says so. Recipe {options['recipe']}, "
        f"{options['budget']:g} minutes {clock} each, threads: {options['threads']}, "
        f"blur: {first}. {settled} of {len(order)} rows have converged; a row whose "
        f"last doubling of the budget gained more than {SETTLED_DB} dB has no rank. Intervals: "
        f"bootstrap over {len({row['scene'] for row in scores})} scenes."
    )
    return Table.of(f"Ranking, {kind}, {course} x{scale}", order, columns, note=note, words=2)


def pairs_table(facts: Facts) -> Table:
    """Differences of every two methods, paired by scene."""
    pairs = facts["pairs"]
    count = sum(row["excludes_zero"] for row in pairs)
    columns: Columns = {
        "scenes": lambda row: f"{row['course']} x{row['scale']}",
        "method": lambda row: titled(row["methods"][0]),
        "other": lambda row: titled(row["methods"][1]),
        "excludes 0": lambda row: "yes" if row["excludes_zero"] else "no",
        "difference, dB": lambda row: _db(row["mean_db"]),
        "95 % interval": lambda row: _interval(row["interval_db"]),
        "scenes counted": lambda row: str(row["scenes"]),
    }
    note = (
        f"Of {len(pairs)} pairs, the difference of {count} excludes zero. Mean over scenes of "
        "the difference in MPSNR, with agreement, on the scenes of the headline; interval by "
        "bootstrap over scenes."
    )
    return Table.of("Pairs", pairs, columns, note=note, words=4)


def curves_table(facts: Facts) -> Table:
    """The gain over the baseline after each share of the budget."""

    def gain(share: float) -> Callable[[Row], str]:
        return lambda row: _db(row["gain_db"].get(f"{share:g}"))

    columns: Columns = {
        "scenes": itemgetter("course"),
        "method": _method,
        "converged": lambda row: "yes" if row["converged"] else "no",
        "scale": _scale,
        **{f"after {share:.0%}, dB": gain(share) for share in (*MILESTONES, 1.0)},
    }
    note = (
        "Over the baseline, on the scenes of the headline, after shares of "
        f"{facts['options']['budget']:g} minutes (of the steps, where a recipe ends by steps)."
    )
    return Table.of("Gain over the budget", facts["curves"], columns, note=note, words=3)


def results_table(facts: Facts, convention: str) -> Table:
    """Every figure of every method, in one convention, by kind of scene, blur and agreement."""

    def text(figure: str) -> Callable[[Row], str]:
        return lambda row: figure_text(
            {name: Spread(**value) for name, value in row["figures"].items()}, figure
        )

    columns: Columns = {
        "scenes": itemgetter("course"),
        "kind": itemgetter("kind"),
        "method": _method,
        "blur": itemgetter("blur"),
        "agreement": lambda row: "on" if row["agreement"] else "off",
        "scale": _scale,
        "gain, dB": lambda row: _db(row["gain_db"]),
        **{FIGURE_TITLES[figure]: text(figure) for figure in DIGITS},
    }
    note = (
        f"{facts['definitions'][convention]['source']}. Means over scenes; ± is the sample "
        "standard deviation over n seeds; gains are over the baseline of the same kind and blur."
    )
    title = f"Results, convention {convention}"
    return Table.of(title, facts["summary"][convention], columns, note=note, words=5)


def paper_table(facts: Facts, number: int) -> Table:
    """What was measured here, in the layout of table 1 (ablation) or 2 (systems) of the paper."""
    names = ("mpsnr", "sam") if number == 1 else ("mpsnr", "mssim", "sam")
    first = chosen(facts["scores"], blur=facts["options"]["blurs"][0], agreement=True, share=1)
    figures = figures_over_seeds(first, "dacn")
    rows = [
        {"scale": scale, "method": method}
        for scale in facts["options"]["scales"]
        for method in (
            PLAIN,
            *dict.fromkeys(row["method"] for row in published()[f"table{number}"]),
        )
        if number == 2 or scale == 4
    ]

    def text(course: str, name: str) -> Callable[[Row], str]:
        return lambda row: figure_text(figures.get((course, row["method"], row["scale"]), {}), name)

    courses = [course["name"] for course in facts["courses"]]
    columns: Columns = {"scale": _scale, "method": _method} | {
        f"{DATASET_TITLES.get(course, course)} {FIGURE_TITLES[name]}": text(course, name)
        for course in courses
        for name in names
    }
    title = f"Measured, in the layout of table {'I' if number == 1 else 'II'} of the paper"
    note = "In convention `dacn`, mean over all scenes, with agreement."
    return Table.of(title, rows, columns, note=note, words=2)


def published_table() -> Table:
    """Figures as others printed them, apart from all that was measured here."""
    tables = published()
    sources = "; ".join(tables["source"].values())
    ablation = [{"scale": 4, "dataset": "paviau", **row} for row in tables["table1"]]
    found: dict[tuple[str, int, str], dict[str, Any]] = {}
    for row in (*ablation, *tables["table2"], *tables["notebook"]):
        own = found.setdefault((row["dataset"], row["scale"], row["method"]), {})
        own.update({name: row[name] for name in ("title", *PUBLISHED_FIGURES) if name in row})
    rows = tuple(
        (
            DATASET_TITLES[dataset],
            f"x{scale}",
            row.get("title", method),
            *(
                f"{row[name]:.{DIGITS[name]}f}" if name in row else NOTHING
                for name in PUBLISHED_FIGURES
            ),
        )
        for (dataset, scale, method), row in sorted(found.items(), key=lambda item: item[0][:2])
    )
    return Table(
        title="Published figures",
        header=("scene", "scale", "system", *(FIGURE_TITLES[name] for name in PUBLISHED_FIGURES)),
        rows=rows,
        note="As printed, under the protocols of their authors: other scenes, splits and trainings "
        f"than here, so not to be compared with what was measured. {sources}.",
        words=3,
    )


def report_tables(facts: Facts) -> list[Table]:
    """All tables of a report; those with nothing to say are left out."""
    wanted = facts["options"]["table"]
    tables = [paper_table(facts, wanted)] if wanted else []
    places = dict.fromkeys((row["course"], row["scale"]) for row in facts["curves"])
    tables += [ranking_table(facts, course, scale) for course, scale in places]
    tables += [curves_table(facts)] if facts["trainings"] else []
    tables += [pairs_table(facts)] if facts["pairs"] else []
    tables += [results_table(facts, name) for name in facts["summary"]]
    tables += [cost_table(facts["costs"])] if facts["costs"] else []
    tables.append(methods_table(facts))
    tables += [trainings_table(facts)] if facts["trainings"] else []
    tables += [failures_table(facts)] if facts["failures"] else []
    environment = {"made": facts["created"], **facts["environment"]}
    return [
        *tables,
        scenes_table(facts),
        published_table(),
        leaks_table(facts),
        facts_table("Environment", environment),
    ]


def _steps(facts: Facts) -> dict[tuple[str, str, int], str]:
    """Steps of the trainings of each method, from the fewest to the most."""
    found: dict[tuple[str, str, int], list[int]] = {}
    for row in facts["trainings"]:
        if "steps" in row:
            key = (row["course"], row["method"], row["scale"])
            found.setdefault(key, []).append(row["steps"])
    return {
        key: str(min(steps)) if min(steps) == max(steps) else f"{min(steps)} to {max(steps)}"
        for key, steps in found.items()
    }


def methods_table(facts: Facts) -> Table:
    """What each method is, and how it learns."""
    columns: Columns = {
        "method": lambda row: titled(row["name"]),
        "what it is": itemgetter("about"),
        "training": lambda row: ", ".join(row["settings"]) or NOTHING,
        "changes": lambda row: ", ".join(row["changes"]) or NOTHING,
    }
    return Table.of("Methods", facts["methods"], columns, words=4)


def trainings_table(facts: Facts) -> Table:
    """Every training, with what was said during it."""
    columns: Columns = {
        "scenes": itemgetter("course"),
        "method": _method,
        "ended by": itemgetter("ending"),
        "remarks": lambda row: "; ".join(row["remarks"]) or NOTHING,
        "scale": _scale,
        "seed": lambda row: str(row["seed"]),
        "steps": lambda row: str(row.get("steps", NOTHING)),
        "seconds": lambda row: f"{row['seconds']:.0f}" if "seconds" in row else NOTHING,
        "weights, sha256": lambda row: row["weights_sha256"][:12],
    }
    return Table.of("Trainings", facts["trainings"], columns, words=4)


def failures_table(facts: Facts) -> Table:
    """What could not be done, and why."""
    columns: Columns = {"what": itemgetter("what"), "why": itemgetter("error")}
    return Table.of("Failures", facts["failures"], columns, words=2)


def scenes_table(facts: Facts) -> Table:
    """Files that taught and files that judged."""
    rows = tuple(
        (course["name"], use, str(name), f"{size:,}")
        for course in facts["courses"]
        for use, key in (("teaches", "train"), ("judges", "judges"))
        for name, size in course[key]
    )
    header = ("scenes", "use", "file", "bytes")
    return Table(title="Scenes", header=header, rows=rows, words=3)


def leaks_table(facts: Facts) -> Table:
    """What the published splits leak."""
    columns: Columns = {
        "dataset": itemgetter("dataset"),
        "test pixels": lambda row: f"{row['test_px']:,}",
        "of them also trained on": lambda row: f"{row['leak_px']:,}",
        "share": lambda row: f"{100 * row['leak_share']:.1f} %",
    }
    note = (
        "Computed by `hsisr.datasets.splits.published_split`. Only protocol dacn-published "
        "trains by these splits; a score on test pixels that were trained on flatters."
    )
    return Table.of("The published splits and their leak", facts["leaks"], columns, note=note)


def training_commands(facts: Facts) -> list[str]:
    """Every training of a report as a command of its own."""
    return [row["command"] for row in facts["trainings"] if "command" in row]


def cost_table(costs: Iterable[Row]) -> Table:
    """What each network takes, by batch size."""
    columns: Columns = {
        "method": _method,
        "scale": _scale,
        "device": itemgetter("device"),
        "tiles at once": lambda row: str(row["batch"]),
        "parameters": lambda row: f"{row['parameters']:,}",
        "GFLOP of a tile": lambda row: _part(row["flops"], 1e9, 1),
        "s per megapixel-band": lambda row: f"{row['seconds_per_mpb']:.3g}",
        "peak memory, MiB": lambda row: _part(row["peak_bytes"], 2**20, 0),
    }
    note = (
        "Each line is one process of its own, in float32: the median of up to 5 passes after "
        "a first one. GFLOP: convolutions, matrix products and attention, two operations per "
        "multiply-add, of one tile with its margin. Seconds are per million HR values that a tile "
        "adds to a scene, overlaps counted once. Peak memory: on a GPU of its tensors, elsewhere "
        "of the whole process."
    )
    return Table.of("Cost", costs, columns, note=note, words=3)


def _part(number: int | None, unit: float, digits: int) -> str:
    return NOTHING if number is None else f"{number / unit:.{digits}f}"


def facts_table(title: str, facts: Mapping[str, Any]) -> Table:
    """Name and value, line by line."""
    rows = tuple((name, str(value)) for name, value in facts.items())
    return Table(title=title, header=("what", "value"), rows=rows, words=2)
