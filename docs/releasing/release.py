"""Turn the folder of a training run into released weights: float16 file, card, catalogue entry.

    python docs/releasing/release.py RUN --default --judge dev/*.mat dev/*.tif
    python docs/releasing/release.py --again NAME --tiles 48,4,4 --name NEWER --judge ...
    python docs/releasing/release.py --again NAME --file LEANER --note WHY --judge ...

The weights are rounded to float16 first and judged as released, by Wald's protocol with two blurs,
beside bicubic that agrees with the LR pixels; every scene named after --judge stands in the card,
good or bad. The other forms release weights again that are released already, with other tiles or as
another file has them, such as one by `leaner.py`; with --name as a newer version beside the old.
"""

import argparse
import fnmatch
import functools
import json
import re
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hsisr.commands.evaluation.wald import WaldReport, evaluate_by_wald
from hsisr.commands.options import WaldOptions
from hsisr.weights import LoadedWeights, load_weights, save_weights
from hsisr.weights.store import file_sha256

HERE = Path(__file__).parent
WEIGHTS = HERE.parents[1] / "weights"
PAGE = HERE.parent / "src" / "reference" / "weights.md"
README = HERE.parents[1] / "README.md"
BLURS = {"area": "area averages", "mtf": "sensor-like blur (gain 0.3 at Nyquist)"}
KINDS = ("Remote sensing", "Indoor")
MARKS = ("<!-- gains, by docs/releasing/release.py -->\n", "<!-- end of gains -->\n")
JUDGED = "## Scores on scenes it was not trained on"
FIELDS = ("name", "file", "sha256", "scale", "card", "default", "alias")


