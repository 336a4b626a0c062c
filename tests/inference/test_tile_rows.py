"""What one row of tiles hands on, and what it lets go."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from hsisr.inference.observed import observe
from hsisr.inference.planning import BANDS_FINISHED_AT_ONCE, Layout, network_groups, plan_network
from hsisr.inference.tile_rows import upscale_tile_row
from hsisr.inference.upscaler import Upscaler
from hsisr.models.interpolation import Trim
from tests.memory import MemoryScene

BANDS, ROWS, COLS, SCALE = 21, 6, 30, 2


class Watched(Upscaler):
    """Repeats pixels, and knows how many of its results are alive when it is called again."""

    scale = SCALE
    margin_lr_px = 0

    def __init__(self) -> None:
        self.made: list[StorageWeakRef] = []
        self.alive: list[int] = []

    def run(self, tiles: torch.Tensor, bands: tuple[int, ...], trim: Trim) -> torch.Tensor:
        assert trim == Trim()
        assert tiles.shape[1] == len(bands)
        self.alive.append(sum(not made.expired() for made in self.made))  # type: ignore[no-untyped-call]
        fine = tiles.repeat_interleave(SCALE, dim=-1).repeat_interleave(SCALE, dim=-2)
        self.made.append(StorageWeakRef(fine.untyped_storage()))  # type: ignore[no-untyped-call]
        return fine


def test_bands_come_in_handfuls_and_no_result_is_held_while_the_next_is_made() -> None:
    numbers = np.arange(BANDS * ROWS * COLS, dtype=np.float32).reshape(BANDS, ROWS, COLS)
    scene = MemoryScene(numbers)
    upscaler = Watched()
    groups = network_groups(range(BANDS), upscaler, size=9, overlap=3)
    layout = Layout(bands=BANDS, rows=ROWS, cols=COLS, itemsize=4, block_rows=1, block_cols=1)
    plan = plan_network(upscaler, groups, layout, tile=ROWS, overlap=2, batch_size=2)
    (panel,), (rows,) = plan.panels, plan.rows
    found: dict[int, torch.Tensor] = {}
    handfuls: list[tuple[int, ...]] = []

    def take(bands: tuple[int, ...], values: torch.Tensor) -> None:
        handfuls.append(bands)
        found.update(zip(bands, values.clone(), strict=True))

    with ThreadPoolExecutor(1) as thread:
        upscale_tile_row(
            plan,
            panel,
            rows,
            observe(scene, tuple(range(BANDS)), plan, panel, rows),
            lambda _: None,
            thread,
            take,
        )

    assert [band for bands in handfuls for band in bands] == list(range(BANDS))
    assert max(map(len, handfuls)) == BANDS_FINISHED_AT_ONCE
    assert all(a + 1 == b for bands in handfuls for a, b in pairwise(bands))
    wanted = torch.from_numpy(numbers.repeat(SCALE, axis=1).repeat(SCALE, axis=2))
    torch.testing.assert_close(torch.stack([found[band] for band in range(BANDS)]), wanted)
    assert len(upscaler.alive) > len(groups)  # several batches each
    assert set(upscaler.alive) == {0}
