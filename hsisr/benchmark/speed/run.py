"""Measure how fast a machine upscales tiles and whole scenes: `hsisr benchmark --speed`."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from hsisr.benchmark.options import SpeedOptions
from hsisr.benchmark.report import environment
from hsisr.benchmark.speed.network_cost import fresh_values, operations
from hsisr.benchmark.summary import Row
from hsisr.benchmark.tables import Columns, Table, facts_table
from hsisr.commands.upscale import upscale
from hsisr.engine.machine import (
    PRECISIONS,
    automatic_precision,
    device_named,
    tiles_that_pay,
    torch_threads,
    tune_allocator,
)
from hsisr.engine.options import UpscaleOptions
from hsisr.errors import OutputExistsError
from hsisr.io.atomic import replace_file
from hsisr.models.fast.cuda_graph import SETTLED_AFTER
from hsisr.models.registry import for_inference
from hsisr.weights import default_for, load_weights, resolve

NAMES = ("speed.json", "speed.md")
_GIGA: Final = 1e9

Subjects = Mapping[str, Callable[[], object]]


def benchmark_speed(
    options: SpeedOptions, *, say: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Tiles and whole scenes, all in this run; returns what speed.json holds.

    `say` hears what is measured next.
    """
    _refuse_existing(options)
    device, tell = device_named(options.device), say or (lambda _: None)
    tiles, scenes = [], []
    tune_allocator()
    with torch_threads(options.threads):
        found = environment(options.device)
        for scale in options.scales:
            tell(f"x{scale}: a tile")
            with torch_threads(1 if device.type == "cpu" else None):
                tiles += tile_facts(scale, device, options.rounds)
        for scale in options.scales:
            tell(f"x{scale}: a scene from file to file")
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


def tile_facts(scale: int, device: torch.device, rounds: int) -> list[dict[str, Any]]:
    """Seconds of one tile of the default network, in float32 and in what `auto` takes here.

    On a processor of one tile by one thread, as those of a scene are computed; none without
    weights.
    """
    if (entry := default_for(scale)) is None:
        return []
    released = load_weights(resolve(entry.name, scale))
    trained, descriptor = released.network.to(device), released.descriptor
    side, bands = descriptor.tile_lr_px + 2 * descriptor.margin_lr_px, descriptor.group_size
    zero = torch.zeros(1, bands, 1, 1, device=device)
    facts = []
    for name in dict.fromkeys(("float32", automatic_precision(device))):
        precision = PRECISIONS[name]
        fast = for_inference(trained, precision)
        at_once = tiles_that_pay(device) if device.type == "cuda" else 1
        lr = torch.rand(at_once, bands, side, side, device=device)

        ways = {
            way: partial(_called, network, lr, zero, precision)
            for way, network in (("trained", trained), ("hsisr", fast))
        }
        seconds = taking_turns(ways, rounds, device)
        facts.append(
            {
                "scale": scale,
                "network": entry.name,
                "precision": name,
                "side_lr_px": side,
                "tiles_at_once": at_once,
                "operations": operations(fast, lr[:1], zero),
                "fresh_values": fresh_values(descriptor),
                "seconds": {way: statistics.median(s) / at_once for way, s in seconds.items()},
                "trained_takes_times": spread(seconds["trained"], seconds["hsisr"]),
            }
        )
    return facts


def _called(
    network: nn.Module, lr: torch.Tensor, zero: torch.Tensor, precision: torch.dtype
) -> object:
    """One pass in a precision, by autocast as `hsisr upscale --precision` has it."""
    enabled = precision is not torch.float32
    with torch.autocast(lr.device.type, precision, enabled=enabled):
        return network(lr, zero)


