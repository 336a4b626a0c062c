"""What is read of a scene for a row of tiles, and filled where it holds no data."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsisr.engine.filling import fill_invalid
from hsisr.engine.plan import Panel, Plan, Segment
from hsisr.io.base import Scene
from hsisr.scene.cube import all_valid
from hsisr.tiling.windows import Window

_FILL_ROUNDS = 8
"""Rings to fill around valid pixels where the model's margin asks for fewer."""


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """The LR pixels around a row of tiles, filled, and which of them are data."""

    window: Window
    values: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]

    def cut(self, window: Window) -> tuple[slice, slice]:
        """Where a window of the scene lies in these arrays."""
        row, col = window.row - self.window.row, window.col - self.window.col
        return slice(row, row + window.rows), slice(col, col + window.cols)


def fill_rounds(plan: Plan) -> int:
    """Pixels around a tile's context that invalid ones in it may be filled from."""
    return max(plan.halo, _FILL_ROUNDS)


def observe(
    scene: Scene, bands: tuple[int, ...], plan: Plan, panel: Panel, rows: Segment
) -> Observed:
    """Read what a row of tiles needs; around invalid pixels also what they are filled from."""
    _, height, width = scene.metadata.shape
    left = min(segment.start for segment in panel.segments)
    right = max(segment.end for segment in panel.segments)
    core = Window(rows.start, left, rows.size, right - left)
    near = core.grown(plan.halo, height, width)
    cube = scene.read(near, bands)
    if all_valid(cube.valid):
        return Observed(near, cube.values, cube.valid)
    rounds = fill_rounds(plan)
    far = near.grown(rounds, height, width)
    cube = scene.read(far, bands)
    filled = fill_invalid(cube.values, cube.valid, rounds)
    inside = Observed(far, filled, cube.valid).cut(near)
    return Observed(near, filled[:, *inside], cube.valid[:, *inside])
