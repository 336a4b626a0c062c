"""Writing behind: blocks are compressed and written while the next ones are computed."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsisr.io.base import SceneWriter

_WAITING_BYTES = 64 * 2**20
"""Numbers that may wait to be written; one block more than that is never held up."""


class AsyncWriter(SceneWriter):
    """Hands every write to one thread, in order; see `writing_async`.

    Arrays belong to the writer once they are given to it. An error of a write is raised by one of
    the next writes, or at the end.

    Args:
        writer: Does the work.
        thread: A pool of one thread.
    """

    def __init__(self, writer: SceneWriter, thread: ThreadPoolExecutor) -> None:
        self._writer, self._thread = writer, thread
        self.path, self.metadata = writer.path, writer.metadata
        self.block_rows, self.block_cols = writer.block_rows, writer.block_cols
        self._waiting: deque[tuple[int, Future[None]]] = deque()
        self._bytes = 0

    def write(
        self,
        numbers: npt.NDArray[Any],
        *,
        row: int,
        col: int,
        band: int,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """See `SceneWriter.write`; waits while too much is waiting."""
        while self._waiting and self._bytes + numbers.nbytes > _WAITING_BYTES:
            self._await_first()
        write = self._writer.write
        coming = self._thread.submit(write, numbers, row=row, col=col, band=band, mask=mask)
        self._waiting.append((numbers.nbytes, coming))
        self._bytes += numbers.nbytes

    def finish(self) -> None:
        """Wait until everything is written; raises what a write raised."""
        while self._waiting:
            self._await_first()

    def commit(self) -> Path:
        """Finish, then commit the writer behind."""
        self.finish()
        return self._writer.commit()

    def discard(self) -> None:
        """Discard what the writer behind wrote."""
        self._writer.discard()

    def _await_first(self) -> None:
        size, coming = self._waiting.popleft()
        self._bytes -= size
        coming.result()


@contextmanager
def writing_async(writer: SceneWriter) -> Iterator[AsyncWriter]:
    """A writer that works in a thread of its own.

    Leaving normally commits; leaving by an exception waits for the write that is under way, drops
    the others and discards.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
    behind = AsyncWriter(writer, thread)
    try:
        yield behind
        behind.finish()
    except BaseException:
        thread.shutdown(wait=True, cancel_futures=True)
        behind.discard()
        raise
    thread.shutdown()
    behind.commit()
