"""Small scenes and networks that train in a second."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hsisr.datasets.patches import Augmentation, RandomPatches
from hsisr.datasets.splits import held_out_split
from hsisr.datasets.training_scenes import TrainingScene, scene_from_arrays
from hsisr.models.dacn_any import AnySize, DacnAny
from hsisr.training.loop import Plan
from hsisr.training.recipe import Recipe
from hsisr.training.validation import validation_windows

TINY = AnySize(width=8, blocks=2, heads=2, window=4)
SETTINGS = (
    *("network.width=8", "network.blocks=1", "network.heads=2", "steps=4", "validate_every=2"),
    *("batch_size=2", "crop_lr_px=8", "precision=float32"),
)
"""Of a recipe for `dacn-any` on scenes of 36 bands and 48 x 40 pixels."""


def texture(bands: int, rows: int, cols: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Numbers that vary smoothly from place to place and from band to band."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:cols]
    waves = np.zeros((bands, rows, cols))
    for _ in range(4):
        fy, fx, phase, tilt = rng.uniform(0.05, 0.5, 4)
        angle = fy * y + fx * x + 6 * phase
        waves += np.sin(angle[None] + tilt * np.arange(bands)[:, None, None])
    return (1000 + 200 * waves).astype(np.float32)


def scene(
    bands: int = 40, rows: int = 48, cols: int = 40, *, scale: int = 2, name: str = "small"
) -> TrainingScene:
    values = texture(bands, rows, cols)
    split = held_out_split(rows, cols, scale, 4)
    return scene_from_arrays(name, values, np.ones(values.shape, np.bool_), scale, split)


def recipe(**changes: object) -> Recipe:
    table: dict[str, object] = {
        "name": "test",
        "steps": 12,
        "batch_size": 2,
        "crop_lr_px": 8,
        "validate_every": 5,
        "precision": "float32",
        "ema_decay": 0.9,
        "warmup_steps": 2,
        "coarser": [],
    }
    return Recipe.from_table({**table, **changes}, "test")


def plan(state: Path, chosen: Recipe | None = None, *, save_every: int = 3, seed: int = 0) -> Plan:
    chosen = chosen or recipe()
    one = scene()
    descriptor = DacnAny.descriptor(2, TINY)
    torch.manual_seed(seed)
    return Plan(
        network=DacnAny.of(descriptor),
        descriptor=descriptor,
        recipe=chosen,
        source=RandomPatches(
            scenes=[one],
            scale=2,
            group_size=32,
            crop_lr_px=chosen.crop_lr_px,
            seed=seed,
            augmentation=Augmentation(band_steps=1),
        ),
        judges=validation_windows(one, 2),
        total_steps=chosen.steps,
        validate_every=chosen.validate_every,
        state_path=state,
        fingerprint={"seed": seed},
        device=torch.device("cpu"),
        save_every=save_every,
    )
