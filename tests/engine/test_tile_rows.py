"""What one row of tiles hands on, and what it lets go."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from hsisr.engine.observed import observe
from hsisr.engine.plan import BANDS_FINISHED_AT_ONCE, network_groups, plan_network
from hsisr.engine.stitch import upscale_tile_row
from hsisr.engine.upscaler import Upscaler
from hsisr.models.interpolation import Trim
from tests.memory import MemoryScene, layout_of

BANDS, ROWS, COLS, SCALE = 21, 6, 30, 2


class Watched(Upscaler):
    """Repeats pixels, and knows how many of its results are alive when it is called again."""

    scale = SCALE
    margin_lr_px = 0

    def __init__(self) -> None:
        self.made: list[StorageWeakRef] = []
        self.alive: list[int] = []
        self.sizes: list[int] = []

    def run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        assert trim == Trim()
        assert tiles.shape[1] == len(bands)
        self.sizes.append(len(tiles))
        self.alive.append(sum(not made.expired() for made in self.made))  # type: ignore[no-untyped-call]
        fine = tiles.repeat_interleave(SCALE, dim=-1).repeat_interleave(SCALE, dim=-2)
        self.made.append(StorageWeakRef(fine.untyped_storage()))  # type: ignore[no-untyped-call]
        return fine


def upscaled(
    scene: MemoryScene, upscaler: Watched, batch_size: int
) -> list[tuple[tuple[int, ...], torch.Tensor]]:
    """The bands handed on, and their numbers."""
    groups = network_groups(range(BANDS), upscaler, size=9, overlap=3)
    layout = layout_of(scene)
    plan = plan_network(upscaler, groups, layout, tile=ROWS, overlap=2, batch_size=batch_size)
    (panel,), (rows,) = plan.panels, plan.rows
    observed = observe(scene, tuple(range(BANDS)), plan, panel, rows)
    found: list[tuple[tuple[int, ...], torch.Tensor]] = []

    def take(bands: tuple[int, ...], values: torch.Tensor) -> None:
        found.append((bands, values.clone()))

    with ThreadPoolExecutor(1) as thread:
        upscale_tile_row(plan, panel, rows, observed, lambda _: None, thread, take)
    return found


def test_bands_come_in_handfuls_and_no_result_is_held_while_the_next_is_made() -> None:
    numbers = np.arange(BANDS * ROWS * COLS, dtype=np.float32).reshape(BANDS, ROWS, COLS)
    upscaler = Watched()
    found = upscaled(MemoryScene(numbers), upscaler, batch_size=2)

    handfuls = [bands for bands, _ in found]
    assert [band for bands in handfuls for band in bands] == list(range(BANDS))
    assert max(map(len, handfuls)) == BANDS_FINISHED_AT_ONCE
    assert all(a + 1 == b for bands in handfuls for a, b in pairwise(bands))
    wanted = torch.from_numpy(numbers.repeat(SCALE, axis=1).repeat(SCALE, axis=2))
    torch.testing.assert_close(torch.cat([values for _, values in found]), wanted)
    assert len(upscaler.alive) > 3  # several batches for each of three groups
    assert set(upscaler.alive) == {0}


def test_no_batch_is_much_smaller_than_another() -> None:
    upscaler = Watched()
    upscaled(MemoryScene(np.ones((BANDS, ROWS, COLS), np.float32)), upscaler, batch_size=3)
    assert upscaler.sizes == 3 * [2, 2, 3]  # seven tiles for each of three groups
