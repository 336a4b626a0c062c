"""Dask schedulers and workers, each a fork of this process, which has loaded Dask once."""

import asyncio
import os
import sys
from contextlib import redirect_stderr
from pathlib import Path

from distributed import Scheduler, Worker
from torch import nn

from hsisr.engine.machine import tile_bytes


def announce(file: Path, address: str) -> None:
    file.write_text(address)


async def serve(what: str, place: str) -> None:
    if what == "scheduler":
        node: Scheduler | Worker = Scheduler(
            host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0"
        )
    else:
        node = Worker(place, host="127.0.0.1", nthreads=2, dashboard=False, memory_limit=0)
    async with node:
        if what == "scheduler":
            announce(Path(place), node.address)
        await node.finished()  # type: ignore[no-untyped-call]


def main() -> None:
    tile_bytes(nn.Conv2d(1, 1, 1), bands=1, side_px=4)  # torch loads more when this is asked
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            with Path(os.devnull).open("w") as nothing, redirect_stderr(nothing):
                asyncio.run(serve(*line.split()))
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
