"""Measure the speed of a machine, and its tables: `hsisr benchmark --speed`.

Tiles are measured by `tile_speed`; a scene of PaviaU's size goes from file to file here, by hsisr
and by a plain loop.
"""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from hsisr.benchmark.options import SpeedOptions
from hsisr.benchmark.report import environment
from hsisr.benchmark.speed.plain import StageClock, lively_dacn, upscale_naively
from hsisr.benchmark.speed.tile_speed import OURS, PLAIN, tile_facts
from hsisr.benchmark.tables import NOTHING, Table, facts_table
from hsisr.commands.upscale import upscale
from hsisr.engine.device import device_named, torch_threads
from hsisr.engine.memory import tune_allocator
from hsisr.engine.options import UpscaleOptions
from hsisr.errors import OutputExistsError
from hsisr.io.atomic import replace_file
from hsisr.weights import default_for, save_weights

NAMES = ("speed.json", "speed.md")


def benchmark_speed(
    options: SpeedOptions, *, say: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Matrix products, tiles and whole scenes, all in this run.

    Args:
        options: What, and how thoroughly.
        say: Hears what is measured next.

    Returns:
        What speed.json holds.

    Raises:
        OutputExistsError: The folder holds such a report, and `overwrite` is off.
        ResourceError: Something cannot be had or written.
    """
    _refuse_existing(options)
    device, tell = device_named(options.device), say or (lambda _: None)
    tiles, scenes = [], []
    tune_allocator()
    with torch_threads(options.threads):
        found = environment(options.device)
        for scale in options.scales:
            tell(f"x{scale}: tiles")
            tiles += tile_facts(scale, device, rounds=options.rounds, quick=options.smoke)
        for scale in options.scales:
            tell(f"x{scale}: a scene from end to end")
            scenes += scene_facts(scale, options)
    facts = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": options.command,
        "environment": found,
        "rounds": options.rounds,
        "scene_shape": list(options.scene_shape),
        "tiles": tiles,
        "scenes": scenes,
    }
    if options.out is not None:
        text = json.dumps(facts, indent=1, allow_nan=False)
        replace_file(options.out / NAMES[0], f"{text}\n".encode())
        replace_file(options.out / NAMES[1], speed_page(facts).encode())
    return facts


def _refuse_existing(options: SpeedOptions) -> None:
    if options.out is None or options.overwrite:
        return
    for path in (options.out / name for name in NAMES):
        if path.exists():
            raise OutputExistsError(
                f"{path} exists; --overwrite replaces it, --out names another folder"
            )


NAIVE: Final = "dacn, plain loop"
_ENVI: Final = ".hdr"
_TIFF: Final = ".tif"


def scene_facts(scale: int, options: SpeedOptions) -> list[dict[str, Any]]:
    """One row for every model and format, one after the other, in this process."""
    released = default_for(scale)
    ways = [("dacn, random weights", "dacn.safetensors", _TIFF)]
    if released is not None:
        ways += [(released.name, released.name, suffix) for suffix in (_TIFF, _ENVI)]
    ways += [("bicubic", "bicubic", suffix) for suffix in (_TIFF, _ENVI)]
    with TemporaryDirectory(prefix="hsisr-speed-", dir=_place(options)) as name:
        folder = Path(name)
        source = folder / "scene.tif"
        write_smooth_scene(source, *options.scene_shape)
        save_weights(folder / "dacn.safetensors", *lively_dacn(scale))
        rows = [_naive_row(source, folder / "naive.tif", scale, options)]
        for title, model, suffix in ways:
            found = folder / model if model.endswith(".safetensors") else model
            rows.append(_row(title, str(found), source, suffix, scale, options))
    naive = rows[0]["seconds"]
    return [{**row, "naive_takes_times": naive / row["seconds"]} for row in rows]


def write_smooth_scene(path: Path, bands: int, rows: int, cols: int) -> None:
    """A uint16 GeoTIFF: smooth ground, a spectrum, a little noise; pixels of 30 m in UTM 33 N."""
    import rasterio
    from affine import Affine

    row, col = np.mgrid[:rows, :cols]
    ground = 1 + 0.4 * np.sin(row / 7) * np.cos(col / 11)
    noise = np.random.default_rng(0).uniform(0, 40, (rows, cols))
    place = Affine(30, 0, 364095, 0, -30, 5809965)
    with rasterio.open(
        path, "w", driver="GTiff", height=rows, width=cols, count=bands, dtype="uint16",
        crs="EPSG:32633", transform=place,
    ) as file:  # fmt: skip
        for band in range(bands):
            level = 1500 + 1200 * np.sin(band / 30)
            values = ground * level + np.roll(noise, 17 * band, axis=1)
            file.write(values.astype(np.uint16), band + 1)


def _place(options: SpeedOptions) -> Path | None:
    """Beside the report, where there is one, because outputs are large; else the system's place."""
    if options.out is None:
        return None
    options.out.mkdir(parents=True, exist_ok=True)
    return options.out


def _row(
    title: str, model: str, source: Path, suffix: str, scale: int, options: SpeedOptions
) -> dict[str, Any]:
    how = UpscaleOptions(scale=scale, model=model, device=options.device, threads=options.threads)
    clock = StageClock()
    target = source.with_name(f"finer{suffix}")
    started = time.perf_counter()
    result = upscale(source, target, how, stitcher=clock.stitch)
    seconds = time.perf_counter() - started
    _remove(source.parent, "finer*")
    return {
        "scale": scale,
        "way": title,
        "format": result.format,
        "tiles": result.tiles,
        "seconds": seconds,
        "stages": clock.seconds,
    }


def _naive_row(source: Path, target: Path, scale: int, options: SpeedOptions) -> dict[str, Any]:
    started = time.perf_counter()
    clock = upscale_naively(source, target, scale, options.device)
    seconds = time.perf_counter() - started
    _remove(target.parent, target.name)
    facts = {"scale": scale, "way": NAIVE, "format": "GTiff", "tiles": None}
    return {**facts, "seconds": seconds, "stages": clock.seconds}


def _remove(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink()


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
