"""Cost of each network at each scale, one child process per batch size."""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any, Final

from hsisr.benchmark.options import BenchmarkOptions
from hsisr.benchmark.runs import Cell, Cells, Run, recipe_of
from hsisr.errors import ResourceError
from hsisr.training.reporting import machine_name
from hsisr.training.start import described
from hsisr.weights import load_weights, resolve

_CHILD: Final = "hsisr.benchmark.speed.network_cost"
_LONGEST_S: Final = 1800
_PLAIN_BANDS: Final = 32
_PLAIN_TILE_LR_PX: Final = 32
"""Interpolation is measured on tiles as the networks have them."""


def cost_cell(run: Run, options: BenchmarkOptions, batch: int) -> Cell:
    """The cell of a cost, bound to network, batch, device and machine."""
    subject: dict[str, Any] = {
        "interpolation": run.method.name,
        "scale": run.scale,
        "bands": _PLAIN_BANDS,
        "tile": _PLAIN_TILE_LR_PX,
    }
    if run.given is not None:
        found = load_weights(resolve(run.given, run.scale)).descriptor
        subject = {"descriptor": asdict(found)}
    elif run.method.arch is not None:
        made = described(run.method.arch, run.scale, recipe_of(run, options))
        subject = {"descriptor": asdict(made)}
    more = {"batch": batch, "device": options.device, "threads": options.threads}
    return Cell(
        "cost",
        f"{run.method.name}-x{run.scale}-batch{batch}",
        {**subject, **more, "machine": machine_name()},
    )


def measured_cost(run: Run, options: BenchmarkOptions, batch: int, cells: Cells) -> dict[str, Any]:
    """Facts of one batch size: found, or measured now in a child process."""
    cell = cost_cell(run, options, batch)
    if (facts := cells.found(cell)) is not None:
        return facts
    facts = {
        "method": run.method.name,
        "scale": run.scale,
        **_child(dict(cell.fingerprint), f"{run.method.name} x{run.scale}, {batch} tiles at once"),
    }
    cells.keep(cell, facts)
    return facts


def _child(task: dict[str, Any], what: str) -> dict[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", _CHILD],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_S,
        )
    except subprocess.TimeoutExpired as error:
        raise ResourceError(f"{what}: took longer than {_LONGEST_S} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ResourceError(f"{what}: cannot be measured ({last})")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
