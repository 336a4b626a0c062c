"""Small networks that have learnt nothing, for tests of what is around a network."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hsisr.models.dacn_any import AnySize, DacnAny
from hsisr.models.dacn_equivariant import DacnEquivariant, EquivariantSize
from hsisr.weights import save_weights

TINY = AnySize(width=8, blocks=1, heads=2, window=4)
OVERLAPPING: dict[str, Any] = {
    "group_size": 6,
    "group_overlap": 2,
    "tile_lr_px": 8,
    "overlap_lr_px": 3,
}
"""Tiles and band groups of which small scenes have several."""


def tiny_weights(folder: Path, scale: int = 2, **changes: Any) -> Path:
    """Weights in a folder, of a network whose descriptor has these changes."""
    descriptor = replace(DacnAny.descriptor(scale, TINY), **changes)
    torch.manual_seed(0)
    network = DacnAny.of(descriptor)
    return save_weights(folder / "tiny.safetensors", network, descriptor, card={"by": "a test"})


def lively_equivariant(scale: int, size: EquivariantSize) -> DacnEquivariant:
    """A network whose branches all count, as after training."""
    torch.manual_seed(1)
    network = DacnEquivariant.of(DacnEquivariant.descriptor(scale, size))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network.eval()


def write_catalogue(folder: Path, *rows: dict[str, object]) -> Path:
    """A catalogue of weights in a folder, a table for each row."""
    tables = ["".join(f"{key} = {json.dumps(value)}\n" for key, value in r.items()) for r in rows]
    text = "\n".join(f"[[weights]]\n{table}" for table in tables)
    (folder / "catalogue.toml").write_text(text, encoding="utf-8")
    return folder
