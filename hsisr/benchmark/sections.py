"""Which tables a report has, from its facts, in their order."""

from collections.abc import Mapping
from typing import Any

from hsisr.benchmark.summary import figures_over_seeds
from hsisr.benchmark.tables import (
    NOTHING,
    Spreads,
    Table,
    cost_table,
    facts_table,
    paper_table,
    published_dacn_table,
    results_table,
)

Facts = Mapping[str, Any]


def measured(facts: Facts, convention: str) -> Spreads:
    """Mean and spread of every method, over all courses."""
    found: dict[tuple[str, str, int], Any] = {}
    for course in facts["courses"]:
        own = [row for row in facts["scores"] if row["course"] == course["name"]]
        found |= figures_over_seeds(own, len(course["judges"]), convention)
    return found


def report_tables(facts: Facts) -> list[Table]:
    """All tables of a report; those with nothing to say are left out."""
    figures = {name: measured(facts, name) for name in ("hsisr", "dacn")}
    steps = _steps(facts)
    tables = paper_tables(facts) if facts["options"]["table"] else []
    tables += [results_table(f, name, steps, _note(facts, name)) for name, f in figures.items()]
    if not facts["options"]["table"]:
        tables += paper_tables(facts)
    if (every := published_dacn_table(figures["dacn"])) is not None:
        tables.append(every)
    if facts["costs"]:
        tables.append(cost_table(facts["costs"]))
    tables.append(methods_table(facts))
    if facts["trainings"]:
        tables.append(trainings_table(facts))
    if facts["failures"]:
        tables.append(failures_table(facts))
    return [*tables, scenes_table(facts), leaks_table(facts), _environment_table(facts)]


def paper_tables(facts: Facts) -> list[Table]:
    """The paper's table asked for, or those that measured methods stand in."""
    figures = measured(facts, "dacn")
    names = [course["name"] for course in facts["courses"]]
    scales = set(facts["options"]["scales"])
    wanted = facts["options"]["table"]
    numbers = [wanted] if wanted else [n for n in (1, 2) if n == 2 or 4 in scales]
    return [paper_table(number, figures, names, scales) for number in numbers]


def _note(facts: Facts, convention: str) -> str:
    options = facts["options"]
    source = facts["definitions"][convention]["source"]
    agreement = (
        "Networks' results are drawn towards the observed pixels, as `hsisr upscale` does; plain "
        "bicubic is not."
        if options["protocol"] == "disjoint"
        else "No result is drawn towards the observed pixels."
    )
    disjoint = options["protocol"] == "disjoint"
    spent = (
        ", all of them steps, and its last weights count" if disjoint else ", validation included"
    )
    return (
        f"{source}. Protocol {options['protocol']}: each network learnt for at most "
        f"{options['budget']:g} minutes{spent}. {agreement} Means over the judging "
        "scenes; ± is the sample standard deviation over n seeds."
    )


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
    """What each method is, and by which loss it learns."""
    rows = tuple(
        (
            row["name"],
            row["about"],
            ", ".join(row["loss"]) or NOTHING,
            ", ".join(row["changes"]) or NOTHING,
        )
        for row in facts["methods"]
    )
    header = ("method", "what it is", "loss", "changes")
    return Table(title="Methods", header=header, rows=rows, words=4)


def trainings_table(facts: Facts) -> Table:
    """Every training, with what was said during it."""
    rows = tuple(
        (
            row["course"],
            row["method"],
            row["ending"],
            "; ".join(row["remarks"]) or NOTHING,
            f"x{row['scale']}",
            str(row["seed"]),
            str(row.get("steps", NOTHING)),
            f"{row['seconds']:.0f}" if "seconds" in row else NOTHING,
            row["weights_sha256"][:12],
        )
        for row in facts["trainings"]
    )
    return Table(
        title="Trainings",
        header=(
            *("scenes", "method", "ended by", "remarks"),
            *("scale", "seed", "steps", "seconds", "weights, sha256"),
        ),
        rows=rows,
        words=4,
    )


def failures_table(facts: Facts) -> Table:
    """What could not be done, and why."""
    rows = tuple((row["what"], row["error"]) for row in facts["failures"])
    return Table(title="Failures", header=("what", "why"), rows=rows, words=2)


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
    rows = tuple(
        (
            row["dataset"],
            f"{row['test_px']:,}",
            f"{row['leak_px']:,}",
            f"{100 * row['leak_share']:.1f} %",
        )
        for row in facts["leaks"]
    )
    return Table(
        title="The published splits and their leak",
        header=("dataset", "test pixels", "of them also trained on", "share"),
        rows=rows,
        note="Computed by `hsisr.datasets.splits.published_split`. Only protocol dacn-published "
        "trains by these splits; a score on test pixels that were trained on flatters.",
    )


def _environment_table(facts: Facts) -> Table:
    return facts_table("Environment", {"made": facts["created"], **facts["environment"]})


def training_commands(facts: Facts) -> list[str]:
    """Every training of a report as a command of its own."""
    return [row["command"] for row in facts["trainings"] if "command" in row]
