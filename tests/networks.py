"""Small networks that have learnt nothing, for tests of what is around a network."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hsisr.models.dacn_any import AnySize, DacnAny
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
