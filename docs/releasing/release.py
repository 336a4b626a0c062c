"""Turn the folder of a training run into released weights: float16 file, card, catalogue entry.

    python docs/releasing/release.py RUN --default --judge dev/*.mat dev/*.tif

The weights are rounded to float16 first and judged as released, by Wald's protocol, beside plain
bicubic; every scene named after --judge stands in the card, good or bad.
"""

import argparse
import fnmatch
import functools
import json
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hsisr.commands.wald import WaldOptions, WaldReport, evaluate_by_wald
from hsisr.weights import load_weights, save_weights
from hsisr.weights.store import file_sha256

HERE = Path(__file__).parent
WEIGHTS = HERE.parents[1] / "weights"
PAGE = HERE.parent / "src" / "reference" / "weights.md"
MARKS = ("<!-- gains, by docs/releasing/release.py -->\n", "<!-- end of gains -->\n")
FIELDS = ("name", "file", "sha256", "scale", "card", "default")


def main(arguments: Sequence[str] | None = None) -> int:
    """Release one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="folder that `hsisr train` wrote")
    parser.add_argument("--name", help="default: the name of the run's weights")
    parser.add_argument("--default", action="store_true", help="used when --model is not given")
    parser.add_argument("--judge", type=Path, nargs="+", required=True, metavar="SCENE")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="where to")
    own = parser.parse_args(arguments)
    facts = json.loads((own.run / "run.json").read_text(encoding="utf-8"))
    for scene in (*(path.name for path in own.judge), *(s["name"] for s in facts["scenes"])):
        origin(scene)
    trained = load_weights(own.run / facts["weights"])
    name = own.name or trained.name
    for parameter in trained.network.parameters():  # moving statistics stay: they may be large
        parameter.data = parameter.data.half()
    path = save_weights(
        own.weights / f"{name}.safetensors",
        trained.network,
        trained.descriptor,
        card=trained.card,
        overwrite=True,
    )
    scale = trained.descriptor.scale
    reports = [
        evaluate_by_wald(scene, WaldOptions(scale=scale, model=str(path))) for scene in own.judge
    ]
    card = (own.run / facts["weights"]).with_suffix(".md").read_text(encoding="utf-8")
    released = released_card(card, name, reports)
    (own.weights / f"{name}.md").write_text(released, encoding="utf-8")
    entry = {
        "name": name,
        "file": path.name,
        "sha256": file_sha256(path),
        "scale": scale,
        "card": f"{name}.md",
        "default": own.default,
    }
    enter(own.weights / "catalogue.toml", entry)
    sys.stdout.write(scores(reports) + "\n")
    if own.weights == WEIGHTS:
        before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        text = f"{before}{MARKS[0]}{gains(WEIGHTS)}\n{MARKS[1]}{after}"
        PAGE.write_text(text, encoding="utf-8")
    return 0


def released_card(card: str, name: str, reports: Sequence[WaldReport]) -> str:
    """The run's card with its new name, the scores of all judges, origins and terms."""
    scale = reports[0].scale
    body = card.split("\n", 1)[1]
    head, scenes, tail = re.split(r"\n(## Training scenes|## How it was made)\n", body)[::2]
    judged = (
        "## Scores on scenes it was not trained on\n\n"
        f"Printed by `hsisr evaluate --wald SCENE --model {name} --scale {scale}` on the float16 "
        "weights, over valid pixels and live bands; bicubic is cubic convolution with a = -0.5, "
        f"without agreement.\n\n{scores(reports)}"
    )
    parts = [
        f"# {name}",
        "\n" + head.strip().replace("## Scores", "## Scores on the validation windows"),
        "\n" + judged,
        "\n## Training scenes\n\n" + with_terms(scenes.strip()),
        "\n## How it was made\n\n" + without_folders(tail.strip()),
    ]
    return "\n".join(parts) + "\n"


def scores(reports: Sequence[WaldReport]) -> str:
    """A Markdown table, one row per scene, and the mean gain."""
    rows = [
        "| scene | sensor | MPSNR bicubic | MPSNR, dB | gain | SAM bicubic | SAM, deg | gain |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in reports:
        old, new, gain = r.plain.values, r.scores.values, r.gain
        rows.append(
            f"| {r.scene.name} | {origin(r.scene.name)['sensor']} "
            f"| {old['mpsnr']:.2f} | {new['mpsnr']:.2f} | {gain['mpsnr']:+.2f} "
            f"| {old['sam']:.3f} | {new['sam']:.3f} | {gain['sam']:+.3f} |"
        )
    mean = {k: sum(r.gain[k] for r in reports) / len(reports) for k in ("mpsnr", "sam")}
    rows.append(f"| mean | | | | {mean['mpsnr']:+.2f} | | | {mean['sam']:+.3f} |")
    return "\n".join(rows)


def gains(weights: Path) -> str:
    """The gains on the cards of the default weights, all scales side by side."""
    table = tomllib.loads((weights / "catalogue.toml").read_text(encoding="utf-8"))
    defaults = sorted((r for r in table["weights"] if r["default"]), key=lambda r: int(r["scale"]))
    rows: dict[str, list[str]] = {}
    for row in defaults:
        card = (weights / row["card"]).read_text(encoding="utf-8")
        for line in re.findall(r"^\| .* \| [+-]\d+\.\d{3} \|$", card, re.MULTILINE):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            rows.setdefault(f"{cells[0]} | {cells[1]}", []).extend((cells[4], cells[7]))
    heads = [f"x{row['scale']}, {unit}" for row in defaults for unit in ("dB", "deg")]
    lines = [["scene | sensor", *heads], ["--- | ---", *["---"] * len(heads)]]
    lines += [[place, *values] for place, values in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@functools.cache
def known_scenes() -> list[dict[str, str]]:
    """The table of origins and terms."""
    found: list[dict[str, str]] = tomllib.loads((HERE / "scenes.toml").read_text(encoding="utf-8"))[
        "scenes"
    ]
    return found


def origin(scene: str) -> dict[str, str]:
    """Sensor, origin and terms of a scene, by its file's name."""
    for row in known_scenes():
        if fnmatch.fnmatch(scene, row["files"]):
            return row
    raise SystemExit(f"{scene}: no origin and terms in {HERE / 'scenes.toml'}; add them there")


def with_terms(table: str) -> str:
    """The card's table of scenes with three more columns."""
    lines = table.splitlines()
    widened = [f"{lines[0]} sensor | origin | terms |", f"{lines[1]} --- | --- | --- |"]
    for line in lines[2:]:
        known = origin(line.split("|")[1].strip()) if line.startswith("| ") else None
        more = (
            "" if known is None else f" {known['sensor']} | {known['origin']} | {known['terms']} |"
        )
        widened.append(line + more)
    return "\n".join(widened)


def without_folders(text: str) -> str:
    """Absolute paths cut to the file and the folder it lies in: another's machine is not ours."""
    return re.sub(r"(?<=[ `])/\S*/(?=[^/\s]+/[^/\s`]+)", "", text)


def enter(catalogue: Path, entry: dict[str, Any]) -> None:
    """Add an entry to the catalogue, or replace the one of that name."""
    text = catalogue.read_text(encoding="utf-8")
    comment = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("#"))
    rows = [row for row in tomllib.loads(text).get("weights", []) if row["name"] != entry["name"]]
    rows = sorted([*rows, entry], key=lambda row: (not row.get("default"), row["name"]))
    tables = [
        "\n[[weights]]\n" + "".join(f"{key} = {json.dumps(row[key])}\n" for key in FIELDS)
        for row in rows
    ]
    catalogue.write_text(comment + "".join(tables), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
