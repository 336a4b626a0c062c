"""Writing behind: in order, bounded, and an error is never lost."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hsisr.errors import ResourceError
from hsisr.io import write as behind
from hsisr.io.base import SceneWriter
from hsisr.io.write import writing_async
from tests.io.written import rich_metadata

BLOCK = np.ones((1, 2, 2), np.uint16)


class Recorder(SceneWriter):
    """Remembers what was asked of it, and by which thread."""

    block_rows = block_cols = 2

    def __init__(self, *, fail_at: int = -1) -> None:
        self.path, self.metadata = Path("out.tif"), rich_metadata()
        self.fail_at, self.rows, self.ending = fail_at, list[int](), list[str]()
        self.threads = set[int]()

    def write(self, numbers: npt.NDArray[Any], *, row: int, **_: Any) -> None:  # noqa: ARG002
        time.sleep(0.002)
        self.threads.add(threading.get_ident())
        if row == self.fail_at:
            raise ResourceError("no space left")
        self.rows.append(row)

    def commit(self) -> Path:
        self.ending.append("commit")
        return self.path

    def discard(self) -> None:
        self.ending.append("discard")


def write_rows(recorder: Recorder, rows: int, then: BaseException | None = None) -> None:
    with writing_async(recorder) as writer:
        for row in range(rows):
            writer.write(BLOCK, row=row, col=0, band=0)
        if then is not None:
            raise then


def test_writes_keep_their_order_in_one_other_thread() -> None:
    recorder = Recorder()
    write_rows(recorder, 20)
    assert recorder.rows == list(range(20))
    assert len(recorder.threads - {threading.get_ident()}) == 1
    assert recorder.ending == ["commit"]


def test_only_so_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "_WAITING_BYTES", 3 * BLOCK.nbytes)
    recorder = Recorder()
    with writing_async(recorder) as writer:
        for row in range(12):
            writer.write(BLOCK, row=row, col=0, band=0)
            assert row - len(recorder.rows) <= 3
    assert recorder.rows == list(range(12))


@pytest.mark.parametrize("fail_at", [0, 7, 19])
def test_an_error_of_a_write_is_raised_and_nothing_is_committed(fail_at: int) -> None:
    recorder = Recorder(fail_at=fail_at)
    with pytest.raises(ResourceError, match="no space left"):
        write_rows(recorder, 20)
    assert recorder.ending == ["discard"]


def test_an_error_of_the_work_drops_what_waits() -> None:
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        write_rows(recorder, 20, KeyboardInterrupt())
    assert recorder.ending == ["discard"]
    assert len(recorder.rows) < 20