def main(arguments: Sequence[str] | None = None) -> int:
    """Release one run, or weights again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("run", type=Path, nargs="?", help="folder that `hsisr train` wrote")
    what.add_argument("--again", metavar="NAME", help="weights that are released already")
    parser.add_argument("--name", help="default: that of the run's weights, or of NAME")
    parser.add_argument("--alias", default="", help="a name without version that stands for them")
    parser.add_argument("--default", action="store_true", help="used when --model is not given")
    parser.add_argument(
        "--tiles", type=whole_numbers, help="LR pixels: side of a tile, shared, context around it"
    )
    parser.add_argument("--file", type=Path, help="with --again: where the weights are now")
    parser.add_argument("--note", help="a line for the card's part on how they were made")
    parser.add_argument("--judge", type=Path, nargs="+", required=True, metavar="SCENE")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="where to")
    own = parser.parse_args(arguments)
    if own.file and not own.again:
        parser.error("--file needs --again")
    for path in own.judge:
        origin(path.name)
    reports = released_again(own) if own.run is None else released(own)
    sys.stdout.write(scores(reports) + "\n")
    if own.weights == WEIGHTS:
        for page, means in ((PAGE, False), (README, True)):
            before, rest = page.read_text(encoding="utf-8").split(MARKS[0])
            after = rest.split(MARKS[1])[1]
            text = f"{before}{MARKS[0]}{gains(WEIGHTS, means=means)}\n{MARKS[1]}{after}"
            page.write_text(text, encoding="utf-8")
    return 0


def released(own: argparse.Namespace) -> list[WaldReport]:
    """Release a run."""
    facts = json.loads((own.run / "run.json").read_text(encoding="utf-8"))
    for scene in facts["scenes"]:
        origin(scene["name"])
    trained = in_tiles(own.tiles, load_weights(own.run / facts["weights"]))
    name = own.name or trained.name
    card = (own.run / facts["weights"]).with_suffix(".md").read_text(encoding="utf-8")
    for parameter in trained.network.parameters():  # moving statistics stay: they may be large
        parameter.data = parameter.data.half()
    path, reports = saved_and_judged(name, trained, own)
    judgement = judged(name, trained.descriptor.tile_lr_px, reports)
    text = with_note(released_card(card, judgement, name), own.note)
    (own.weights / f"{name}.md").write_text(text, encoding="utf-8")
    row = entry(path, trained.descriptor.scale, own.default) | {"alias": own.alias}
    enter(own.weights / "catalogue.toml", row)
    return reports


def released_again(own: argparse.Namespace) -> list[WaldReport]:
    """Save released weights anew; their card gets new scores and the note, and keeps the rest."""
    table = tomllib.loads((own.weights / "catalogue.toml").read_text(encoding="utf-8"))
    row = next(row for row in table["weights"] if row["name"] == own.again)
    before = load_weights(own.weights / row["file"])
    trained = in_tiles(own.tiles, load_weights(own.file) if own.file else before)
    kind, was = ((d.arch, d.scale) for d in (trained.descriptor, before.descriptor))
    if kind != was:
        raise SystemExit(f"{own.file}: found {kind}, expected {was} for {own.again}")
    for parameter in trained.network.parameters():
        parameter.data = parameter.data.half()  # as they were stored
    name = own.name or own.again
    path, reports = saved_and_judged(own.name or Path(row["file"]).stem, trained, own)
    card = (own.weights / row["card"]).read_text(encoding="utf-8")
    head, rest = card.replace(f"# {own.again}\n", f"# {name}\n", 1).split(f"{JUDGED}\n")
    tail = rest[rest.index("\n## ") :]
    judgement = judged(name, trained.descriptor.tile_lr_px, reports)
    text = with_note(f"{head}{judgement}\n{tail}", own.note)
    renamed = entry(path, trained.descriptor.scale, row["default"]) if own.name else {}
    now = {**row, "sha256": file_sha256(path), **renamed}
    (own.weights / now["card"]).write_text(text, encoding="utf-8")
    enter(own.weights / "catalogue.toml", now)
    return reports


def whole_numbers(text: str) -> tuple[int, ...]:
    """What --tiles was given."""
    return tuple(map(int, text.split(",")))


def in_tiles(tiles: tuple[int, int, int] | None, trained: LoadedWeights) -> LoadedWeights:
    """The same weights for such tiles: side, shared, context; None: as they are."""
    if tiles is None:
        return trained
    side, shared, context = tiles
    descriptor = replace(
        trained.descriptor, tile_lr_px=side, overlap_lr_px=shared, margin_lr_px=context
    )
    return replace(trained, descriptor=descriptor)


def saved_and_judged(
    name: str, trained: LoadedWeights, own: argparse.Namespace
) -> tuple[Path, list[WaldReport]]:
    """The released file, and its scores on every judge."""
    descriptor = trained.descriptor
    path = save_weights(
        own.weights / f"{name}.safetensors",
        trained.network,
        descriptor,
        card=trained.card,
        trained=True,
        overwrite=True,
    )
    found = [
        evaluate_by_wald(scene, WaldOptions(scale=descriptor.scale, model=str(path), method=method))
        for method in BLURS
        for scene in own.judge
    ]
    return path, found


def entry(path: Path, scale: int, default: bool) -> dict[str, Any]:
    """What the catalogue says of released weights."""
    return {
        "name": path.stem,
        "file": path.name,
        "sha256": file_sha256(path),
        "scale": scale,
        "card": f"{path.stem}.md",
        "default": default,
    }


def released_card(card: str, judgement: str, name: str) -> str:
    """The run's card with its new name, the scores of all judges, origins and terms."""
    body = card.split("\n", 1)[1]
    head, scenes, tail = re.split(r"\n(## Training scenes|## How it was made)\n", body)[::2]
    parts = [
        f"# {name}",
        "\n" + head.strip().replace("## Scores", "## Scores on the validation windows"),
        "\n" + judgement,
        "\n## Training scenes\n\n" + with_terms(scenes.strip()),
        "\n## How it was made\n\n" + without_folders(tail.strip()),
    ]
    return "\n".join(parts) + "\n"


def with_note(card: str, note: str | None) -> str:
    """A line at the end of what the card says of how the weights were made."""
    if note is None:
        return card
    head, made = card.split("## How it was made\n\n")
    steps, gap, rest = made.rstrip().partition("\n\n")
    return f"{head}## How it was made\n\n{steps}\n- {note}{gap}{rest}\n"


def judged(name: str, tile: int, reports: Sequence[WaldReport]) -> str:
    """The card's part on scenes that the weights were not trained on."""
    return (
        f"{JUDGED}\n\n"
        f"Printed by `hsisr evaluate --wald SCENE --model {name} --scale {reports[0].scale} "
        f"--method area` (or `mtf`) on the float16 weights, in tiles of {tile} LR pixels, over "
        "valid pixels and live bands. Bicubic is cubic convolution with a = -0.5; the baseline is "
        "bicubic drawn to agree with the LR pixels, which learns nothing; gains are over the "
        f"baseline. All weights' results agree with the LR pixels too.\n\n{scores(reports)}"
    )