def taking_turns(subjects: Subjects, rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every subject in every round, so that what else runs falls on all alike.

    In its turn a subject is called twice, and the second call counts: the first one finds memory
    and caches as another subject left them. On a GPU there are as many rounds before as it takes
    until CUDA graphs are recorded.
    """
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    before = SETTLED_AFTER if device.type == "cuda" else 0
    with torch.inference_mode():
        for number in range(rounds + before):
            for name, call in subjects.items():
                call()
                _wait(device)
                started = time.perf_counter()
                call()
                _wait(device)
                if number >= before:
                    seconds[name].append(time.perf_counter() - started)
    return seconds


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def spread(longer: Sequence[float], shorter: Sequence[float]) -> dict[str, float]:
    """Median, least and most of the ratios, round by round.

    >>> spread([2.0, 9.0, 4.0], [1.0, 3.0, 4.0])
    {'median': 2.0, 'least': 1.0, 'most': 3.0}
    """
    ratios = [a / b for a, b in zip(longer, shorter, strict=True)]
    return {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}


def scene_facts(scale: int, options: SpeedOptions) -> list[dict[str, Any]]:
    """Seconds of the default network and of bicubic, to GeoTIFF and to ENVI, one after another."""
    models = ["bicubic"]
    if (entry := default_for(scale)) is not None:
        models.insert(0, entry.name)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="hsisr-speed-", dir=options.out) as name:  # outputs are large
        source = Path(name) / "scene.tif"
        write_smooth_scene(source, *options.scene_shape)
        for model in models:
            how = UpscaleOptions(
                scale=scale, model=model, device=options.device, threads=options.threads
            )
            rows += [
                {"scale": scale, "model": model, **_timed(source, suffix, how)}
                for suffix in (".tif", ".hdr")
            ]
    return rows


def _timed(source: Path, suffix: str, how: UpscaleOptions) -> dict[str, Any]:
    """Upscale to a file that is removed again."""
    started = time.perf_counter()
    result = upscale(source, source.with_name(f"finer{suffix}"), how)
    seconds = time.perf_counter() - started
    for path in source.parent.glob("finer*"):
        path.unlink()
    return {"format": result.format, "tiles": result.tiles, "seconds": seconds}


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


def speed_page(facts: Mapping[str, Any]) -> str:
    """All tables as Markdown."""
    tables = facts_table("Machine", facts["environment"]), _tiles(facts), _scenes(facts)
    parts = ["# Speed", *(table.as_markdown() for table in tables)]
    command = facts["command"] or "hsisr.benchmark.speed.run.benchmark_speed(...)"
    return "\n\n".join([*parts, f"## Command\n\n```\n{command}\n```"]) + "\n"


def _tiles(facts: Mapping[str, Any]) -> Table:
    columns: Columns = {
        "network": itemgetter("network"),
        "precision": itemgetter("precision"),
        "LR pixels in": lambda tile: f"{tile['side_lr_px']} x {tile['side_lr_px']}",
        "at once": lambda tile: str(tile["tiles_at_once"]),
        "GFLOP": lambda tile: f"{tile['operations'] / _GIGA:.2f}",
        "ms": lambda tile: f"{_seconds(tile) * 1e3:.1f}",
        "GFLOP/s": lambda tile: f"{tile['operations'] / _seconds(tile) / _GIGA:.0f}",
        "ms per million new values": lambda tile: (
            f"{_seconds(tile) * 1e9 / tile['fresh_values']:.0f}"
        ),
        "as trained takes times as long": lambda tile: (
            "{median:.2f} ({least:.2f} to {most:.2f})".format(**tile["trained_takes_times"])
        ),
    }
    note = (
        "Per tile, so many at once as a GPU is given, on a processor one by one thread; medians of "
        "rounds in which the network as trained and as hsisr runs it take turns; ratios round by "
        "round: median (least to most). GFLOP: convolutions, matrix products and attention, two "
        "per multiply-add. New values: what the next tile and band group do not give again."
    )
    return Table.of("One tile", facts["tiles"], columns, note=note, words=2)


def _seconds(tile: Row) -> float:
    return float(tile["seconds"]["hsisr"])


def _scenes(facts: Mapping[str, Any]) -> Table:
    bands, rows, cols = facts["scene_shape"]
    columns: Columns = {
        "scale": lambda row: f"x{row['scale']}",
        "model": itemgetter("model"),
        "format": itemgetter("format"),
        "s": lambda row: f"{row['seconds']:.1f}",
    }
    title = f"A scene of {rows} x {cols} pixels and {bands} bands, from file to file"
    note = "Each once, one after another, in one process."
    return Table.of(title, facts["scenes"], columns, note=note, words=3)
