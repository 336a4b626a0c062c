"""A run that goes on with finished strips equals an unbroken one, bit by bit."""

import errno
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hsisr.engine.plan import Plan
from hsisr.errors import HsisrWarning, ResourceError
from hsisr.resume.run import Journal, Piece
from hsisr.tiling import Window
from tests import memory
from tests.engine.standing_in import network_plan
from tests.engine.test_stitcher import smooth
from tests.memory import MemoryScene, MemoryWriter


class Noisy(torch.nn.Module):
    """A network whose result depends on where a tile begins, so that blending matters."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale, self.calls = scale, 0

    def forward(self, lr: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        self.calls += len(lr)
        hr = lr.repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)
        return hr * (1.0 + 0.01 * torch.arange(hr.shape[-2])[:, None] / 7)


def scene_and_plan(rows: int, tile: int, overlap: int) -> tuple[MemoryScene, Plan, Noisy]:
    cube = smooth(5, rows, 23, "int16")
    cube[:, 3:6, 4:9] = -9999
    scene = MemoryScene(cube, nodata=-9999)
    network = Noisy(2)
    plan = network_plan(
        scene,
        network,
        scale=2,
        tile=tile,
        overlap=min(overlap, tile - 1),
        block=(1, 24),
        working_bytes=1,
    )
    return scene, plan, network


def stitched(
    scene: MemoryScene, plan: Plan, journal: Journal | None = None, only: Any = None
) -> MemoryWriter:
    return memory.stitched(scene, plan, masked=True, journal=journal, only=only)


@settings(max_examples=8)
@given(
    rows=st.integers(1, 18),
    tile=st.integers(1, 12),
    overlap=st.integers(0, 11),
    chosen=st.randoms(use_true_random=False),
)
def test_strips_done_in_any_order_by_many_make_the_same_scene(
    rows: int, tile: int, overlap: int, chosen: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scene, plan, _ = scene_and_plan(rows, tile, overlap)
    unbroken = stitched(scene, plan)
    journal = Journal(tmp_path_factory.mktemp("journal") / "strips")
    strips = [(p, r) for p in range(len(plan.panels)) for r in range(len(plan.rows))]
    for _ in range(2):
        stitched(scene, plan, journal, chosen.sample(strips, chosen.randint(0, len(strips))))
    kept = len(journal)
    resumed = stitched(scene, plan, journal)
    assert resumed.cube.tobytes() == unbroken.cube.tobytes()
    assert resumed.moved == unbroken.moved
    assert kept <= len(journal) == len(strips)


def test_what_is_finished_is_not_computed_again(tmp_path: Path) -> None:
    scene, plan, network = scene_and_plan(40, 8, 2)
    journal = Journal(tmp_path / "strips")
    whole = stitched(scene, plan, journal)
    network.calls = 0
    again = stitched(scene, plan, journal)
    assert network.calls == 0
    np.testing.assert_array_equal(again.cube, whole.cube)


def test_one_thread_alone_reads_a_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the next panel begins while rows that nobody wants are read ahead, too."""
    scene, plan, _ = scene_and_plan(40, 8, 2)
    read, readers = scene.read_stored, set[int]()

    def watched(window: Window, bands: Sequence[int]) -> npt.NDArray[Any]:
        readers.add(threading.get_ident())
        return read(window, bands)

    monkeypatch.setattr(scene, "read_stored", watched)
    stitched(scene, plan, only=[(0, 0), (1, 0)])
    assert len(readers) == 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_torn_strip_is_computed_again(tmp_path: Path, damage: str) -> None:
    scene, plan, network = scene_and_plan(40, 8, 2)
    journal = Journal(tmp_path / "strips")
    whole = stitched(scene, plan, journal)
    victim = sorted(journal.folder.iterdir())[3]
    content = bytearray(victim.read_bytes())
    content[400] ^= 255
    cut = {"cut": content[: len(content) // 2], "flipped": content, "emptied": b""}
    victim.write_bytes(bytes(cut[damage]))
    network.calls = 0
    again = stitched(scene, plan, journal)
    assert network.calls > 0
    assert again.cube.tobytes() == whole.cube.tobytes()


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_runs_go_on_without_kept_strips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, plan, _ = scene_and_plan(40, 8, 2)
    unbroken = stitched(scene, plan)
    journal = Journal(tmp_path / "strips")
    other = journal.recording(7, 0)
    other.put(Piece(np.zeros((1, 2, 2), np.int16), 0, 0))
    other.commit(0)
    monkeypatch.setattr("hsisr.resume.run._write", full)
    with pytest.warns(HsisrWarning, match="finished strips cannot be kept .No space left"):
        resumed = stitched(scene, plan, journal)
    assert (len(journal), journal.folder.exists()) == (0, False)
    assert resumed.cube.tobytes() == unbroken.cube.tobytes()


def test_strips_that_must_stay_need_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, plan, _ = scene_and_plan(40, 8, 2)
    monkeypatch.setattr("hsisr.resume.run._write", full)
    journal = Journal(tmp_path / "strips", required=True)
    journal.folder.mkdir()
    with pytest.raises(ResourceError, match=r"cannot write .*strips: No space left on device"):
        stitched(scene, plan, journal)
    assert list(journal.folder.iterdir()) == []
