"""Measure the speed of a machine: `hsisr benchmark --speed` without its options."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hsisr.benchmark.report import environment
from hsisr.benchmark.speed.options import SpeedOptions
from hsisr.benchmark.speed.report import speed_page
from hsisr.benchmark.speed.scenes import scene_facts
from hsisr.benchmark.speed.tile_speed import tile_facts
from hsisr.engine.device import device_named, torch_threads
from hsisr.engine.memory import tune_allocator
from hsisr.errors import OutputExistsError
from hsisr.training.files import replace_file

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