def scores(reports: Sequence[WaldReport]) -> str:
    """A Markdown table for each kind of scene and blur: one row per scene, and the mean gain."""
    parts = []
    for method, blur in BLURS.items():
        for kind in KINDS:
            own = [r for r in reports if (r.method, origin(r.scene.name)["kind"]) == (method, kind)]
            if own:
                parts.append(f"### {kind}, {blur}\n\n{table_of(own)}")
    return "\n\n".join(parts)


def table_of(reports: Sequence[WaldReport]) -> str:
    """One row per scene, and the mean gain."""
    units = [
        f"{unit} {who}".strip()
        for unit in ("dB", "deg")
        for who in ("bicubic", "baseline", "", "gain")
    ]
    rows = [f"| scene | sensor | {' | '.join(units)} |", "| --- " * 10 + "|"]
    for r in reports:
        cells = [r.scene.name, origin(r.scene.name)["sensor"]]
        for figure, digits in (("mpsnr", 2), ("sam", 3)):
            own = [each.values[figure] for each in (r.plain, r.baseline, r.scores)]
            cells += [*(f"{value:.{digits}f}" for value in own), f"{r.gain[figure]:+.{digits}f}"]
        rows.append(f"| {' | '.join(cells)} |")
    mean = {k: sum(r.gain[k] for r in reports) / len(reports) for k in ("mpsnr", "sam")}
    rows.append(f"| mean | | | | | {mean['mpsnr']:+.2f} | | | | {mean['sam']:+.3f} |")
    return "\n".join(rows)


def gains(weights: Path, *, means: bool = False) -> str:
    """The gains over the baseline on the cards of the default weights, all scales side by side.

    Args:
        weights: The folder of the catalogue.
        means: Only the mean and the worst of each kind of scene and blur.
    """
    table = tomllib.loads((weights / "catalogue.toml").read_text(encoding="utf-8"))
    defaults = sorted((r for r in table["weights"] if r["default"]), key=lambda r: int(r["scale"]))
    cards = {row["card"]: (weights / row["card"]).read_text(encoding="utf-8") for row in defaults}
    defaults = [row for row in defaults if "\n### " in cards[row["card"]]]  # else not judged so yet
    found: dict[str, dict[str, list[str]]] = {}
    for row in defaults:
        card = cards[row["card"]]
        for title, text in re.findall(r"^### (.*)\n\n((?:\|.*\n)+)", card, re.MULTILINE):
            for line in text.splitlines()[2:]:
                cells = [cell.strip() for cell in line.strip("|").split("|")]
                place = found.setdefault(title, {}).setdefault(cells[0], [])
                place.extend((cells[5], cells[9]))
    heads = [f"x{row['scale']}, {unit}" for row in defaults for unit in ("dB", "deg")]
    what = "mean gain over the baseline (worst scene)" if means else "gain over the baseline"
    lines = [[what, *heads]]
    lines.append(["---"] * (1 + len(heads)))
    for title, rows in found.items():
        if means:
            mean = rows.pop("mean")
            worst = (
                (max if n % 2 else min)(column, key=float)  # angles grow where spectra get worse
                for n, column in enumerate(zip(*rows.values(), strict=True))
            )
            lines.append([title, *(f"{m} ({w})" for m, w in zip(mean, worst, strict=True))])
        else:
            lines.append([f"**{title}**", *[""] * len(heads)])
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


def older(row: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    """A row of the catalogue beside a newer version: its name gets its own version, 1."""
    if not entry.get("alias"):
        return row
    replaced = entry["default"] and row["scale"] == entry["scale"]
    default = row.get("default", False) and not replaced
    name = f"{row['name']}-1" if row["name"] == entry["alias"] else row["name"]
    alias = "" if row.get("alias") == entry["alias"] else row.get("alias", "")
    return {**row, "name": name, "alias": alias, "default": default}


def enter(catalogue: Path, entry: dict[str, Any]) -> None:
    """Add an entry to the catalogue, or replace the one of that name."""
    text = catalogue.read_text(encoding="utf-8")
    comment = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("#"))
    rows = [row for row in tomllib.loads(text).get("weights", []) if row["name"] != entry["name"]]
    rows = [older(row, entry) for row in rows]
    rows = sorted([*rows, entry], key=lambda row: (not row.get("default"), row["name"]))
    tables = [
        "\n[[weights]]\n"
        + "".join(f"{k} = {json.dumps(row[k])}\n" for k in FIELDS if row.get(k, "") != "")
        for row in rows
    ]
    catalogue.write_text(comment + "".join(tables), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
